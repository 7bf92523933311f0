"""Losses of candidates: those of cross-entropy, averaged over models, in any order of reading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.language_runs import write_pool, write_run

from proxyscale.attribution import candidate_losses
from proxyscale.base import artifacts
from proxyscale.data.pool import Pool
from proxyscale.selection.candidates import Candidates, candidate_ids
from proxyscale.training import language_model

SPEC: dict[str, Any] = {"candidates": 50, "candidate_sources": None, "seed": 3}


def expected(run: Path, rows: np.ndarray) -> np.ndarray:
    """Mean cross-entropy of every token but the first."""
    tokens = torch.from_numpy(rows.astype(np.int64))
    logits = language_model.load(run)(tokens[:, :-1]).detach()
    losses: np.ndarray = F.cross_entropy(logits.mT, tokens[:, 1:], reduction="none").mean(1).numpy()
    return losses


def test_losses_are_mean_cross_entropies_over_the_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = write_pool(tmp_path)
    runs = [write_run(tmp_path / f"run{seed}", seed, context=15) for seed in (0, 1)]
    for run in runs:
        facts = artifacts.read_json(run / "manifest.json")
        artifacts.write_json(run / "manifest.json", {**facts, "precision": "fp32"})
    out = tmp_path / "losses.parquet"
    monkeypatch.setattr(candidate_losses, "ROWS", 20)
    candidate_losses.candidate_losses(out, runs, pool, SPEC, "losses")
    opened = Pool.open(pool)
    ids = candidate_ids(opened, 50, 3)
    table = artifacts.read(out, "candidate_losses")
    assert table["example"].to_pylist() == ids.tolist()
    truth = np.mean([expected(run, opened.rows(ids)) for run in runs], axis=0)
    np.testing.assert_allclose(table["loss"].to_numpy(), truth, rtol=1e-5)
    chosen = Candidates(
        opened, ids, np.random.default_rng(0), measured=table.take([*range(50)][::-1])
    )
    np.testing.assert_allclose(chosen.losses(), truth, rtol=1e-5)
