"""Do models of different scales attribute alike? Their scores of one sample, held side by side.

For every task and pair of models: Spearman's correlation of the scores of the same candidates
(the mean over the task's target examples), as in the paper's Figures 28 and 29; and for one target
example the text that each scale finds most helpful and most harmful (Figures 22 to 26).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from scipy.stats import rankdata

from proxyscale.attribution.feature_files import Features
from proxyscale.attribution.features import pool_part, target_part
from proxyscale.attribution.scores import trak
from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.data.pool import Pool
from proxyscale.data.tokens import load_tokenizer
from proxyscale.selection.candidates import Candidates
from proxyscale.training import language_model

Models = Mapping[str, Sequence[Path]]  # scale → a folder of features for each of its models
SHOWN = 2  # of the most helpful examples, and of the most harmful


def compare(
    agreement: Path,
    influence: Path,
    models: Models,
    tasks: Mapping[str, Path],
    pool: Path,
    tokenizer: Path,
    spec: Mapping[str, Any],
    threads: int | None = None,
) -> None:
    """Write the two tables (kinds agreement, influence). `spec`: ridge.

    Single examples are the first of each task's target, which are in random order; a scale's scores
    for one are the mean over its models, each divided by its standard deviation. UserError where
    the study compares nothing and the tables are asked for all the same.
    """
    if not models:
        raise UserError("the study compares no scales' scores", where="attribution.compare")
    language_model.prepare_cpu(threads)
    opened = {
        scale: [Features.open(pool_part(f)) for f in found] for scale, found in models.items()
    }
    ids = next(iter(opened.values()))[0].ids
    texts = Candidates(
        Pool.open(pool), ids, np.random.default_rng(0), tokenizer=load_tokenizer(tokenizer)
    )
    pairs, shown = [], []
    every = {s: _scores(opened[s], models[s], list(tasks), spec["ridge"]) for s in models}
    for number, (task, folder) in enumerate(tasks.items()):
        scores = {scale: found[:, number] for scale, found in every.items()}
        pairs += [{"task": task} | row for row in _pairs(scores)]
        single = {scale: both[:, 1].mean(axis=0) for scale, both in scores.items()}
        asked = _first(artifacts.read(folder / "target.parquet", "task"))
        shown += [{"task": task} | asked | row for row in _extremes(single, texts)]
    artifacts.write(agreement, pa.Table.from_pylist(pairs), "agreement")
    artifacts.write(influence, pa.Table.from_pylist(shown), "influence")


def _scores(
    candidates: Sequence[Features], folders: Sequence[Path], tasks: Sequence[str], ridge: float
) -> np.ndarray:
    """Standardized scores [models, tasks, 2, n]: for the mean target example, for the first."""
    found = []
    for features, folder in zip(candidates, folders, strict=True):
        rows = []
        for task in tasks:
            values = torch.from_numpy(np.array(Features.open(target_part(folder, task)).values))
            rows += [values.double().mean(0), values[0].double()]
        wanted = torch.stack(rows).to(language_model.device())
        scores = trak(features, wanted, ridge).cpu().numpy()
        scores = scores / scores.std(axis=1, keepdims=True)
        found.append(scores.reshape(len(tasks), 2, -1))
    return np.stack(found)


def _pairs(scores: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Spearman's correlation of every pair of models' scores."""
    names = [(scale, model) for scale, both in scores.items() for model in range(len(both))]
    ranks = np.stack([rankdata(scores[scale][model, 0]) for scale, model in names])
    matrix = np.corrcoef(ranks)
    return [
        {
            "first": names[a][0],
            "first_model": names[a][1],
            "second": names[b][0],
            "second_model": names[b][1],
            "spearman": float(matrix[a, b]),
            "n": ranks.shape[1],
        }
        for a, b in itertools.combinations(range(len(names)), 2)
    ]


def _first(target: pa.Table) -> dict[str, Any]:
    """The first target example and its gold choice."""
    row = target.filter(target["gold"]).slice(0, 1).to_pylist()[0]
    kept = ("example", "prompt", "prompt_starts", "scored_from", "continuation")
    return {key: row[key] for key in kept}


def _extremes(scores: Mapping[str, np.ndarray], texts: Candidates) -> list[dict[str, Any]]:
    """The candidates with the highest scores, and those with the lowest, of every scale."""
    rows = []
    for scale, values in scores.items():
        order = np.argsort(-values, kind="stable")
        for side, chosen in (("helpful", order[:SHOWN]), ("harmful", order[::-1][:SHOWN])):
            shown = Candidates(texts.pool, texts.ids[chosen], texts.rng, tokenizer=texts.tokenizer)
            for rank, text in enumerate(shown.texts()):
                facts = {"scale": scale, "side": side, "rank": rank, "text": text}
                facts |= {"candidate": int(shown.ids[rank]), "source": str(shown.sources[rank])}
                rows.append(facts | {"score": float(values[chosen[rank]])})
    return rows
