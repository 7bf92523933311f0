"""What is right without a model."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyscale.statistics.guesses import best_guess, guesses, guesses_told


def table(items: Sequence[tuple[str, Sequence[str], int]]) -> pa.Table:
    """Examples as (prompt, choices, number of the right one)."""
    rows = [
        {"example": e, "choice": c, "gold": c == gold, "prompt": prompt, "continuation": choice}
        for e, (prompt, choices, gold) in enumerate(items)
        for c, choice in enumerate(choices)
    ]
    return pa.Table.from_pylist(rows)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (["yes! no"] * 7 + ["yes no!"] * 3, 0.7),
        (["yes! no"] * 4 + ["no yes!"] * 4 + ["no! yes"] * 2, 0.8),  # in any order
        (["a! b c"] * 2 + ["a b! c"] * 2 + ["a b c!"] * 2, 1 / 3),
        (["same! same", "same same!"], 0.5 * 2),  # one answer for all
        (["word!", "word!", "other!"], 2 / 3),
    ],
)
def test_majority_is_the_best_constant_answer(asked: list[str], expected: float) -> None:
    items = []
    for line in asked:
        words = line.split()
        gold = next(n for n, word in enumerate(words) if word.endswith("!"))
        items.append(("p", [word.strip("!") for word in words], gold))
    assert guesses(table(items))["majority"] == pytest.approx(expected)


def test_an_example_does_not_tell_its_own_answer():
    unique = [("p", [f"a{e}", f"b{e}"], e % 2) for e in range(20)]
    assert guesses(table(unique))["majority"] == 0.5
    common = [("p", ["yes", f"b{e}"], 0) for e in range(20)]
    assert guesses(table(common))["majority"] == 1


@pytest.mark.parametrize(
    ("rule", "prompt", "right", "wrong"),
    [
        ("longest", "p", "longer words", "words"),
        ("copy", "the norm of x", "norm", "trace"),
        ("indentation", "    if x:\n", "        go()", "    go()"),
        ("indentation", "    x = 1\n\n", "    y = 2", "y = 2"),
        ("unigram", "the the the of", "the", "of"),
    ],
)
def test_every_rule_takes_what_it_looks_for(rule: str, prompt: str, right: str, wrong: str):
    for gold, expected in ((0, 1.0), (1, 0.0)):
        assert guesses(table([(prompt, [right, wrong], gold)]))[rule] == expected


def test_of_continuations_the_last_known_answer_of_the_prompt_is_copied():
    items = [
        ("x : int\ny : list of str\nWhat is y?", [" list of str"], 0),
        ("a : list of str\nb : int\nWhat is a?", [" list of str"], 0),
        ("z : float\nWhat is z?", [" int"], 0),
    ]
    assert guesses(table(items)) == {"majority": 2 / 3, "copy": 1 / 3}


def test_whole_texts_have_no_right_and_wrong():
    whole = table([("", ["some text"], 0), ("", ["more"], 0)])
    assert guesses(whole) == {}
    assert best_guess(whole) == 0
    assert guesses(whole.slice(0, 0)) == {}


@given(
    st.lists(
        st.tuples(
            st.text("ab :\n", max_size=8),
            st.lists(st.text("ab ", min_size=1, max_size=4), min_size=2, max_size=4),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_over_every_right_answer_a_rule_has_chance(items: list[tuple[str, list[str]]]):
    every = [(prompt, own, gold) for prompt, own in items for gold in range(len(own))]
    found = guesses(table(every))
    weighed = sum(1 for _ in items) / len(every)
    assert found["chance"] == pytest.approx(weighed)
    for rule in ("longest", "copy", "indentation"):
        assert found[rule] == pytest.approx(weighed)
    assert guesses_told(found).startswith(f"chance {weighed:.1%}, majority")
