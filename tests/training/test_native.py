"""Training: the order of examples, the schedule, determinism, divergence, artifacts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from support.tiny_run import LENGTH, ROWS, SPEC, VOCABULARY, write_data

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.data.pool import Pool
from proxyscale.training import batches, language_model, native, schedule


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


def run(data: Path, out: Path, spec: dict[str, Any] = SPEC, **training: Any) -> dict[str, Any]:
    spec = {**spec, "training": {**spec["training"], **training}}
    native.train(out, spec, data / "pool.json", data / "distribution.parquet", "test")
    manifest: dict[str, Any] = artifacts.read_json(out / "manifest.json")
    return manifest


def test_the_same_seed_gives_the_same_bytes(data: Path, tmp_path: Path) -> None:
    first, again = run(data, tmp_path / "a"), run(data, tmp_path / "b")
    other = run(data, tmp_path / "c", {**SPEC, "seed": 1})
    assert (tmp_path / "a/manifest.json").read_bytes() == (
        tmp_path / "b/manifest.json"
    ).read_bytes()
    assert first["files"] == again["files"] != other["files"]


def test_a_runs_first_weights_are_those_of_its_seed() -> None:
    first, other = (native.Run({**SPEC, "seed": seed}, 1).model.state_dict() for seed in (0, 3))
    expected = language_model.build(SPEC["model"], 3).state_dict()
    assert all(torch.equal(other[name], expected[name]) for name in expected)
    assert any(not torch.equal(other[name], first[name]) for name in expected)


def test_it_learns_and_tells_what_it_did(data: Path, tmp_path: Path) -> None:
    facts = run(data, tmp_path)
    parameters = sum(p.numel() for p in language_model.build(SPEC["model"]).parameters())
    assert facts["final_loss"] < 0.8 * math.log(VOCABULARY)
    assert facts["parameters"] == parameters
    assert facts["tokens"] == 40 * 128
    assert facts["flops"] == 6 * parameters * 40 * 128
    assert facts["epochs"] == pytest.approx(40 * 8 / 30, abs=1e-4)
    curve = artifacts.read(tmp_path / "curve.parquet", "curve").to_pydict()
    assert curve["step"] == list(range(1, 41))
    assert curve["tokens"][-1] == 40 * 128
    assert curve["loss"][0] == pytest.approx(math.log(VOCABULARY))
    assert max(curve["lr"]) == pytest.approx(3e-2)
    assert curve["seconds"] == sorted(curve["seconds"])


def test_a_step_is_that_of_a_plain_loop(data: Path) -> None:
    """Against torch's own loss, clipping and optimizer, on the default parametrization."""
    training = {**SPEC["training"], "clip": 0.05, "learning_rate": 1e-2}
    spec = {**SPEC, "training": {**training, "hidden_learning_rate": 4e-3}}
    ours = native.Run(spec, 5)
    model = language_model.build(spec["model"], seed=0)
    hidden = model.hidden_matrices()
    others = [p for p in model.parameters() if not any(p is matrix for matrix in hidden)]
    groups = [{"params": hidden, "lr": 4e-3 * 32 / 16}, {"params": others, "lr": 1e-2}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.0)
    peaks = [group["lr"] for group in optimizer.param_groups]
    generator = torch.Generator().manual_seed(0)
    for step in range(5):
        pieces = torch.randint(VOCABULARY, (8, LENGTH), generator=generator)
        ours.step(step, pieces)
        loss = F.cross_entropy(model(pieces[:, :-1]).flatten(0, 1), pieces[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.05)
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * schedule.rate_factor(step, 5, 0, 0.1)
        optimizer.step()
        assert ours.losses[step].item() == pytest.approx(loss.item(), abs=1e-5)


@given(
    ids=st.lists(st.integers(0, 10**6), min_size=1, max_size=40, unique=True),
    count=st.integers(1, 150),
    draw=st.integers(0, 5),
    seed=st.integers(0, 5),
)
def test_order_shows_every_example_once_an_epoch(
    ids: list[int], count: int, draw: int, seed: int
) -> None:
    order = batches.order(np.array(ids), count, draw, seed)
    assert len(order) == count
    for start in range(0, count, len(ids)):
        epoch = order[start : start + len(ids)]
        assert len(set(epoch)) == len(epoch)
        assert set(epoch) <= set(ids)
    longer = batches.order(np.array(ids), count + 17, draw, seed)
    np.testing.assert_array_equal(longer[:count], order)


def test_order_changes_with_seed_draw_and_epoch() -> None:
    ids = np.arange(50)
    orders = [batches.order(ids, 100, draw, seed) for draw, seed in ((0, 0), (0, 1), (1, 0))]
    parts = [tuple(part) for order in orders for part in (order[:50], order[50:])]
    assert len(set(parts)) == 6


def test_an_order_of_its_own_differs_by_scale_and_holds_the_same_examples(data: Path) -> None:
    pool, ids = Pool.open(data / "pool.json"), np.arange(30)
    orders = [
        batches.Batches({**SPEC, **own}, pool, ids).order.tolist()
        for own in ({}, {"order": "xs"}, {"order": "ref"}, {"order": "ref"})
    ]
    assert orders[2] == orders[3]
    assert len({tuple(order) for order in orders}) == 3
    assert all(sorted(order[:30]) == ids.tolist() for order in orders)


def test_a_smaller_context_sees_the_same_rows_in_pieces(data: Path) -> None:
    pool, ids = Pool.open(data / "pool.json"), np.arange(30)
    whole = batches.Batches(SPEC, pool, ids)
    model = {**SPEC["model"], "context": 4}
    training = {**SPEC["training"], "batch_tokens": 24, "tokens": 40 * 24}
    cut = batches.Batches({**SPEC, "model": model, "training": training}, pool, ids)
    tokens = np.concatenate([cut[step].ravel() for step in range(len(cut))])
    assert cut[0].shape == (6, 4)
    assert cut.epochs == pytest.approx(40 * 24 / 16 / 30)
    expected = np.concatenate([whole[step].ravel() for step in range(len(whole))])
    np.testing.assert_array_equal(tokens, expected[: len(tokens)])


def test_draws_train_on_their_own_examples(data: Path) -> None:
    ids = [batches.draw_ids(data / "distribution.parquet", draw) for draw in (0, 1)]
    np.testing.assert_array_equal(np.concatenate(ids), np.arange(ROWS))
    with pytest.raises(UserError, match="no draw 2"):
        batches.draw_ids(data / "distribution.parquet", 2)


def test_rates_warm_up_and_fall_along_a_cosine() -> None:
    rates = [schedule.rate_factor(step, 100, 10, 0.1) for step in range(100)]
    assert rates[:10] == pytest.approx([i / 10 for i in range(1, 11)])
    assert rates[10] == 1
    assert rates[55] == pytest.approx(0.55)
    assert rates == sorted(rates[:10]) + sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.1, abs=1e-3)


