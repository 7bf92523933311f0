"""Per-example losses: exact, independent of batches, each scored token once, stale ones alone."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.language_runs import shaken

from proxyscale.base import artifacts, seals
from proxyscale.training import evaluate, language_model

CONTEXT, VOCABULARY = 24, 60
SPEC = {
    "vocabulary": VOCABULARY,
    "context": CONTEXT,
    "width": 32,
    "layers": 2,
    "heads": 2,
    "mlp_ratio": 4,
    "bias": False,
    "tied": False,
    "parametrization": "mup",
    "base_width": 32,
}


@pytest.fixture(scope="module")
def model() -> language_model.LanguageModel:
    return shaken(SPEC, 0.2).eval()


def task(rows: list[tuple[int, int, bool, list[int], int]], prompt: str = "why") -> pa.Table:
    """A task of (example, choice, gold, tokens, scored_from)."""
    names = ("example", "choice", "gold", "tokens", "scored_from")
    table = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])
    return artifacts.conform(table.append_column("prompt", [[prompt] * len(rows)]), "task")


def random_task(count: int, seed: int = 0, longest: int = CONTEXT + 1) -> pa.Table:
    generator = np.random.default_rng(seed)
    rows = []
    for example in range(count):
        tokens = generator.integers(0, VOCABULARY, generator.integers(2, longest + 1)).tolist()
        rows.append((3 * example, 0, True, tokens, int(generator.integers(1, len(tokens)))))
    return task(rows)


def plain(model: language_model.LanguageModel, tokens: list[int], start: int) -> torch.Tensor:
    """Log probabilities in float64 at the scored positions of one row: [scored, vocabulary]."""
    double = language_model.build(SPEC).double()
    double.load_state_dict(model.state_dict())
    with torch.no_grad():
        logits = double(torch.tensor([tokens[:-1]]))[0, start - 1 :]
    return logits.log_softmax(-1)


def test_losses_are_those_of_a_plain_float64_computation(
    model: language_model.LanguageModel,
) -> None:
    table = random_task(60)
    measured = evaluate.losses(model, table).to_pylist()
    for row, got in zip(table.to_pylist(), measured, strict=True):
        start, gold = row["scored_from"], row["tokens"][row["scored_from"] :]
        log = plain(model, row["tokens"], start)
        chosen = log[range(len(gold)), gold]
        assert got["example"] == row["example"]
        assert got["tokens"] == len(gold)
        assert got["loss"] == pytest.approx(-chosen.mean().item(), abs=1e-5)
        margin = chosen - torch.log1p(-chosen.exp())
        assert got["margin"] == pytest.approx(margin.mean().item(), abs=1e-5)
        assert got["correct"] == (log.argmax(-1).tolist() == gold)


@given(batch_tokens=st.integers(1, 600), seed=st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_losses_do_not_depend_on_the_batch(
    model: language_model.LanguageModel, batch_tokens: int, seed: int
) -> None:
    table = random_task(25, seed, longest=40)
    expected = evaluate.losses(model, table)
    got = evaluate.losses(model, table, batch_tokens=batch_tokens)
    for name in ("loss", "margin"):
        np.testing.assert_allclose(got[name], expected[name], atol=1e-6, rtol=1e-6)
    assert got["correct"] == expected["correct"]


def test_losses_do_not_depend_on_the_order_of_the_rows(model: language_model.LanguageModel) -> None:
    table = random_task(25)
    turned = table.take(np.arange(25)[::-1])
    expected, got = evaluate.losses(model, table), evaluate.losses(model, turned)
    np.testing.assert_allclose(got["loss"].to_numpy()[::-1], expected["loss"], atol=1e-6)
    assert got["example"].to_pylist()[::-1] == expected["example"].to_pylist()


@given(length=st.integers(2, 40), data=st.data(), context=st.integers(1, 12))
def test_every_scored_token_lies_in_one_piece(
    length: int, data: st.DataObject, context: int
) -> None:
    start = data.draw(st.integers(1, length - 1))
    cut = list(evaluate.pieces(np.arange(length), start, context))
    scored = [token for piece in cut for token in piece.tokens[piece.scored_from :]]
    assert scored == list(range(start, length))
    for piece in cut:
        assert 1 <= piece.scored_from < len(piece.tokens) <= context + 1
        assert np.all(np.diff(piece.tokens) == 1)
    if length - start <= context:
        assert len(cut) == 1


def test_a_long_prompt_loses_its_beginning(model: language_model.LanguageModel) -> None:
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, 50).tolist()
    long = evaluate.losses(model, task([(0, 0, True, tokens, 45)]))
    short = evaluate.losses(model, task([(0, 0, True, tokens[-25:], 20)]))
    assert long == short


def test_correct_with_choices_is_the_lowest_mean_loss(model: language_model.LanguageModel) -> None:
    generator = np.random.default_rng(0)
    rows = []
    for example, choice in itertools.product(range(40), range(3)):
        tokens = generator.integers(0, VOCABULARY, 6 + generator.integers(1, 9)).tolist()
        rows.append((example, choice, choice == example % 3, tokens, 6))
    means = [-_chosen(model, tokens, 6).mean().item() for _, _, _, tokens, _ in rows]
    best = np.reshape(means, (40, 3)).argmin(1)
    got = evaluate.losses(model, task(rows))
    assert got["correct"].to_pylist() == (best == np.arange(40) % 3).tolist()
    gold = np.reshape(means, (40, 3))[np.arange(40), np.arange(40) % 3]
    np.testing.assert_allclose(got["loss"], gold, atol=1e-5)


@pytest.mark.parametrize("batch_tokens", [1, 4096])
def test_a_tie_of_k_choices_counts_one_kth(
    model: language_model.LanguageModel, batch_tokens: int
) -> None:
    prompt, low, high = [1, 2, 3], *_two_ends(model, [1, 2, 3])
    offered = [[low] * 4, [high] * 2 + [low], [low, low, high], [high, low, low]]
    rows = [
        (example, choice, choice == 0, [*prompt, token], 3)
        for example, tokens in enumerate(offered)
        for choice, token in enumerate(tokens)
    ]
    # The tied rows lie in batches of other lengths, too.
    rows += [(9 + n, 0, True, [5] * (n + 2), 1) for n in range(20)]
    got = evaluate.losses(model, task(rows), batch_tokens=batch_tokens)
    assert got["correct"].to_pylist()[:4] == pytest.approx([1 / 4, 1 / 2, 0, 1])


def _two_ends(model: language_model.LanguageModel, prompt: list[int]) -> tuple[int, int]:
    """The least and the most likely token behind a prompt."""
    order = plain(model, [*prompt, 0], len(prompt))[-1].argsort().tolist()
    return order[0], order[-1]


def _chosen(model: language_model.LanguageModel, tokens: list[int], start: int) -> torch.Tensor:
    return plain(model, tokens, start)[range(len(tokens) - start), tokens[start:]]


def test_correct_without_choices_is_greedy_exact_match(model: language_model.LanguageModel) -> None:
    tokens = [1, 2, 3, 4]
    for _ in range(4):
        tokens.append(int(plain(model, [*tokens, 0], len(tokens))[-1].argmax()))
    wrong = [*tokens[:-1], (tokens[-1] + 1) % VOCABULARY]
    got = evaluate.losses(model, task([(0, 0, True, tokens, 4), (1, 0, True, wrong, 4)]))
    assert got["correct"].to_pylist() == [True, False]


def test_whole_sequences_are_neither_correct_nor_wrong(model: language_model.LanguageModel) -> None:
    got = evaluate.losses(model, task([(0, 0, True, [1, 2, 3], 1)], prompt=""))
    assert got["probability"].to_pylist() == [None]
    assert got["correct"].to_pylist() == [None]


@pytest.mark.parametrize("counts", [[1, 1, 1], [2, 3, 4]])
def test_probability_and_lead_are_those_of_whole_answers(
    model: language_model.LanguageModel, counts: list[int]
) -> None:
    generator = np.random.default_rng(3)
    rows = [
        (example, choice, choice == count - 1, generator.integers(0, VOCABULARY, 9).tolist(), start)
        for example, count in enumerate(counts)
        for choice, start in zip(range(count), (5, 7, 6, 8), strict=False)
    ]
    got = evaluate.losses(model, task(rows)).to_pylist()
    for example, count in enumerate(counts):
        mine = [row for row in rows if row[0] == example]
        nats = []
        for *_, tokens, start in mine:
            log = plain(model, tokens, start)
            nats.append(-log[range(len(log)), tokens[start:]].sum().item())
        each = np.exp(-np.array(nats))
        expected = each[-1] / each.sum() if count > 1 else each[-1]
        assert got[example]["probability"] == pytest.approx(expected, rel=1e-4)
        means = [n / (9 - row[4]) for n, row in zip(nats, mine, strict=True)]
        if count == 1:
            assert got[example]["lead"] is None
        else:
            assert got[example]["lead"] == pytest.approx(min(means[:-1]) - means[-1], abs=1e-4)
            assert (got[example]["lead"] > 0) == (got[example]["correct"] == 1)


def test_a_model_without_opinion_guesses_the_first_token_as_argmax_does() -> None:
    model = language_model.build(SPEC, seed=0)
    got = evaluate.losses(model, task([(0, 0, True, [1, 2, 0], 2), (1, 0, True, [1, 2, 3], 2)]))
    assert got["correct"].to_pylist() == [True, False]
    np.testing.assert_allclose(got["loss"], np.log(VOCABULARY), rtol=1e-6)


@given(
    logits=st.lists(st.floats(-30, 30, width=32), min_size=2, max_size=6),
    shift=st.floats(-50, 50, width=32),
)
def test_margins_are_exact_where_the_probability_rounds_to_one(
    logits: list[float], shift: float
) -> None:
    values = torch.tensor([logits]) + shift
    others = values[0, 1:].double().logsumexp(0)
    margin = (values[0, 0].double() - others).item()
    loss, got, hit = evaluate.score(values.clone(), torch.tensor([0]))
    assert got.item() == pytest.approx(margin, rel=1e-5, abs=1e-5)
    assert loss.item() == pytest.approx(np.log1p(np.exp(-margin)), rel=1e-5, abs=1e-5)
    assert hit.item() == (values.argmax().item() == 0)


def test_no_examples_no_losses(model: language_model.LanguageModel) -> None:
    empty = artifacts.SCHEMAS["task"].empty_table()
    assert len(artifacts.conform(evaluate.losses(model, empty), "run_losses")) == 0


@pytest.fixture
def study(tmp_path: Path, model: language_model.LanguageModel) -> dict[str, Any]:
    run = tmp_path / "run"
    language_model.save(language_model.weights(model), run / "model.safetensors")
    artifacts.write_json(run / "manifest.json", {"model": SPEC, "precision": "fp32"})
    for name in ("one", "two"):
        artifacts.write(tmp_path / name / "holdout.parquet", random_task(5), "task")
        artifacts.write_json(tmp_path / name / "manifest.json", {"kept": 5})
    folders = {name: tmp_path / name for name in ("one", "two")}
    return {"out": run / "losses", "run": run, "tasks": folders, "title": "t", "version": "1"}


def times(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in out.glob("*.parquet")}


def test_nothing_is_measured_twice(study: dict[str, Any]) -> None:
    evaluate.evaluate(**study)
    first = times(study["out"])
    evaluate.evaluate(**study)
    assert times(study["out"]) == first
    assert set(first) == {"one.parquet", "two.parquet"}


@pytest.mark.parametrize("change", ["task", "bytes", "missing"])
def test_a_stale_task_alone_is_measured_again(study: dict[str, Any], change: str) -> None:
    evaluate.evaluate(**study)
    expected = (study["out"] / "one.parquet").read_bytes()
    first = times(study["out"])
    if change == "task":
        artifacts.write_json(study["tasks"]["one"] / "manifest.json", {"kept": 5, "seed": 1})
    elif change == "bytes":
        (study["out"] / "one.parquet").write_bytes(b"half")
    else:
        (study["out"] / "one.parquet").unlink()
    evaluate.evaluate(**study)
    second = times(study["out"])
    assert second["one.parquet"] != first["one.parquet"]
    assert second["two.parquet"] == first["two.parquet"]
    assert (study["out"] / "one.parquet").read_bytes() == expected


def test_checkpoints_are_measured_as_the_end_is(study: dict[str, Any]) -> None:
    run, shares = study["run"], (0.25, 0.5)
    ends = language_model.weights(language_model.load(run))
    kept = {f"{share:g}/{n}": share * t for share in shares for n, t in ends.items()}
    with artifacts.atomic(run / "kept.safetensors") as temporary:
        safetensors.torch.save_file(kept, temporary, seals.HEADER)
    facts = artifacts.read_json(run / "manifest.json")
    artifacts.write_json(run / "manifest.json", {**facts, "checkpoints": [0.25, 0.5]})
    evaluate.evaluate(**study)
    first = times(study["out"])
    assert set(first) == {f"{t}{s}.parquet" for t in ("one", "two") for s in ("", "@0.25", "@0.5")}
    for share in shares:
        found = artifacts.read(study["out"] / f"one@{share:g}.parquet", "run_losses")
        table = artifacts.read(study["tasks"]["one"] / "holdout.parquet", "task")
        expected = evaluate.losses(language_model.load(run, share), table)
        assert found["loss"].to_pylist() == expected["loss"].to_pylist()
    (study["out"] / "two@0.5.parquet").unlink()
    evaluate.evaluate(**study)
    second = times(study["out"])
    assert {name for name in first if first[name] != second[name]} == {"two@0.5.parquet"}


def test_a_new_version_of_the_code_measures_all_again(study: dict[str, Any]) -> None:
    evaluate.evaluate(**study)
    first = times(study["out"])
    evaluate.evaluate(**{**study, "version": "2"})
    second = times(study["out"])
    assert not set(first.items()) & set(second.items())


def test_measured_in_bf16_losses_are_near_and_are_measured_again_in_float32(
    study: dict[str, Any],
) -> None:
    def found() -> np.ndarray:
        return artifacts.read(study["out"] / "one.parquet", "run_losses")["loss"].to_numpy()

    evaluate.evaluate(**study)
    exact, first = found(), times(study["out"])
    evaluate.evaluate(**study, precision="bf16")
    half = found()
    assert not np.array_equal(half, exact)
    np.testing.assert_allclose(half, exact, atol=0.05)
    assert not set(first.items()) & set(times(study["out"]).items())
    evaluate.evaluate(**study, precision="fp32")
    np.testing.assert_array_equal(found(), exact)
