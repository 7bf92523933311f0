"""TRAK's scores of the pool's examples for a task of language models, out of their features.

Scores of a model τ = φ(z)ᵀ(ΦᵀΦ + λI)⁻¹Φᵀ over the candidates; positive: adding the example lowers
the loss. No Q = diag(1 - p), which is a vision matter.
Park et al. (2303.14186), section 3; Engstrom et al., DsDm (2401.12926), section 2.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from proxyscale.attribution.feature_files import Features
from proxyscale.attribution.trak import primal_scores
from proxyscale.base import arrays, artifacts
from proxyscale.training import language_model


def trak(train: Features, target: Tensor, ridge: float) -> Tensor:
    """One model's scores [targets, n] f64 of the examples in `train`, for `target` [targets, k]."""
    return primal_scores(lambda: train.blocks(target.device), target.double(), ridge=ridge)


def score(
    out: Path,
    train: Sequence[Path],
    target: Sequence[Path],
    spec: Mapping[str, Any],
    single: Path | None = None,
    threads: int | None = None,
) -> None:
    """Write the candidates' scores for a task: the mean over its examples (kind score).

    `train` and `target` are folders of features, one of each for every model; the models' scores,
    each divided by its standard deviation over the candidates, are averaged. `spec`: ridge. The
    manifest beside `out`, with the suffix .json, says which split was scored. `single`, an .npy,
    takes the scores of each example by itself, f32 [examples, candidates].
    """
    language_model.prepare_cpu(threads)
    pairs = [(Features.open(a), Features.open(b)) for a, b in zip(train, target, strict=True)]
    pool, task = pairs[0]
    _check_pairs(pairs)
    total: Tensor | float = 0.0
    for candidates, wanted in pairs:
        values = torch.from_numpy(np.array(wanted.values)).to(language_model.device())
        rows = values if single else values.double().mean(0, keepdim=True)
        scores = trak(candidates, rows, spec["ridge"])
        total = total + scores / scores.mean(0).std() / len(pairs)
    assert isinstance(total, Tensor)
    written = [out]
    mean = total.mean(0).cpu().numpy()
    artifacts.write(out, pa.table({"example": pool.ids, "score": mean}), "score")
    if single:
        written.append(arrays.write(single, total.float().cpu().numpy()))
    facts = {"split": task.facts["split"], "models": len(pairs), **spec}
    artifacts.write_manifest(out.with_suffix(".json"), written, examples=task.ids.tolist(), **facts)


def _check_pairs(pairs: Sequence[tuple[Features, Features]]) -> None:
    """ValueError if the models' features are not of the same examples, UserError for no models."""
    pool, task = pairs[0]
    for candidates, wanted in pairs:
        if candidates.facts["model"] != wanted.facts["model"]:
            raise ValueError("features of candidates and of the task are of different models")
        for key in ("dimension", "seed"):
            if candidates.facts[key] != wanted.facts[key]:
                raise ValueError(f"features of candidates and of the task differ in {key}")
        same = np.array_equal(candidates.ids, pool.ids) and np.array_equal(wanted.ids, task.ids)
        if not same or wanted.facts["examples"] != task.facts["examples"]:
            raise ValueError("the models' features are of different examples")
