"""Fields that are not what they should be: nothing is made up, everything is accounted for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from data.test_tasks import make_records, tokenizer, world  # noqa: F401 (fixtures)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxyscale import registry
from proxyscale.base.errors import UserError
from proxyscale.data import task_kinds  # noqa: F401 (registers the kinds)
from proxyscale.data.raw_record import Dropped
from proxyscale.data.task_items import Item, Record

FULL: dict[str, dict[str, Any]] = {
    "squad": {"context": "It is in Oslo.", "question": "Where?", "answers": {"text": ["Oslo"]}},
    "trivia": {"question": "Where?", "answer": {"value": "Oslo"}},
    "hellaswag": {
        **{"activity_label": "a", "ctx_a": "b c", "ctx_b": "d"},
        **{"endings": ["e", "f"], "label": 1},
    },
    "icl": {"context": "It is in", "continuation": "Oslo"},
    "lambada": {"text": "It is in Oslo"},
    "text": {"text": "It is in Oslo"},
}


def made(kind: str, *records: dict[str, Any], **options: Any) -> list[Item | Dropped]:
    return list(registry.task[kind]((Record(r, f"r{i}") for i, r in enumerate(records)), **options))


@pytest.mark.parametrize("kind", FULL)
@pytest.mark.parametrize("value", [None, "", " \n", ["a", "b"], 7, {"x": "y"}, True])
def test_what_is_no_text_is_never_shown(kind: str, value: Any) -> None:
    for field in FULL[kind]:
        if (kind, field) == ("hellaswag", "label") and value in (7, True):
            continue
        blank = field == "ctx_b" and isinstance(value, str)  # as HellaSwag often has it
        (one,) = made(kind, {**FULL[kind], field: value})
        listed = value == ["a", "b"] and field in ("answer", "endings")
        assert isinstance(one, Item) == (blank or listed)


def test_white_space_around_answers_is_no_part_of_them() -> None:
    (one,) = made("squad", {**FULL["squad"], "answers": {"text": [" Oslo\n"]}})
    assert one.choices == (" Oslo",)
    (one,) = made("icl", {"query": "q", "choices": [" a ", "b\n"], "gold": 0})
    assert one.choices == ("a", "b")


@pytest.mark.parametrize("space", [" ", "\n", "\t", "\u00a0", "\u3000", "\n\n", " \n ", "\r\n"])
def test_any_white_space_parts_the_last_word(space: str) -> None:
    (one,) = made("lambada", {"text": f"Line one{space}two{space}Oslo{space}"})
    assert one.choices[0].strip() == "Oslo"
    assert one.prompt + one.choices[0] == f"Line one{space}two{space}Oslo"
    (none,) = made("lambada", {"text": "北京是中国的首都"})
    assert none == Dropped("r0", "a passage of one word")


# --- Right choices


@settings(max_examples=60, deadline=None)
@given(
    gold=st.lists(st.integers(0, 3), min_size=1, max_size=12),
    start=st.integers(0, 1),
    word=st.booleans(),
)
def test_labels_are_counted_from_where_they_begin(gold: list[int], start: int, word: bool) -> None:
    numbers = [g + start for g in gold]
    records = [{"q": "x", "y": str(n) if word else n} for n in numbers]
    options = {"prompt": "{q}", "choices": ["a", "b", "c", "d"], "gold": "y"}
    told = [one.gold for one in made("prompt", *records, **options, first_label=start)]
    assert told == gold
    if 4 in numbers or 0 in numbers:
        assert [one.gold for one in made("prompt", *records, **options)] == gold


def test_both_counts_in_one_set_are_a_mistake() -> None:
    records = [{"q": "x", "y": n} for n in (2, 0)]
    with pytest.raises(UserError, match="first_label"):
        made("prompt", *records, prompt="{q}", choices=["a", "b"], gold="y")


def test_labels_letters_and_texts() -> None:
    stem = {
        "stem": "Where?",
        "choices": [{"label": "A", "text": "oven"}, {"label": "B", "text": "river"}],
    }
    options = {"prompt": "{question.stem} ", "choices": "question.choices", "gold": "answerKey"}
    for key, gold in (("A", 0), ("B", 1), ("river", 1)):
        (one,) = made("prompt", {"question": stem, "answerKey": key}, **options)
        assert (one.prompt, one.choices, one.gold) == ("Where? ", ("oven", "river"), gold)
    arc = {"q": "x", "choices": {"text": ["a", "b"], "label": ["1", "2"]}, "answerKey": "2"}
    (one,) = made("prompt", arc, prompt="{q}", choices="choices", gold="answerKey")
    assert one.gold == 1
    options = {"prompt": "{q}", "choices": ["x", "y"], "gold": "y", "labels": ["no", "yes"]}
    (one,) = made("prompt", {"q": "x", "y": "yes"}, **options)
    assert one.gold == 1


def test_lists_of_answers_and_llm_foundrys_files() -> None:
    record = {"question": "when", "answer": ["1 May", "May"]}
    for kind, options in (
        ("trivia", {}),
        ("prompt", {"prompt": "{question}", "continuation": " {answer}"}),
    ):
        (one,) = made(kind, record, **options)
        assert (one.choices, one.others) == ((" 1 May",), ("May",))
    (one,) = made("icl", {"context": "Who?", "answer": "Ada", "aliases": ["Ada", "A. Lind"]})
    assert (one.prompt, one.choices, one.others) == ("Who? ", ("Ada",), ("A. Lind",))
    options = ["The case because the case", "The case because the trophy"]
    (one,) = made("icl", {"context_options": options, "continuation": "was.", "gold": 1})
    assert [one.prompt_of(i) for i in range(2)] == [f"{option} " for option in options]
    assert (one.choices, one.gold) == (("was.", "was."), 1)


# --- Accounts


BAD = [
    {"question": None},
    {"reply": "x"},
    {"question": 3},
    {"question": ""},
    {"question": "\ud800"},
]


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    good=st.integers(6, 30),
    bad=st.lists(st.sampled_from(BAD), max_size=6),
    twice=st.integers(0, 3),
    examples=st.integers(1, 40),
)
def test_every_record_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory,
    world: dict[str, Any],  # noqa: F811
    good: int,
    bad: list[dict[str, Any]],
    twice: int,
    examples: int,
) -> None:
    fine = [{"question": f"what is {n}", "reply": f"zq{n}"} for n in range(good)]
    records = [*fine, *({"reply": "x", **one} for one in bad), *fine[:twice]]
    options = {"prompt": "Question: {question}? ", "continuation": "{reply}"}
    out: Path = tmp_path_factory.mktemp("task")
    told = make_records(
        out, world, records, kind="prompt", options=options, target=0, examples=examples
    )["manifest"]
    dropped = told["dropped"]["holdout"]
    assert told["counts"]["holdout"]["records"] == len(records)
    assert len(records) == told["counts"]["holdout"]["kept"] + sum(dropped.values())
    assert dropped.get("duplicate", 0) <= twice
    unfit = {"'question' is null, not text", "'question' is a number, not text", "not UTF-8"}
    unfit |= {"'question' is empty", "has no field 'question'"}
    assert sum(n for reason, n in dropped.items() if reason in unfit) == len(bad)
    assert all(told["dropped_first"]["holdout"][reason] for reason in dropped)


def test_a_field_that_no_record_has_is_a_mistake_that_names_the_keys(tmp_path, world) -> None:  # noqa: F811
    options = {"prompt": "{question.text}", "continuation": "{reply}"}
    record = {"question": {"txt": "x"}, "reply": "y"}
    with pytest.raises(UserError) as told:
        make_records(tmp_path, world, [record] * 1500, kind="prompt", options=options, target=0)
    assert "records.jsonl:1: has no field 'text' for 'question.text'" in str(told.value)
    assert "did you mean 'txt'" in str(told.value)


def test_more_than_half_unusable_is_a_mistake(tmp_path, world) -> None:  # noqa: F811
    records = [{"question": f"q {n}", "reply": "x" if n % 3 == 0 else None} for n in range(30)]
    options = {"prompt": "{question} ", "continuation": "{reply}"}
    with pytest.raises(UserError, match=r"'reply' is null"):
        make_records(tmp_path, world, records, kind="prompt", options=options, target=0)


def test_a_cut_prompt_that_loses_its_answer_is_counted(tmp_path, world) -> None:  # noqa: F811
    passage = "Ida lives far away. " + "x" * 60
    records = [
        {"context": f"{n} {passage}", "question": f"Who is {n}?", "answers": {"text": ["Ida"]}}
        for n in range(9)
    ]
    for whole in (False, True):
        spec = {"kind": "squad", "target": 0, "whole_prompts": whole}
        if whole:
            with pytest.raises(UserError, match="cut prompt"):
                make_records(tmp_path, world, records, **spec)
        else:
            counts = make_records(tmp_path, world, records, **spec)["manifest"]["counts"]["holdout"]
            assert (counts["cut"], counts["lost"], counts["kept"]) == (9, 9, 9)
            assert counts["context_in_pool"] == 0
