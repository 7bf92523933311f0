"""Measured models in tables: one unit for all, the last step of each, what each cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from proxyscale.base import artifacts
from proxyscale.tables.measured_models import SAME, read_measured, told_models

SPEC = {"tasks": ["t"], "tokens_per_parameter": None}
SIZES = {"1M": 1_000_000, "8M": 8_000_000}


def written(root: Path, apart: bool = False) -> list[dict[str, Any]]:
    """Models of two scales, three recipes and two steps; `apart`: the larger have other tokens."""
    models = []
    for place, (scale, recipe, step) in enumerate(
        (s, r, t) for s in SIZES for r in "abc" for t in ("10", "20")
    ):
        folder = root / scale / recipe / step
        values = {"example": [0, 1], "correct": [1.0, 0.0], "margin": [0.5, 0.25]}
        by_token = pa.table({**values, "loss": [1.0 + place, 2.0], "tokens": [3, 4]})
        by_byte = pa.table({**values, "loss": [0.1 + place / 100, 0.2]})
        artifacts.write(folder / "losses" / "t.parquet", by_token, "run_losses")
        artifacts.write(folder / "bytes" / "t.parquet", by_byte, "run_losses")
        facts = {"scored": {"t": scale if apart else "same"}, "vocabulary": 10**9}
        facts |= {"unread": ["v_head"] if place == 0 else [], "architecture": "Mine"}
        facts |= {"parameters": SIZES[scale], "versions": {"torch": "2"}, "context": 8}
        facts |= {"hub": None, "folder": "f", "commit": None}
        artifacts.write_json(folder / "manifest.json", facts)
        own = {"scale": scale, "recipe": recipe, "seed": "default", "step": step}
        models.append(own | {"parameters": None, "tokens": 100.0 * int(step), "folder": folder})
    return models


def test_of_one_tokenizer_losses_are_nats_per_token(tmp_path: Path) -> None:
    found = read_measured(written(tmp_path), SPEC)
    assert found.notes[0] == SAME
    assert "1 of 12 models have weights that a Mine does not have" in found.notes[1]
    losses = found.losses.to_pandas()
    assert len(losses) == 2 * 3 * 2
    first = losses[(losses["scale"] == "8M") & (losses["distribution"] == "b")]
    assert first["loss"].tolist() == [1.0 + 9, 2.0]
    assert first["tokens"].tolist() == [3, 4]
    assert first["margin"].tolist() == [0.5, 0.25]
    assert set(found.checkpoints["step"].to_pylist()) == {10.0}


def test_of_several_tokenizers_they_are_bits_per_byte_and_words_say_so(tmp_path: Path) -> None:
    found = read_measured(written(tmp_path, apart=True), SPEC)
    assert "different tokenizers (of 2 kinds on t)" in found.notes[0]
    assert "every loss is in bits per byte of the scored text" in found.notes[0]
    losses = found.losses.to_pandas()
    first = losses[(losses["scale"] == "8M") & (losses["distribution"] == "b")]
    np.testing.assert_allclose(first["loss"], [0.19, 0.2], rtol=1e-6)
    assert first["tokens"].isna().all()


def test_runs_cost_what_is_told_and_what_is_counted(tmp_path: Path) -> None:
    models = written(tmp_path)
    runs = read_measured(models, SPEC).runs.to_pandas()
    assert runs["scale"].tolist() == ["1M"] * 3 + ["8M"] * 3
    assert runs["parameters"].tolist() == [1_000_000] * 3 + [8_000_000] * 3
    assert runs["flops"].tolist() == [6 * 1e6 * 2000] * 3 + [6 * 8e6 * 2000] * 3
    assert runs["role"].unique().tolist() == ["outside"]
    for one in models:
        one["tokens"] = None
    told = read_measured(models, SPEC | {"tokens_per_parameter": 20}).runs.to_pandas()
    assert told["tokens"].tolist() == [2e7] * 3 + [1.6e8] * 3
    assert [row["step"] for row in told_models(models)[:2]] == ["10", "20"]
