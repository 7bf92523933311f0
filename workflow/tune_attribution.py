"""Which k and which ridge? Selection by one part of the target examples, judged by the other.

A study of its own and no part of the workflow: it reads a finished study's pool, task and models,
scores candidates for the first part of a task's target examples, trains on the best-scored ones
and measures the loss on the other part. The holdout is never opened. As it was run for the
default study:

    python workflow/tune_attribution.py results --work /tmp/tuning
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from proxyscale.attribution import features
from proxyscale.attribution.scores import trak
from proxyscale.base import artifacts
from proxyscale.base.paths import Paths
from proxyscale.data.pool import Pool
from proxyscale.data.tokens import load_tokenizer
from proxyscale.selection.candidates import candidate_ids
from proxyscale.selection.dsir import NgramCounter, log_importance
from proxyscale.selection.select import top
from proxyscale.training import language_model
from proxyscale.training.evaluate import losses
from proxyscale.training.native import train

LARGEST = 4096  # dimension; the smaller ones are made out of it
SHARE = 0.6  # of the target examples, that scores are for


class Tuning:
    """One task, one scoring scale, one scale that trains on what is selected."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.paths, self.work = args, Paths(args.results), Path(args.work)
        self.pool = Pool.open(Path(self.paths.pool))
        self.ids = candidate_ids(self.pool, args.candidates, 0)
        table = artifacts.read(f"{self.paths.task(args.task)}/target.parquet", "task")
        examples = np.unique(table["example"].to_numpy())
        self.scored = examples[: round(SHARE * len(examples))]
        first = np.isin(table["example"].to_numpy(), self.scored)
        self.seen, self.measured = table.filter(pa.array(first)), table.filter(pa.array(~first))

    def features(self, seed: int) -> tuple[features.Features, torch.Tensor]:
        """One model's features of the candidates, and of the scored target examples."""
        run = Path(self.paths.run(self.args.scale, self.args.scored_on, 0, seed))
        out, spec = self.work / f"features-{seed}", {"dimension": LARGEST, "seed": 0}
        pool = features.pool_examples(Path(self.paths.pool), self.ids)
        task = features.task_examples(Path(self.paths.task(self.args.task)), "target")
        features.featurize(out / "pool", run, pool, spec, f"features, seed {seed}")
        features.featurize(out / "target", run, task, spec, f"target, seed {seed}")
        opened = features.Features.open(out / "target")
        mine = np.array(opened.values)[np.isin(opened.ids, self.scored)]
        return features.Features.open(out / "pool"), torch.from_numpy(np.array(mine))

    def settings(self) -> Iterator[tuple[str, np.ndarray]]:
        """Every setting's name and scores of the candidates [n]."""
        yield "random", np.zeros(len(self.ids))
        yield "dsir", self.dsir()
        models = [self.features(seed) for seed in (0, 1)]
        for k in self.args.dimensions:
            folded = [(fold(np.array(a.values), k), fold(b.numpy(), k).mean(0)) for a, b in models]
            for ridge in self.args.ridges:
                one, two = (standardized(phi, wanted, ridge) for phi, wanted in folded)
                yield f"k {k} ridge {ridge} models 1", one
                yield f"k {k} ridge {ridge} models 2", one + two

    def dsir(self) -> np.ndarray:
        """DSIR's log weights for the same target examples, with its noise."""
        decode = load_tokenizer(Path(self.paths.tokenizer)).decode_batch
        count = NgramCounter()
        raw = count(decode(self.pool.rows(self.ids).tolist()))
        gold = self.seen.filter(self.seen["gold"])["tokens"].to_pylist()
        noise = np.random.default_rng(0).gumbel(size=len(self.ids))
        return log_importance(raw, count(decode(gold))) + noise

    def loss(self, name: str, scores: np.ndarray, seed: int) -> float:
        """Loss on the other target examples after training on the best-scored candidates."""
        chosen = self.ids[top(scores, self.args.size, "none", np.random.default_rng(0))]
        folder = self.work / name.replace(" ", "-")
        table = pa.table({"draw": np.zeros(len(chosen)), "example": chosen, "score": chosen})
        artifacts.write(folder / "distribution.parquet", table, "distribution")
        like = artifacts.read_json(
            f"{self.paths.run(self.args.train_at, 'mix', 0, 0)}/manifest.json"
        )
        spec = {key: like[key] for key in ("family", "model", "training")}
        spec |= {"draw": 0, "seed": seed}
        run = folder / str(seed)
        train(run, spec, Path(self.paths.pool), folder / "distribution.parquet", name)
        measured = losses(language_model.load(run), self.measured)["loss"].to_numpy()
        return float(measured.mean())


def fold(features: np.ndarray, k: int) -> np.ndarray:
    """Features of dimension k out of those of a multiple of it: the same count sketch, coarser."""
    return np.asarray(features).reshape(len(features), -1, k).sum(1)


def standardized(phi: np.ndarray, wanted: np.ndarray, ridge: float) -> np.ndarray:
    """One model's scores, divided by their standard deviation."""
    train_on = features.Features(np.arange(len(phi)), phi, {})
    scores = trak(train_on, torch.from_numpy(wanted[None]), ridge)[0].numpy()
    return scores / scores.std()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", help="the results folder of a finished study")
    parser.add_argument("--work", required=True, help="a folder for what is made here")
    parser.add_argument("--task", default="squad_like")
    parser.add_argument("--scored-on", default="mix")
    parser.add_argument("--scale", default="s", help="of the scoring models")
    parser.add_argument("--train-at", default="l", help="scale that trains on what is selected")
    parser.add_argument("--candidates", type=int, default=32_000)
    parser.add_argument("--size", type=int, default=6_400)
    parser.add_argument("--dimensions", type=int, nargs="+", default=[256, 1024, LARGEST])
    parser.add_argument("--ridges", type=float, nargs="+", default=[0.03, 0.1, 0.3, 1.0, 3.0])
    tuning = Tuning(parser.parse_args())
    for name, scores in tuning.settings():
        found = [tuning.loss(name, scores, seed) for seed in (0, 1)]
        told = " ".join(f"{value:.3f}" for value in found)
        print(f"{name:28s} loss {np.mean(found):.3f} ({told})", flush=True)


if __name__ == "__main__":
    main()
