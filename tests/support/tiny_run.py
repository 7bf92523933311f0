"""A run that trains in a moment: its specification, its data, the verb that trains it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer, models, pre_tokenizers

from proxyscale.base import arrays, artifacts
from proxyscale.data.packing import END
from proxyscale.training import engines, native

LENGTH, VOCABULARY, ROWS = 16, 40, 60
SPEC: dict[str, Any] = {
    "family": "language",
    "model": {
        "vocabulary": VOCABULARY,
        "context": LENGTH,
        "width": 16,
        "layers": 1,
        "heads": 1,
        "mlp_ratio": 4,
        "bias": False,
        "tied": False,
        "parametrization": "mup",
        "base_width": 32,
    },
    "training": {
        "engine": "native",
        "tokens": 40 * 128,
        "batch_tokens": 128,
        "learning_rate": 3e-2,
        "hidden_learning_rate": 3e-3,
        "weight_decay": 0.0,
        "betas": [0.9, 0.95],
        "eps": 1e-8,
        "clip": 1.0,
        "warmup": 0.05,
        "final_learning_rate": 0.1,
        "precision": "auto",
    },
    "draw": 0,
    "seed": 0,
}


def write_data(folder: Path) -> Path:
    """A pool of rows that count upwards, so that the next token can be learned."""
    generator = np.random.default_rng(0)
    start = generator.integers(0, VOCABULARY, (ROWS, 1))
    rows = ((start + np.arange(LENGTH)) % VOCABULARY).astype(np.uint16)
    (folder / "pack").mkdir()
    arrays.write(folder / "pack" / "inputs.npy", rows)
    shards = [{"folder": "pack", "rows": ROWS}]
    source = {"name": "a", "offset": 0, "rows": ROWS, "shards": shards}
    pool = {"length": LENGTH, "vocabulary": VOCABULARY, "rows": ROWS, "sources": [source]}
    artifacts.write_json(folder / "pool.json", pool)
    draws = np.repeat(np.array([0, 1], np.uint16), 30)
    examples = np.arange(ROWS, dtype=np.uint32)
    table = pa.table({"draw": draws, "example": examples})
    artifacts.write(folder / "distribution.parquet", table, "distribution")
    return folder


def write_tokenizer(path: Path) -> Path:
    """Words w1, w2, … and the end of text, which is token 0."""
    vocabulary = {END: 0, **{f"w{i}": i for i in range(1, VOCABULARY)}}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token=END))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    artifacts.write_json(path, json.loads(words.to_str()))
    return path


def command(data: Path, out: Path, spec: dict[str, Any], **execution: Any) -> list[str]:
    """The verb as a rule calls it."""
    flags = {
        "pool": data / "pool.json",
        "distribution": data / "distribution.parquet",
        "title": "test",
        "spec": json.dumps(spec),
        "execution": json.dumps({**native.PLAIN, **execution}),
        "out": out,
    }
    words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    return [sys.executable, "-m", "proxyscale", "train", *words]


def curve(out: Path) -> np.ndarray:
    """All columns of a run's curve but the seconds."""
    table = artifacts.read(out / "curve.parquet", "curve").drop_columns(["seconds"])
    return np.stack([column.to_numpy() for column in table.columns])


def trained(data: Path, out: Path, spec: dict[str, Any] = SPEC, **execution: Any) -> np.ndarray:
    """Train in this process; the curve."""
    files = data / "pool.json", data / "distribution.parquet"
    engines.train(out, spec, *files, "test", {**native.PLAIN, **execution})
    return curve(out)
