"""The picture of a proposal: its numbers, and what is left open until it was trained."""

from __future__ import annotations

import pytest
from support.decided import proposal
from support.drawn import make, open_figure


def rows(trained: bool = True) -> list[dict]:
    return make("proposed_mixture", {"style": {}}, proposal=proposal(trained))[1]


def test_shares_stand_beside_those_of_the_best_trained_mixture():
    shares = {(r["role"], r["name"]): r for r in rows() if r["what"] == "share"}
    assert len(shares) == 6
    assert shares["proposal", "code"]["value"] == 0.5
    assert shares["best", "web"]["value"] == 0.4
    assert (shares["proposal", "web"]["low"], shares["proposal", "code"]["high"]) == (0.1, 0.5)


def test_what_was_foretold_stands_against_what_was_measured():
    points = {(r["scale"], r["name"]): r for r in rows() if r["what"] == "mixture"}
    assert points["s", "m1"]["foretold"] == 3.0
    assert points["s", "m1"]["value"] == pytest.approx(3.02)
    assert points["s", "m2"]["role"] == points["l", "m2"]["role"] == "best"
    own = points["s", "proposal"]
    assert (own["foretold"], own["low"], own["high"], own["value"]) == (2.8, 2.7, 2.9, 2.82)
    above = points["l", "natural"]
    assert (above["foretold"], above["low"], above["high"]) == (3.05, 2.71, 2.75)
    assert above["value"] == pytest.approx(2.73)
    assert ("l", "unknown") not in points  # nothing is foretold of shares that nobody knows


def test_a_proposal_that_nobody_trained_has_its_interval_alone():
    points = [r for r in rows(trained=False) if r["what"] == "mixture"]
    assert {r["scale"] for r in points} == {"s"}
    own = next(r for r in points if r["name"] == "proposal")
    assert own["value"] is None
    assert (own["low"], own["high"]) == (2.7, 2.9)


@pytest.mark.parametrize(("trained", "panels"), [(True, 3), (False, 2)])
def test_a_panel_for_shares_and_one_for_each_scale(trained, panels):
    figure = open_figure("proposed_mixture", {"style": {}, "proposal": proposal(trained)})
    assert len(figure.subfigs[0].axes) == panels
    bars = figure.subfigs[0].axes[0].patches
    assert sorted(bar.get_width() for bar in bars) == [0.1, 0.3, 0.3, 0.4, 0.4, 0.5]