@pytest.mark.parametrize("rate", [300.0, math.inf])
def test_a_diverged_run_is_an_error_with_a_hint(data: Path, tmp_path: Path, rate: float) -> None:
    with pytest.raises(UserError, match=r"diverged(.|\n)*lower learning_rate"):
        run(data, tmp_path, learning_rate=rate, hidden_learning_rate=rate)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("model", "training", "where"),
    [
        ({"context": 5}, {}, "context"),
        ({}, {"batch_tokens": 24}, "batch_tokens"),
        ({}, {"tokens": 64}, "tokens"),
        ({"vocabulary": 30}, {}, "vocabulary"),
    ],
)
def test_a_scale_that_does_not_fit_the_pool(
    data: Path, tmp_path: Path, model: dict[str, int], training: dict[str, int], where: str
) -> None:
    spec = {**SPEC, "model": {**SPEC["model"], **model}}
    with pytest.raises(UserError) as error:
        run(data, tmp_path, spec, **training)
    assert error.value.where == where


def test_calibration_times_some_steps_and_multiplies(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([10.0, 10.0 + native.CALIBRATION * 0.5])
    monkeypatch.setattr(native.Run, "clock", lambda run: next(ticks))
    training = {**SPEC["training"], "tokens": 128 * 10**6}
    assert native.calibrate(SPEC["model"], training) == pytest.approx(0.5 * 10**6)
