"""Caps hold always, moves inside them are the nearest, and the optimum of a line is the best."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from proxyscale.base.errors import UserError
from proxyscale.statistics import mixture_search
from proxyscale.statistics.mixture_search import Caps, optimum


@st.composite
def problems(draw):
    """Caps that leave room, tight ones among them, and mixtures that may lie outside."""
    sources = draw(st.integers(2, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    inside = rng.dirichlet(np.full(sources, draw(st.sampled_from([0.2, 1.0, 5.0]))))
    width = draw(st.sampled_from([0.0, 0.01, 0.2, 1.0]))
    low = np.maximum(inside - width * rng.random(sources), 0)
    high = np.minimum(inside + width * rng.random(sources), 1)
    return Caps(low, high), rng.dirichlet(np.ones(sources), 8), rng


def holds(caps: Caps, mixtures: np.ndarray) -> bool:
    within = (mixtures >= caps.low - 1e-8).all() and (mixtures <= caps.high + 1e-8).all()
    return bool(within) and bool(np.allclose(mixtures.sum(axis=-1), 1, atol=1e-7))


@settings(deadline=None, max_examples=25)
@given(problems())
def test_what_is_moved_inside_is_inside_and_nearest(problem):
    caps, mixtures, rng = problem
    moved = caps.moved_inside(mixtures)
    assert holds(caps, moved)
    np.testing.assert_allclose(caps.moved_inside(moved), moved, atol=1e-7)
    others = caps.moved_inside(rng.dirichlet(np.ones(len(caps.low)), 20))
    nearest = ((mixtures[0] - moved[0]) ** 2).sum()
    assert (((mixtures[0] - others) ** 2).sum(axis=1) >= nearest - 1e-9).all()


@settings(deadline=None, max_examples=12)
@given(problems())
def test_the_optimum_of_a_line_is_linear_programmings(problem):
    caps, mixtures, rng = problem
    slope = rng.standard_normal(len(caps.low))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mixture_search, "DRAWN", 50)
        found = optimum(lambda w: w @ slope, mixtures, caps, rng)
    assert holds(caps, found)
    bounds = list(zip(caps.low, caps.high, strict=True))
    best = optimize.linprog(slope, A_eq=np.ones((1, len(slope))), b_eq=[1], bounds=bounds)
    assert found @ slope == pytest.approx(best.fun, abs=1e-5)


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        ([0.5, 0.6], [1, 1], "no mixture fits"),
        ([0, 0], [0.4, 0.5], "no mixture fits"),
        ([0.5, 0], [0.4, 1], "its floor is above its cap"),
    ],
)
def test_caps_that_no_mixture_meets(low, high, told):
    with pytest.raises(UserError, match=told):
        Caps(np.array(low, dtype=float), np.array(high, dtype=float))
