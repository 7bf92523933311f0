"""Scores of several scales side by side: the correlations and the text at both ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from support.language_runs import write_pool, write_run, write_task

from proxyscale.attribution import feature_files, features
from proxyscale.attribution.agreement import compare
from proxyscale.attribution.scores import trak
from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.data.pool import Pool
from proxyscale.data.tokens import load_tokenizer

SPEC = {"candidates": 120, "dimension": 64, "seed": 0}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("agreement")
    pool = write_pool(root)
    write_task(root / "task", pool)
    for seed in (0, 1, 2):
        run = write_run(root / f"run{seed}", seed)
        tasks = {"t": root / "task"}
        features.features(root / f"features{seed}", run, pool, tasks, SPEC, "", version="")
    models = {"small": [root / "features0", root / "features1"], "large": [root / "features2"]}
    compare(
        root / "agreement.parquet",
        root / "influence.parquet",
        models,
        {"t": root / "task"},
        pool,
        root / "tokenizer.json",
        {"ridge": 0.3},
    )
    return root


def scores(files: Path, model: int, example: int | None = None) -> np.ndarray:
    """One model's scores for the mean target example, or for one of them."""
    folder = files / f"features{model}"
    wanted = np.array(feature_files.Features.open(features.target_part(folder, "t")).values)
    row = wanted.mean(0) if example is None else wanted[example]
    pool = feature_files.Features.open(features.pool_part(folder))
    return trak(pool, torch.tensor(row)[None], 0.3)[0].numpy()


def test_every_pair_of_models_has_its_rank_correlation(files):
    rows = artifacts.read(files / "agreement.parquet", "agreement").to_pylist()
    named = {("small", 0): 0, ("small", 1): 1, ("large", 0): 2}
    assert len(rows) == 3
    for row in rows:
        a = named[row["first"], row["first_model"]]
        b = named[row["second"], row["second_model"]]
        expected = spearmanr(scores(files, a), scores(files, b)).statistic
        assert row["spearman"] == pytest.approx(expected, abs=1e-3)
        assert row["n"] == 120


def test_influence_holds_the_text_at_both_ends(files):
    rows = artifacts.read(files / "influence.parquet", "influence").to_pylist()
    single = [scores(files, model, example=0) for model in (0, 1)]
    mean = np.mean([values / values.std() for values in single], axis=0)
    ids = feature_files.Features.open(features.pool_part(files / "features0")).ids
    shown = {(r["scale"], r["side"], r["rank"]): r for r in rows}
    assert len(shown) == 2 * 2 * 2
    best, worst = shown["small", "helpful", 0], shown["small", "harmful", 0]
    assert best["candidate"] == ids[np.argmax(mean)]
    assert worst["candidate"] == ids[np.argmin(mean)]
    assert best["score"] == pytest.approx(mean.max(), rel=1e-3)
    tokens = Pool.open(files / "pool" / "manifest.json").rows(np.array([best["candidate"]]))
    assert best["text"] == load_tokenizer(files / "tokenizer.json").decode(
        tokens[0], skip_special_tokens=False
    ).replace("<|endoftext|>", "\n")
    assert best["source"] == "a"
    assert best["example"] == 100


def test_a_study_that_compares_nothing_is_told(files, tmp_path):
    out = tmp_path / "agreement.parquet", tmp_path / "influence.parquet"
    with pytest.raises(UserError, match=r"attribution\.compare: the study compares no"):
        compare(*out, {}, {}, files, files / "tokenizer.json", {"ridge": 0.3})


def test_features_that_are_there_are_left(files, tmp_path):
    folder, tasks = files / "features0", {"t": files / "task"}
    made = folder / "pool" / "features.npy"

    def again(**changes) -> bool:
        before = made.stat().st_mtime_ns
        spec = {**SPEC, **{k: v for k, v in changes.items() if k != "version"}}
        version = changes.get("version", "")
        features.features(
            folder, files / "run0", files / "pool/manifest.json", tasks, spec, "", version
        )
        return made.stat().st_mtime_ns != before

    assert not again()
    (folder / "t.target" / "manifest.json").unlink()
    assert not again()
    assert (folder / "t.target" / "manifest.json").exists()
    for change in ({"version": "2"}, {"dimension": 32}, {"candidates": 100}):
        assert again(**change)
    assert again()
    made.write_bytes(made.read_bytes()[:-4] + b"spam")
    assert again()
