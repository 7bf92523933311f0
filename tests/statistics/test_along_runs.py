"""Noise along a run: the sd about a trend of one's own, without what a schedule gives to all."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from support.tidy_tables import rows, tables

from proxyscale.base import artifacts
from proxyscale.statistics.along_runs import about_trend, checkpoint_noise
from proxyscale.statistics.gathering import gathered
from proxyscale.statistics.grid_reading import read_grid

SHARES = np.array([0.5, 0.6, 0.7, 0.8, 1.0])


def drawn(rng, runs, sd):
    """Runs with a level and a slope of their own, and the bend of one schedule."""
    level, slope = rng.standard_normal((2, runs, 1))
    return 3 + level + slope * SHARES + 5 * SHARES**3 + sd * rng.standard_normal((runs, 5))


@pytest.mark.parametrize("runs", [2, 20])
def test_the_sd_about_the_trend_is_that_of_the_noise(runs):
    rng = np.random.default_rng(0)
    found = [about_trend(drawn(rng, runs, 0.1), SHARES) for _ in range(2000)]
    assert {degrees for _, degrees in found} == {(runs - 1) * 3}
    assert np.mean([sd**2 for sd, _ in found]) == pytest.approx(0.01, rel=0.05)


def test_of_one_run_it_is_the_residual_of_a_line():
    losses = np.random.default_rng(1).standard_normal((1, 5))
    sd, degrees = about_trend(losses, SHARES)
    left = losses[0] - np.polyval(np.polyfit(SHARES, losses[0], 1), SHARES)
    assert (sd, degrees) == (pytest.approx(np.sqrt((left**2).sum() / 3)), 3)


def study(seeds=2, n=8):
    rng = np.random.default_rng(2)
    levels = rng.standard_normal((n, 1, 1))
    values = {
        scale: levels + drawn(rng, n * seeds, sd).reshape(n, seeds, 5)
        for scale, sd in (("s", 0.2), ("ref", 0.05))
    }
    losses, runs = tables({scale: {"t": v[..., -1]} for scale, v in values.items()})
    early = []
    for place, share in enumerate(SHARES[:-1]):
        part, _ = tables({scale: {"t": v[..., place]} for scale, v in values.items()})
        early.append(part.append_column("step", pa.repeat(pa.scalar(share), len(part))))
    return values, losses, runs, artifacts.conform(pa.concat_tables(early), "checkpoints")


def noise(losses, runs, early, groups=None):
    grid = read_grid(losses, runs)
    options = {"reference": "ref", "groups": groups or {}, "confidence": 0.95}
    return checkpoint_noise(gathered(losses), early, grid, **options)


def test_rows_stand_beside_the_seed_noise_for_proxy_and_reference():
    values, losses, runs, early = study()
    found = noise(losses, runs, early, {"near": ["d0", "d1", "d2"]})
    for name, scale in (("checkpoint_sd", "s"), ("reference_checkpoint_sd", "ref")):
        for group, chosen in (("all", slice(None)), ("near", slice(3))):
            row = rows(found, statistic=name, group=group)[0]
            mine = values[scale][chosen].reshape(-1, 5)
            assert row["value"] == pytest.approx(about_trend(mine, SHARES)[0])
            assert row["low"] < row["value"] < row["high"]
            assert (row["proxy"], row["unit"], row["level"]) == ("s", "loss", "distribution")
            told = rows(found, statistic=name.replace("sd", "signal_to_noise"), group=group)[0]
            signal = values[scale][chosen, :, -1].mean(axis=1).std(ddof=1)
            assert told["value"] == pytest.approx(signal / row["value"])


def test_of_two_checkpoints_nothing_is_told():
    _, losses, runs, early = study()
    one = early.filter(pa.compute.equal(early["step"], 0.8))
    assert len(noise(losses, runs, one)) == 0
    assert len(noise(losses, runs, early)) == 4
