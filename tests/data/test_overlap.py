"""Overlap of test items with documents: recall of planted copies, and nothing else dropped."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxyscale.data import overlap, overlap_search
from proxyscale.data.overlap import Sought, Standing
from proxyscale.data.words import SEPARATOR, split, words
from proxyscale.study.data_needs import WINDOW

NOTHING = np.zeros(0, np.uint32)
RNG = np.random.default_rng(5)
VOCABULARY = ["".join(RNG.choice(list("abcdefghijklmnop"), 5)) for _ in range(2000)]
DOCUMENTS = [list(RNG.choice(VOCABULARY, 400)) for _ in range(60)]


def text(documents: list[str]) -> np.ndarray:
    parts = [np.append(words(d), SEPARATOR) for d in documents]
    return np.concatenate([NOTHING, *parts]).astype(np.uint32)


HALVES = ([" ".join(d) for d in half] for half in (DOCUMENTS[:30], DOCUMENTS[30:]))
POOL = [(name, text(half)) for name, half in zip("ab", HALVES, strict=True)]


def search(
    tested: list[overlap.Tested], texts: list[tuple[str, np.ndarray]], window: int
) -> tuple[Standing, dict[str, Standing]]:
    """What stands in all texts together, and in each by its name."""
    sought = Sought(tested, window)
    flags = [overlap_search.search([sought], words)[0] for _, words in texts]
    all_of_them, *each = sought.standing([np.bitwise_or.reduce(flags), *flags])
    return all_of_them, dict(zip([name for name, _ in texts], each, strict=True))


def said(question: str, answer: str = "", context: str = "") -> overlap.Tested:
    return overlap.Tested(words(question), words(answer), words(context))


def passages(length: int, count: int = 60) -> list[list[str]]:
    """From the beginning, the middle and the end of documents."""
    rng = np.random.default_rng(length)
    starts = [0, 400 - length, *rng.integers(0, 401 - length, count - 2)]
    return [DOCUMENTS[i][s : s + length] for i, s in zip(range(count), starts, strict=True)]


@pytest.mark.parametrize("length", [8, 9, 12, 20, 50, 150])
@pytest.mark.parametrize("answer", [0, 1, 3])
def test_every_planted_copy_is_found_and_no_shuffled_one(length: int, answer: int) -> None:
    copies, shuffled = passages(length), np.random.default_rng(0)
    cut = length - answer
    planted = [said(" ".join(p[:cut]), " ".join(p[cut:])) for p in copies]
    found, sources = search(planted, POOL, 8)
    assert found.items.all()
    assert sources["a"].items.tolist() == [True] * 30 + [False] * 30
    mixed = [list(shuffled.permutation(p)) for p in copies]
    found, _ = search([said(" ".join(p[:cut]), " ".join(p[cut:])) for p in mixed], POOL, 8)
    assert not found.items.any()


@pytest.mark.parametrize("chunk", [1 << 20, 64])
@pytest.mark.parametrize("question", [4, 7, 10, 30])
def test_question_and_answer_are_found_inside_a_template(
    question: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlap_search, "CHUNK", chunk)
    rng = np.random.default_rng(1)
    pairs = [
        (
            " ".join(rng.choice(VOCABULARY, question)),
            " ".join(rng.choice(VOCABULARY, 8 - min(question, 7))),
        )
        for _ in range(50)
    ]
    pool = text([f"Frage: {q.upper()}?!\n\nThe answer, then -- {a}." for q, a in pairs[:25]])
    apart = text([q for q, _ in pairs[25:]] + [a for _, a in pairs[25:]])
    items = [said(q, a) for q, a in pairs]
    assert search(items, [("a", pool)], 8)[0].items.tolist() == [True] * 25 + [False] * 25
    if question < 10:  # else the question alone is more than half of it
        assert not search(items, [("a", apart)], 8)[0].items.any()


def test_short_items_must_stand_whole_and_contexts_are_told_apart() -> None:
    own = " ".join(DOCUMENTS[0][50:80])
    items = [
        said(" ".join(DOCUMENTS[3][7:12])),
        said(" ".join(DOCUMENTS[3][7:11]), "elsewhere"),
        said("never asked before in any of these documents", "no", own),
        said("?!"),
    ]
    found, _ = search(items, POOL, 8)
    assert found.items.tolist() == [True, False, False, False]
    assert Sought(items, 8).short.tolist() == [True, True, False, True]
    assert found.contexts.tolist() == [False, False, True, False]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_against_a_plain_search(data: st.DataObject) -> None:
    window = 4
    letters = st.lists(st.integers(1, 3), min_size=1, max_size=30)
    documents = data.draw(st.lists(letters, min_size=1, max_size=4))
    items = data.draw(st.lists(letters, min_size=1, max_size=5))
    pool = np.array([w for d in documents for w in [*d, SEPARATOR]], np.uint32)

    def stands(item: list[int]) -> bool:
        size = min(window, len(item))
        seen = {tuple(d[i : i + size]) for d in documents for i in range(len(d) - size + 1)}
        hits = [tuple(item[i : i + size]) in seen for i in range(len(item) - size + 1)]
        return all(hits) if len(item) < window else float(np.mean(hits)) > 0.5

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlap_search, "CHUNK", data.draw(st.sampled_from([8, 1 << 20])))
        asked = [overlap.Tested(np.array(item, np.uint32), NOTHING, NOTHING) for item in items]
        found, _ = search(asked, [("a", pool)], window)
    assert found.items.tolist() == [stands(item) for item in items]


def test_nothing_stands_in_nothing() -> None:
    assert search([said("a b c")], [("a", text([]))], 8)[0].items.tolist() == [False]
    assert search([], POOL, 8)[0].items.tolist() == []


def test_many_test_sets_in_one_pass_stand_as_each_alone() -> None:
    """Windows of other sizes, items in common, halves apart: none disturbs another."""
    pairs = [(" ".join(d[3:7]), " ".join(d[20:24])) for d in DOCUMENTS[:20]]
    sets = [
        Sought([said(" ".join(d[5 : 5 + n])) for n, d in enumerate(DOCUMENTS)], 8),
        Sought([said(*pair, " ".join(DOCUMENTS[n])) for n, pair in enumerate(pairs)], 8),
        Sought([said("never", "said")], 5),
        Sought([], 8),
        Sought([said(*pair) for pair in pairs[10:]] + [said("no such question", "here")], 3),
    ]
    together = overlap_search.search(sets, POOL[0][1])
    for one, flags in zip(sets, together, strict=True):
        assert np.array_equal(flags, overlap_search.search([one], POOL[0][1])[0])
    assert sets[1].standing([together[1]])[0].items.all()
    assert sets[4].standing([together[4]])[0].items.tolist() == [True] * 10 + [False]


def test_what_stands_in_two_shards_together_is_found() -> None:
    """More than half of an item's windows, of which each shard has a part."""
    item = DOCUMENTS[0][:40]
    shards = [text([" ".join(item[:20])]), text([" ".join(item[20:])])]
    found, shards_alone = search([said(" ".join(item))], list(zip("ab", shards, strict=True)), 8)
    assert found.items.all()
    assert not any(one.items.any() for one in shards_alone.values())


def test_words_are_letters_and_digits_in_lower_case() -> None:
    assert split("It's snake_case,\nÜBER 3.14") == ["it", "s", "snake", "case", "über", "3", "14"]
    assert split("北京。是") == ["北", "京", "是"]
    assert split("ﬁne cafe\u0301") == ["fine", "café"]


def peak(words: np.ndarray, sought: list[Sought]) -> int:
    """Bytes allocated at a time while a text is searched."""
    tracemalloc.start()
    overlap_search.search(sought, words)
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def test_memory_grows_with_what_is_sought_and_not_with_the_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(overlap_search, "CHUNK", 1 << 12)
    rng = np.random.default_rng(2)
    words = rng.integers(1, 1 << 32, 400_000, np.uint32)
    words[::500] = SEPARATOR
    few, many = (
        [Sought([overlap.Tested(words[n : n + 400], NOTHING, NOTHING) for n in starts], 8)]
        for starts in (range(1, 40_001, 1000), range(1, 400_001, 1000))
    )
    short, long = (peak(words[:length], few) for length in (40_000, 400_000))
    assert abs(long - short) < 0.1 * short
    per_word = (peak(words, many) - long) / (360 * 400)
    assert per_word < WINDOW
