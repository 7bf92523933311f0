"""Task kinds: published formats and templates, from records to items."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxyscale import registry
from proxyscale.base.errors import UserError
from proxyscale.data import task_kinds  # noqa: F401 (registers the kinds)
from proxyscale.data.raw_record import Dropped
from proxyscale.data.task_items import Item, Record


def items(kind: str, *records: dict[str, Any], **options: Any) -> list[Item]:
    numbered = (Record(record, f"record {number}") for number, record in enumerate(records, 1))
    made = list(registry.task[kind](numbered, **options))
    refused = [one for one in made if not isinstance(one, Item)]
    assert not refused, refused
    return made


def refused(kind: str, *records: dict[str, Any], **options: Any) -> list[str]:
    """Why records are dropped, all of them."""
    numbered = (Record(record, f"record {number}") for number, record in enumerate(records, 1))
    made = list(registry.task[kind](numbered, **options))
    assert all(isinstance(one, Dropped) for one in made), made
    return [f"{one.name}: {one.reason}" for one in made]


def test_squad_in_both_published_forms():
    record = {"context": "The sky is blue.", "question": "What is blue?"}
    asked = "Context: The sky is blue.\nQuestion: What is blue?\nAnswer:"
    lists = {"text": ["The sky", "sky"], "answer_start": [0, 4]}
    objects = [{"text": "The sky", "answer_start": 0}]
    for answers in (lists, objects):
        assert items("squad", {**record, "answers": answers}) == [Item(asked, (" The sky",))]
    none = {**record, "answers": {"text": [], "answer_start": []}}
    assert refused("squad", none) == ["record 1: unanswerable"]
    (told,) = refused("squad", {**record, "answers": "The sky"})
    assert "not as in SQuAD" in told


def test_lambada_scores_the_last_word_with_its_space():
    assert items("lambada", {"text": "She called for Shane"}) == [
        Item("She called for", (" Shane",))
    ]


def test_hellaswag_is_cleaned():
    record = {
        "activity_label": "Roof shingle removal",
        "ctx_a": "A man [substeps] is on a roof.",
        "ctx_b": "he",
        "endings": ["starts pulling [title] up.", "sleeps."],
        "label": "1",
    }
    (item,) = items("hellaswag", record)
    assert item.prompt == "Roof shingle removal: A man is on a roof. He"
    assert item.choices == (" starts pulling. up.", " sleeps.")
    assert item.gold == 1


def test_copa_goes_on_from_its_premise():
    record = {"premise": "The man broke his toe.", "question": "cause", "label": 1, "idx": 0}
    record |= {"choice1": "He got a hole in his sock.", "choice2": "He dropped a hammer on it."}
    (item,) = items("copa", record)
    assert item.prompt == "The man broke his toe because"
    assert item.choices == (" he got a hole in his sock.", " he dropped a hammer on it.")
    assert item.gold == 1
    (other,) = items("copa", {**record, "question": "effect", "label": 0})
    assert (other.prompt, other.gold) == ("The man broke his toe therefore", 0)
    (told,) = refused("copa", {**record, "question": "why"})
    assert "neither cause nor effect" in told


def test_trivia_is_closed_book():
    record = {"question": "Who?", "answer": {"value": "Ada", "aliases": ["Ada", "Lovelace"]}}
    assert items("trivia", record) == [Item("Question: Who?\nAnswer:", (" Ada",))]


def test_icl_has_both_of_llm_foundrys_forms():
    continuation = {"context": "Two and two make", "continuation": "four"}
    choice = {"query": "Tap on, therefore", "choices": ["dry", "wet"], "gold": 1}
    assert items("icl", continuation, choice) == [
        Item("Two and two make ", ("four",)),
        Item("Tap on, therefore ", ("dry", "wet"), 1),
    ]


def test_prompt_with_choices_as_templates_or_as_a_list():
    piqa = {"goal": "Cut paper", "sol1": "with scissors", "sol2": "with soup", "label": 0}
    options = {"prompt": "{goal}:", "choices": [" {sol1}", " {sol2}"], "gold": "label"}
    assert items("prompt", piqa, **options) == [
        Item("Cut paper:", (" with scissors", " with soup"))
    ]
    listed = {"q": "Up?", "options": ["no", "yes"], "gold": "1"}
    options = {"prompt": "{q} ", "choices": "options"}
    assert items("prompt", listed, **options) == [Item("Up? ", ("no", "yes"), 1)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt": "{}", "continuation": "x"}, "a field without a name"),
        ({"prompt": "{goal", "continuation": "x"}, "no template"),
        ({"prompt": "a"}, "either"),
        ({"prompt": "a", "continuation": "x", "choices": ["x"]}, "either"),
    ],
)
def test_mistakes_of_a_template_are_told(options, message):
    with pytest.raises(UserError, match=message):
        items("prompt", **options)


TWO = {"prompt": "a", "choices": ["x", "y"]}
INSIDE = {"goal": {"a": "b"}}


@pytest.mark.parametrize(
    ("options", "record", "message"),
    [
        ({"prompt": "{goal}", "continuation": "x"}, {"gaol": "y"}, "has no field 'goal'"),
        ({"prompt": "{goal.x}", "continuation": "x"}, INSIDE, "no field 'x' for 'goal.x'"),
        ({"prompt": "{goal}", "continuation": "x"}, {"goal": 3}, "'goal' is a number, not text"),
        ({"prompt": "{goal}", "continuation": "x"}, {"goal": " "}, "'goal' is empty"),
        (TWO, {"gold": 3}, "2 choices"),
        (TWO, {"gold": "b2"}, "no index"),
        (TWO, {"gold": None}, "no index"),
        ({"prompt": "a", "choices": "c"}, {"c": "xy", "gold": 0}, "no list"),
    ],
)
def test_records_that_do_not_fit_are_told(options, record, message):
    (told,) = refused("prompt", record, **options)
    assert told.startswith("record 1: ")
    assert message in told


@pytest.mark.parametrize("broken", [None, [None], ["x"], [{"qas": None}], [{"context": "c"}], 3])
def test_broken_articles_are_dropped_and_the_rest_of_them_is_read(broken: Any) -> None:
    question = {"question": "What is blue?", "answers": [{"text": "The sky", "answer_start": 0}]}
    good = {"context": "The sky is blue.", "qas": [question, 7, {**question, "question": None}]}
    several = broken if isinstance(broken, list) else []
    articles = [{"paragraphs": [*several, good]}, {"paragraphs": broken}]
    records = (Record(article, f"r{n}") for n, article in enumerate(articles))
    made = list(registry.task["squad"](records))
    assert [one.choices for one in made if isinstance(one, Item)] == [(" The sky",)]
    assert len(made) == 3 + len(several) + 1
    assert f"r0: paragraphs[{len(several)}].qas[1]" in [getattr(one, "name", "") for one in made]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_passage_is_shown_around_its_answer(data: st.DataObject) -> None:
    words = data.draw(st.lists(st.sampled_from(["blue", "Ida", "sea", "über"]), min_size=1))
    passage = " ".join(words)
    place = data.draw(st.integers(0, len(words) - 1))
    answer, start = words[place], len(" ".join([*words[:place], ""]))
    limit = data.draw(st.integers(1, 60))
    told = data.draw(st.sampled_from([start, None, 10**6]))
    answers: Any = {"text": [answer], "answer_start": [told]}
    if data.draw(st.booleans()):
        answers = [{"text": answer, "answer_start": told}]
    record = {"context": passage, "question": "Who?", "answers": answers}
    (item,) = items("squad", record, context=limit)
    assert item.context in passage
    assert answer in item.context
    assert set(item.context.split()) <= set(words)
    assert len(item.context) <= max(limit, len(answer))
    if told == start and limit >= len(passage):
        assert item.context == passage
    (whole,) = items("squad", record)
    assert whole.context == passage
