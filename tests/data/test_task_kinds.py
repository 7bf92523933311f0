"""Task kinds: published formats and templates, from records to items."""

from __future__ import annotations

from typing import Any

import pytest

from proxyscale import registry
from proxyscale.base.errors import UserError
from proxyscale.data import tasks  # noqa: F401 (registers the kinds)
from proxyscale.data.task_items import Item, Record


def items(kind: str, *records: dict[str, Any], **options: Any) -> list[Item]:
    numbered = (Record(record, f"record {number}") for number, record in enumerate(records, 1))
    return list(registry.task[kind](numbered, **options))


def test_squad_in_both_published_forms():
    record = {"context": "The sky is blue.", "question": "What is blue?"}
    asked = "Context: The sky is blue.\nQuestion: What is blue?\nAnswer:"
    lists = {"text": ["The sky", "sky"], "answer_start": [0, 4]}
    objects = [{"text": "The sky", "answer_start": 0}]
    for answers in (lists, objects):
        assert items("squad", {**record, "answers": answers}) == [Item(asked, (" The sky",))]
    assert items("squad", {**record, "answers": {"text": [], "answer_start": []}}) == []
    with pytest.raises(UserError, match=r"record 1.*not as in SQuAD"):
        items("squad", {**record, "answers": "The sky"})


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
    ("options", "record", "message"),
    [
        ({"prompt": "{goal}", "continuation": "x"}, {"gaol": "y"}, "record 1.*'goal'"),
        ({"prompt": "{}", "continuation": "x"}, {"goal": "y"}, "a field without a name"),
        ({"prompt": "{goal", "continuation": "x"}, {"goal": "y"}, "no template"),
        ({"prompt": "{goal[x]}", "continuation": "x"}, {"goal": "y"}, "record 1.*does not fit"),
        ({"prompt": "a"}, {}, "either"),
        ({"prompt": "a", "continuation": "x", "choices": ["x"]}, {}, "either"),
        ({"prompt": "a", "choices": ["x", "y"]}, {"gold": 2}, "record 1.*2 choices"),
        ({"prompt": "a", "choices": ["x", "y"]}, {"gold": "b"}, "record 1.*no index"),
        ({"prompt": "a", "choices": "c"}, {"c": "xy", "gold": 0}, "record 1.*no list"),
    ],
)
def test_mistakes_of_a_template_are_told(options, record, message):
    with pytest.raises(UserError, match=message):
        items("prompt", record, **options)
