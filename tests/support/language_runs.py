"""A pool, a task and an untrained run of a language model, as small as they come."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from proxyscale.base import artifacts
from proxyscale.data.pool import Pool, assemble, pack
from proxyscale.data.tokenizer import build_tokenizer
from proxyscale.training import language_model

LENGTH = 16


SPEC = {
    "vocabulary": 300,
    "context": LENGTH,
    "width": 16,
    "layers": 1,
    "heads": 1,
    "mlp_ratio": 2,
    "bias": True,
    "tied": False,
    "parametrization": "mup",
    "base_width": 8,
}


def write_pool(root: Path) -> Path:
    rng = np.random.default_rng(0)
    texts = [" ".join(str(n) for n in rng.integers(9999, size=60)) for _ in range(30)]
    columns = {
        "document": range(30),
        "name": [str(n) for n in range(30)],
        "text": texts,
        "hash": range(30),
        "split": ["pool"] * 30,
    }
    artifacts.write(root / "corpus" / "documents.parquet", pa.table(columns), "documents")
    artifacts.write_manifest(root / "corpus" / "manifest.json", [])
    spec = {"train": "bpe", "vocabulary": 300, "sample_bytes": 10_000}
    build_tokenizer(root / "tokenizer.json", {"a": root / "corpus"}, spec)
    packed = {"source": "a", "length": LENGTH, "seed": 0}
    pack(root / "pool" / "a", root / "corpus", root / "tokenizer.json", packed)
    assemble(root / "pool" / "manifest.json", {"a": root / "pool" / "a"})
    return root / "pool" / "manifest.json"


def write_task(folder: Path, pool: Path, examples: int = 7) -> Path:
    rows = Pool.open(pool).rows(np.arange(2 * examples))
    rng = np.random.default_rng(1)
    lengths = rng.integers(6, LENGTH + 1, size=2 * examples)
    columns = {
        "example": np.repeat(np.arange(examples) + 100, 2),
        "choice": [0, 1] * examples,
        "gold": [False, True] * examples,
        "tokens": [row[:length].tolist() for row, length in zip(rows, lengths, strict=True)],
        "scored_from": lengths - 3,
        "prompt": [""] * 2 * examples,
        "continuation": [""] * 2 * examples,
    }
    for split in ("target", "holdout"):
        artifacts.write(folder / f"{split}.parquet", pa.table(columns), "task")
    return folder


def shaken(spec: Mapping[str, Any], by: float) -> language_model.LanguageModel:
    """A model none of whose weights is zero and that no symmetry hides, as after training."""
    model = language_model.build(spec, seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += by * torch.randn(parameter.shape, generator=generator)
    return model


def write_run(folder: Path, seed: int = 0, **changes) -> Path:
    spec = {**SPEC, **changes}
    model = language_model.build(spec, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    folder.mkdir(parents=True)
    language_model.save(language_model.weights(model), folder / "model.safetensors")
    artifacts.write_json(folder / "manifest.json", {"model": spec})
    return folder
