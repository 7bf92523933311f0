"""n-gram models: against an implementation of few lines, sums of probabilities, planted texts."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest

from proxyscale.selection.ngrams import Ngrams, Text

V = 7


def examples(seed, count=12, length=9, vocabulary=V):
    return np.random.default_rng(seed).integers(0, vocabulary, (count, length)).astype(np.uint16)


class Oracle:
    """Witten–Bell by recursion over dictionaries."""

    def __init__(self, rows, order, vocabulary):
        self.order, self.vocabulary = order, vocabulary
        self.after = defaultdict(Counter)
        for row in rows.tolist():
            for end in range(len(row)):
                for size in range(min(order - 1, end) + 1):
                    self.after[tuple(row[end - size : end])][row[end]] += 1

    def p(self, history, word):
        history = tuple(history)[-(self.order - 1) :] if self.order > 1 else ()
        below = self.p(history[1:], word) if history else 1 / self.vocabulary
        seen = self.after.get(history)
        if not seen:
            return below
        return (seen[word] + len(seen) * below) / (seen.total() + len(seen))


@pytest.mark.parametrize("order", [1, 2, 4])
def test_losses_are_those_of_a_recursion_over_dictionaries(order):
    rows, asked = examples(0), [row[:n] for row, n in zip(examples(1), range(1, 10), strict=False)]
    oracle = Oracle(rows, order, V)
    starts = [min(2, len(row) - 1) for row in asked]
    text = Text.of(asked, starts)
    expected = [
        -np.log(oracle.p(row[:end].tolist(), int(row[end])))
        for row, start in zip(asked, starts, strict=True)
        for end in range(start, len(row))
    ]
    np.testing.assert_allclose(Ngrams(rows, V, order).losses(text), expected, rtol=1e-12)


def test_probabilities_of_all_tokens_sum_to_one():
    counted = Ngrams(examples(0), V)
    for history in ([], [3], [1, 2], [5, 5, 5, 5, 5], examples(0)[2, :5].tolist()):
        rows = [np.array([*history, word]) for word in range(V)]
        losses = counted.losses(Text.of(rows, [len(history)] * V))
        assert np.exp(-losses).sum() == pytest.approx(1)


def test_what_was_read_is_foretold_and_an_unseen_token_has_a_finite_loss():
    counting = (np.arange(12)[:, None] + np.arange(9)) % V
    counted = Ngrams(counting.astype(np.uint16), 60)
    same, turned, unseen = (
        Text.of([row], [4])
        for row in (counting[3], counting[3][::-1], np.array([40, 41, 42, 43, 44, 45]))
    )
    losses = [counted.losses(text).mean() for text in (same, turned, unseen)]
    assert losses[0] < 0.5 < losses[1] < losses[2] < np.inf


def test_no_ngram_reaches_over_the_end_of_an_example():
    rows = np.array([[0, 1], [2, 3]], np.uint16)
    text = Text.of([np.array([1, 2])], [1])
    # 2 after 1 is as likely as after nothing: the two stand in different examples
    alone = Text.of([np.array([2])], [0])
    counted = Ngrams(rows, V)
    assert counted.losses(text) == pytest.approx(counted.losses(alone))
    assert counted.known(text) == pytest.approx([0.5])


def test_known_is_the_mean_share_over_lengths():
    rows = examples(4)
    grams = {
        tuple(row[i : i + size])
        for row in rows.tolist()
        for size in (1, 2, 3, 4)
        for i in range(len(row) - size + 1)
    }
    asked = examples(5)[0]
    found = Ngrams(rows, V).known(Text.of([asked], [0]))
    for end, share in enumerate(found):
        ending = [tuple(asked[end - size : end + 1].tolist()) for size in range(min(4, end + 1))]
        assert share == pytest.approx(np.mean([gram in grams for gram in ending]))
    assert Ngrams(rows, V).known(Text.of([rows[3]], [0])).tolist() == [1.0] * 9
    assert Ngrams(rows, 60).known(Text.of([np.full(4, 50)], [0])).tolist() == [0.0] * 4
