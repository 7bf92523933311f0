"""DsDm from end to end on installed text: the sign of the scores, by training on their choice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from support.made_tasks import build_test_set
from support.tiny_run import SPEC

from proxyscale.attribution import features
from proxyscale.attribution.scores import score
from proxyscale.base import arrays, artifacts
from proxyscale.data.corpora import build_corpus
from proxyscale.data.pool import Pool, assemble, pack
from proxyscale.data.tokenizer import build_tokenizer
from proxyscale.selection import select
from proxyscale.training import language_model
from proxyscale.training.evaluate import evaluate, losses
from proxyscale.training.native import train

LENGTH = 128
SOURCES = {
    "docs": {"installed": ["numpy"], "part": "docstrings"},
    "code": {"installed": "stdlib", "part": "code"},
}
MODEL = {**SPEC["model"], "vocabulary": 512, "context": LENGTH, "layers": 2}
TRAINING = {**SPEC["training"], "tokens": 153_600, "batch_tokens": 512}


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
        spec |= {"target_examples": 150, "overlap_window": 8, "length": LENGTH, "seed": 0}
        build_test_set(root / "task", spec, corpora, root / "tokenizer.json", self.pool)

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
        pool = features.pool_examples(self.pool, np.arange(len(Pool.open(self.pool))))
        task = features.task_examples(self.root / "task", "target")
        folders = [self.root / "features" / name for name in ("pool", "task")]
        for folder, examples in zip(folders, (pool, task), strict=True):
            features.featurize(folder, run, examples, spec)
        out = self.root / "scores" / "t.parquet"
        score(out, folders[:1], folders[1:], {"ridge": 0.3})
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


# the same on rows that count up or down


VOCABULARY = SPEC["model"]["vocabulary"]
SHORT = {**SPEC, "training": {**SPEC["training"], "tokens": 120 * 128}}


def counting(starts: np.ndarray, by: int) -> np.ndarray:
    """Rows of 16 tokens that count by `by` from the starts, modulo the vocabulary."""
    return ((starts[:, None] + by * np.arange(16)) % VOCABULARY).astype(np.uint16)


def write_counting(root: Path) -> Path:
    """A pool of rows that count up, then as many that count down by 1 to 5; a task that counts up.

    No two rows of the pool are one, and nothing but its way of counting tells a row.
    """
    every = np.arange(VOCABULARY)
    up, down = (np.concatenate([counting(every, s * by) for by in range(1, 6)]) for s in (1, -1))
    (root / "pack").mkdir()
    arrays.write(root / "pack" / "inputs.npy", np.concatenate([up, down]))
    size = {"rows": 2 * len(up)}
    source = {"name": "a", "offset": 0, "shards": [{"folder": "pack", **size}], **size}
    facts = {"length": 16, "vocabulary": VOCABULARY, "sources": [source], **size}
    artifacts.write_json(root / "pool.json", facts)
    columns = {
        "example": np.arange(len(up)),
        "choice": np.zeros(len(up)),
        "gold": [True] * len(up),
        "tokens": up.tolist(),
        "scored_from": [8] * len(up),
        "prompt": [""] * len(up),
        "continuation": [""] * len(up),
    }
    task = artifacts.conform(pa.table(columns), "task")
    artifacts.write(root / "task" / "target.parquet", task, "task")
    return root / "pool.json"


def test_the_sign_of_dsdm_on_rows_that_count_up_or_down(tmp_path):
    pool, task = write_counting(tmp_path), tmp_path / "task"
    scores = tmp_path / "t.parquet"

    def run(method: str) -> Path:
        chosen, out = tmp_path / f"{method}.parquet", tmp_path / method
        spec = {"name": method, "method": method, "size": 80, "seed": 0}
        select.build_distribution(chosen, spec, pool, scores=scores if scores.exists() else None)
        train(out, SHORT, pool, chosen, method)
        return out

    def loss(trained: Path) -> float:
        table = artifacts.read(task / "target.parquet", "task")
        return losses(language_model.load(trained), table)["loss"].to_numpy().mean()

    random, out = run("random"), tmp_path / "features"
    spec = {"candidates": None, "dimension": 256, "seed": 0}
    features.features(out, random, pool, {"t": task}, spec, "features", "")
    folders = features.pool_part(out), features.target_part(out, "t")
    score(scores, *([folder] for folder in folders), {"ridge": 0.3})
    assert loss(run("dsdm")) < loss(random) - 0.1
    assert loss(run("bot-dsdm")) > loss(random) + 1
