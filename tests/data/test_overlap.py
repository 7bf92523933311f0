"""Overlap of examples with other text, against a plain search."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from proxyscale.data import overlap
from proxyscale.data.pool import window_hashes


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_overlap_against_a_plain_search(data):
    window = 8
    text = np.array(data.draw(st.lists(st.integers(0, 2), min_size=12, max_size=60)))
    rows = data.draw(
        st.lists(st.lists(st.integers(0, 2), min_size=2, max_size=24), min_size=1, max_size=5)
    )
    seen = lambda size: {tuple(text[i : i + size]) for i in range(len(text) - size + 1)}  # noqa: E731

    def stands(row: list[int]) -> bool:
        size = window if len(row) >= window else 4 if len(row) >= 4 else 2
        hits = [tuple(row[i : i + size]) in seen(size) for i in range(len(row) - size + 1)]
        return np.mean(hits) > 0.5 if len(row) >= window else all(hits)

    found = overlap.standing(
        [overlap.Tested(row, []) for row in rows],
        lambda size: [window_hashes(text[None], size)],
        window,
    )
    assert found.tolist() == [stands(row) for row in rows]


def test_a_row_stands_where_more_than_half_of_its_windows_do():
    text = np.arange(100)
    rows = [[*range(copied), *range(200, 220 - copied)] for copied in (13, 14)]  # 6, 7 of 13
    found = overlap.standing(
        [overlap.Tested(row, []) for row in rows],
        lambda size: [window_hashes(text[None], size)],
        8,
    )
    assert found.tolist() == [False, True]


def test_long_answers_are_tested_by_themselves():
    text = np.arange(100)
    answer = list(range(40, 60))
    tested = [
        overlap.Tested([*range(200, 260), *answer], answer),
        overlap.Tested([*range(200, 260)], []),
    ]
    found = overlap.standing(tested, lambda size: [window_hashes(text[None], size)], 32)
    assert found.tolist() == [True, False]


def test_overlap_with_nothing_tests_nothing():
    assert overlap.standing([overlap.Tested([1, 2, 3, 4], [])], lambda size: [], 8).tolist() == [
        False
    ]
    assert overlap.standing([], lambda size: [], 8).tolist() == []
