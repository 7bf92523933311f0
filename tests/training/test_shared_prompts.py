"""Choices of one prompt in one sequence: the losses that each has in a sequence of its own."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.language_runs import shaken

from proxyscale.base import artifacts
from proxyscale.training import evaluate, gpt, language_model

CONTEXT, VOCABULARY = 40, 50
SPEC = {
    "vocabulary": VOCABULARY,
    "context": CONTEXT,
    "width": 32,
    "layers": 2,
    "heads": 2,
    "mlp_ratio": 2,
    "bias": True,
    "tied": True,
    "parametrization": "standard",
    "base_width": 32,
}


class Apart(evaluate.Trained):
    """Every row in a sequence of its own, as of a model that lays nothing out."""

    laid_out = None


@pytest.fixture(scope="module")
def model() -> language_model.LanguageModel:
    return shaken(SPEC, 0.3).eval()


def task(items: list[tuple[int, list[int]]], seed: int = 0) -> pa.Table:
    """Examples of a prompt of so many tokens and answers of so many, the first the right one."""
    draw, rows = np.random.default_rng(seed), []
    for example, (start, sizes) in enumerate(items):
        prompt = draw.integers(0, VOCABULARY, start).tolist()
        for choice, size in enumerate(sizes):
            tokens = [*prompt, *draw.integers(0, VOCABULARY, size).tolist()]
            row = {"example": example, "choice": choice, "gold": not choice, "prompt": "why"}
            rows.append(row | {"tokens": tokens, "scored_from": start})
    return artifacts.conform(pa.Table.from_pylist(rows), "task")


def same(model: language_model.LanguageModel, table: pa.Table, batch_tokens: int = 200) -> None:
    """Sums and counts are equal to 1e-5."""
    together = evaluate.measure(evaluate.Trained(model), table, batch_tokens)
    apart = evaluate.measure(Apart(model), table, batch_tokens)
    np.testing.assert_allclose(together.loss, apart.loss, rtol=1e-5)
    np.testing.assert_allclose(together.margin, apart.margin, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(together.tokens, apart.tokens)
    np.testing.assert_array_equal(together.hits, apart.hits)


@given(
    items=st.lists(
        st.tuples(st.integers(1, CONTEXT + 4), st.lists(st.integers(1, 9), min_size=1, max_size=5)),
        min_size=1,
        max_size=8,
    ),
    batch_tokens=st.sampled_from([1, 100, 4096]),
)
@settings(max_examples=30, deadline=None)
def test_losses_are_those_of_rows_apart(
    model: language_model.LanguageModel, items: list[tuple[int, list[int]]], batch_tokens: int
) -> None:
    same(model, task(items), batch_tokens)


def test_a_prompt_is_computed_once(
    model: language_model.LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, ...]] = []
    for name in ("hidden", "laid_out"):
        real = getattr(gpt.Gpt, name)

        def counted(self, tokens, *rest, real=real):  # type: ignore[no-untyped-def]
            seen.append(tuple(tokens.shape))
            return real(self, tokens, *rest)

        monkeypatch.setattr(gpt.Gpt, name, counted)
    # 33 + 4 · 3 tokens take 48; of two rows at the limit the last token is scored and not read
    cases = {
        (33, (4, 4, 4, 4)): [(1, 48)],
        (CONTEXT, (1, 1)): [(1, 48)],
        (CONTEXT, (1, 2)): [(2, CONTEXT)],  # one row is too long: nobody is left to share with
        (10, (6, 6)): [(2, 16)],  # answers longer than their prompt
        (10, (4, 4, 4)): [(1, 16), (1, 16)],  # two together, and one
        (33, (5,)): [(1, CONTEXT)],
    }
    for (start, sizes), shapes in cases.items():
        seen.clear()
        evaluate.measure(evaluate.Trained(model), task([(start, list(sizes))]))
        assert seen == shapes, (start, sizes)


def test_prompts_that_differ_in_a_token_are_not_shared(
    model: language_model.LanguageModel,
) -> None:
    rows = task([(20, [3, 3, 3])]).to_pylist()
    rows[1]["tokens"][0] = (rows[1]["tokens"][0] + 1) % VOCABULARY
    table = artifacts.conform(pa.Table.from_pylist(rows), "task")
    same(model, table)
    shifted = [row | {"scored_from": 20 - row["choice"]} for row in rows]
    same(model, artifacts.conform(pa.Table.from_pylist(shifted), "task"))
