"""DsDm from end to end on installed text: the sign of the scores, by training on their choice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from proxyscale.attribution import language_scores
from proxyscale.base import artifacts
from proxyscale.data.corpora import build_corpus
from proxyscale.data.pool import Pool, assemble, pack
from proxyscale.data.tasks import build_task
from proxyscale.data.tokenizer import build_tokenizer
from proxyscale.selection import select
from proxyscale.training.evaluate import evaluate
from proxyscale.training.native import train

LENGTH = 128
SOURCES = {
    "docs": {"installed": ["numpy"], "part": "docstrings"},
    "code": {"installed": "stdlib", "part": "code"},
}
MODEL = {
    "vocabulary": 512,
    "context": LENGTH,
    "width": 16,
    "layers": 2,
    "heads": 1,
    "mlp_ratio": 4,
    "bias": False,
    "tied": False,
    "parametrization": "mup",
    "base_width": 32,
}
TRAINING = {
    "tokens": 153_600,
    "batch_tokens": 512,
    "learning_rate": 3e-2,
    "hidden_learning_rate": 3e-3,
    "weight_decay": 0.0,
    "betas": [0.9, 0.95],
    "eps": 1e-8,
    "clip": 1.0,
    "warmup": 0.05,
    "final_learning_rate": 0.1,
    "precision": "fp32",
}


class Study:
    """A pool of two sources and a task of one of them."""

    def __init__(self, root: Path) -> None:
        self.root, self.pool = root, root / "pool" / "manifest.json"
        corpora = {name: root / "corpora" / name for name in SOURCES}
        shares = {"holdout": 0.1, "target": 0.1, "max_bytes": 600_000, "seed": 0}
        shares |= {"max_document_bytes": 60_000, "documents": None}
        for name, options in SOURCES.items():
            build_corpus(corpora[name], name, {"kind": "installed", "options": options, **shares})
        bpe = {"train": "bpe", "vocabulary": 512, "sample_bytes": 400_000}
        build_tokenizer(root / "tokenizer.json", corpora, bpe)
        packs = {name: root / "pool" / name for name in SOURCES}
        for name, folder in packs.items():
            packed = {"source": name, "length": LENGTH, "seed": 0}
            pack(folder, corpora[name], root / "tokenizer.json", packed)
        assemble(self.pool, packs)
        spec = {"kind": "text", "options": {}, "sources": ["docs"], "examples": 150}
        spec |= {"target_examples": 150, "overlap_window": 32, "length": LENGTH, "seed": 0}
        build_task(root / "task", spec, corpora, root / "tokenizer.json", self.pool)

    def choose(self, name: str, method: str, size: int, scores: Path | None = None) -> None:
        spec = {"name": name, "method": method, "size": size, "seed": 0}
        select.build_distribution(self.root / f"{name}.parquet", spec, self.pool, scores=scores)

    def train(self, distribution: str, seed: int) -> Path:
        run = self.root / "runs" / distribution / str(seed)
        spec = {"family": "language", "model": MODEL, "training": TRAINING, "draw": 0, "seed": seed}
        train(run, spec, self.pool, self.root / f"{distribution}.parquet", distribution)
        return run

    def loss(self, distribution: str, seed: int) -> float:
        out = self.root / "losses" / distribution / str(seed)
        evaluate(out, self.train(distribution, seed), {"t": self.root / "task"}, "", "")
        return artifacts.read(out / "t.parquet", "run_losses")["loss"].to_numpy().mean()

    def score(self, run: Path) -> Path:
        spec = {"dimension": 1024, "seed": 0}
        pool = language_scores.pool_examples(self.pool, np.arange(len(Pool.open(self.pool))))
        task = language_scores.task_examples(self.root / "task", "target")
        folders = [self.root / "features" / name for name in ("pool", "task")]
        for folder, examples in zip(folders, (pool, task), strict=True):
            language_scores.featurize(folder, run, examples, spec)
        out = self.root / "scores" / "t.parquet"
        language_scores.score(out, folders[:1], folders[1:], {"ridge": 0.3})
        return out


@pytest.mark.slow
def test_what_scores_high_lowers_the_loss_and_what_scores_low_raises_it(tmp_path):
    study = Study(tmp_path)
    size = len(Pool.open(study.pool)) // 5
    study.choose("proxy", "random", 2 * size)
    scores = study.score(study.train("proxy", 7))
    study.choose("random", "random", size)
    for method in ("dsdm", "bot-dsdm"):
        study.choose(method, method, size, scores)
    losses = {
        name: [study.loss(name, seed) for seed in (0, 1)] for name in ("dsdm", "random", "bot-dsdm")
    }
    assert max(losses["dsdm"]) < min(losses["random"]) - 0.02
    assert max(losses["random"]) < min(losses["bot-dsdm"]) - 0.02
