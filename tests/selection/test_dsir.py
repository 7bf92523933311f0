from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyscale.selection.classifier import fitted, probability
from proxyscale.selection.dsir import NgramCounter, bucket, log_importance

TEXTS = [
    "def add(a, b):\n    return a + b  # ADD, don't subtract",
    "",
    "Ünïcode ﬁne: İstanbul 東京 x²",
    "x",
    "a a a a",
    "...!? __init__(self)",
]


def direct_counts(text: str, buckets: int) -> np.ndarray:
    words = re.findall(r"\w+|[^\w\s]+", text.lower())
    counts = np.zeros(buckets, dtype=int)
    for ngram in words + [" ".join(pair) for pair in itertools.pairwise(words)]:
        counts[bucket(ngram, buckets)] += 1
    return counts


@given(st.lists(st.text(alphabet="ab .,X\n", max_size=30), max_size=8), st.integers(1, 50))
def test_counts_equal_a_direct_count(texts, buckets):
    counts = NgramCounter(buckets)(texts).toarray()
    assert counts.shape == (len(texts), buckets)
    for row, text in zip(counts, texts, strict=True):
        assert np.array_equal(row, direct_counts(text, buckets))


def test_chunks_change_nothing(monkeypatch):
    whole = NgramCounter()(TEXTS).toarray()
    monkeypatch.setattr("proxyscale.selection.dsir.CHUNK", 2)
    assert np.array_equal(NgramCounter()(TEXTS).toarray(), whole)


def test_counts_and_weights_equal_the_package():
    package = pytest.importorskip("data_selection.hashed_ngram_dsir")
    target = ["return a - b", "def f(x): pass"]
    count = NgramCounter()
    raw_counts, target_counts = count(TEXTS), count(target)
    for row, text in zip(raw_counts.toarray(), TEXTS, strict=True):
        assert np.array_equal(row, package.get_ngram_counts(text))
    raw = sum(package.get_ngram_counts(text) for text in TEXTS)
    wanted = sum(package.get_ngram_counts(text) for text in target)
    difference = np.log(wanted / wanted.sum() + 1e-8) - np.log(raw / raw.sum() + 1e-8)
    expected = [difference @ package.get_ngram_counts(text) for text in TEXTS]
    assert np.allclose(log_importance(raw_counts, target_counts), expected, rtol=1e-12, atol=0)


def test_the_classifier_prefers_the_target_whatever_the_length():
    count = NgramCounter(500)
    raw = count(["iron zinc lead " * n for n in range(1, 9)] + ["heron owl wren"])
    score = probability(fitted(raw, count(["owl heron", "wren owl heron owl"])), raw)
    assert score.argmax() == 8
    assert np.all((score > 0) & (score < 1))
    assert np.ptp(score[:8]) < 0.25
