"""The four test sets that are built from Python's own documents."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy
import pyarrow as pa
import pytest

from proxyscale.data import builtin_tasks
from proxyscale.data.corpora import installed
from proxyscale.data.raw_record import Dropped
from proxyscale.data.task_items import Item, Record
from proxyscale.statistics.guesses import guesses

NUMPYDOC = """Return the thing.

Parameters
----------
x : array_like
    Input.
axis : int, optional
    Where to go.
*more : {'a', 'b'}, default: 'a'
    Rest.

Returns
-------
y : ndarray
    Output.

See Also
--------
other : int
"""

GOOGLE = """Return the thing.

Args:
    input (Tensor): what goes in
    dim (int, optional): where it goes

Returns:
    Tensor: what comes out
"""


def records(*texts: str, name: str = "a.py:f") -> list[Record]:
    fields = (
        {"source": "docs", "name": f"{n}{name}", "text": text} for n, text in enumerate(texts)
    )
    return [Record(each, each["name"]) for each in fields]


def asked(made: Iterable[Item | Dropped]) -> list[Item]:
    """The items, without what has none."""
    return [one for one in made if isinstance(one, Item)]


@pytest.fixture(scope="module")
def docs() -> list[Record]:
    """Real docstrings."""
    found = installed(
        installed="numpy", part="docstrings", include=["numpy/lib/*", "numpy/_core/*"]
    )
    return [Record({"source": "docs", **d._asdict()}, d.name) for d in found]


@pytest.fixture(scope="module")
def code() -> list[Record]:
    """Real code."""
    found = installed(installed="numpy", part="code", include=["numpy/lib/*"])
    return [Record({"source": "code", **d._asdict()}, d.name) for d in found]


def question(item: Item) -> str:
    return item.prompt.split("\n")[-2]


# --- parameters


def test_types_of_numpydoc_and_of_googles_style():
    asked = {question(i): i.choices[0] for i in builtin_tasks.parameters(records(NUMPYDOC, GOOGLE))}
    assert asked == {
        "Question: What type is x?": " array_like",
        "Question: What type is axis?": " int",
        "Question: What type is more?": " {'a', 'b'}",
        "Question: What type is input?": " Tensor",
        "Question: What type is dim?": " int",
    }


def test_one_type_alone_is_no_question():
    text = "Parameters\n----------\nx : int\n    One.\ny : int\n    Two.\n"
    assert asked(builtin_tasks.parameters(records(text))) == []


def test_answers_are_spans_of_a_context_that_stands_in_the_document(docs):
    text = "\0".join(record["text"] for record in docs)
    made = asked(builtin_tasks.parameters(docs))
    assert len(made) > 300
    for item in made:
        context = re.fullmatch(r"Context: (.*)\nQuestion: .*\nAnswer:", item.prompt, re.S)[1]
        assert item.choices[0].strip() in context
        assert context in text
        assert len(context) <= 200


# --- last_word


def test_the_last_word_needs_its_context():
    text = "The matrix is decomposed by columns into factors, and each of them is a smaller matrix."
    (item,) = builtin_tasks.last_word(records(text))
    assert item == Item(text.removesuffix("matrix."), ("matrix",))
    assert (
        asked(builtin_tasks.last_word(records(text.replace("smaller matrix", "smaller array"))))
        == []
    )
    assert asked(builtin_tasks.last_word(records(text.replace("The matrix", "The array")))) == []
    near = "Something of a certain length is said here, so that it is long: a matrix is a matrix."
    assert asked(builtin_tasks.last_word(records(near))) == []


def test_passages_stand_in_the_document_and_do_not_overlap(docs):
    for record in docs[:150]:
        place = 0
        for item in asked(builtin_tasks.last_word([record])):
            place = record["text"].index(item.prompt + item.choices[0], place)
            place += len(item.prompt + item.choices[0])
            assert len(item.prompt) <= 280
            assert item.prompt.endswith(" ")


# --- next_line


def test_choices_are_of_similar_length_from_other_documents(code):
    owner: dict[str, set[str]] = {}
    for record in code:
        for line in record["text"].split("\n"):
            owner.setdefault(line.strip(), set()).add(record["name"])
    made = asked(builtin_tasks.next_line(code))
    assert len(made) > 100
    for item in made:
        right = item.choices[item.gold]
        (home,) = (r["name"] for r in code if item.prompt + right in r["text"])
        assert len({choice.strip() for choice in item.choices}) == 4
        length, column = len(right.strip()), len(right) - len(right.lstrip())
        for choice in item.choices:
            assert choice.strip() not in item.prompt
            assert 0.85 * length <= len(choice.strip()) <= 1.15 * length
            assert len(choice) - len(choice.lstrip()) == column
            assert choice == right or owner[choice.strip()] != {home}


def test_no_rule_without_a_model_is_right_more_often_than_chance(code):
    rows = [
        {"example": e, "gold": c == i.gold, "prompt": i.prompt, "continuation": choice}
        for e, i in enumerate(asked(builtin_tasks.next_line(code)))
        for c, choice in enumerate(i.choices)
    ]
    found = guesses(pa.Table.from_pylist(rows))
    assert found["copy"] == found["indentation"] == found["chance"] == 0.25
    assert max(found.values()) <= 0.28


def test_the_right_place_is_seeded_and_even(code):
    made = asked(builtin_tasks.next_line(code))
    assert made == asked(builtin_tasks.next_line(code))
    assert made != asked(builtin_tasks.next_line(code, seed=1))
    counts = numpy.bincount([item.gold for item in made], minlength=4)
    expected = len(made) / 4
    assert ((counts - expected) ** 2 / expected).sum() < 16.27  # chi-square, 3 degrees, p = .001


def test_a_document_alone_has_no_distractors(code):
    assert asked(builtin_tasks.next_line(code[:1])) == []


def test_a_document_is_asked_no_more_than_so_often(code):
    by_text: dict[str, int] = {}
    for item in asked(builtin_tasks.next_line(code, per_document=3)):
        home = next(r["name"] for r in code if item.prompt + item.choices[item.gold] in r["text"])
        by_text[home] = by_text.get(home, 0) + 1
    assert max(by_text.values()) == 3


# --- summary


@pytest.mark.parametrize(
    ("name", "dotted"),
    [
        ("numpy/_core/fromnumeric.py:sum", "numpy.fromnumeric.sum"),
        ("scipy/linalg/__init__.py:module", "scipy.linalg"),
        ("pandas/io/sql.py:SQLTable.insert", "pandas.io.sql.SQLTable.insert"),
        ("readme", "readme"),
    ],
)
def test_names_are_dotted(name: str, dotted: str):
    assert builtin_tasks.dotted_name({"name": name}) == dotted


def test_summaries_are_first_paragraphs_of_a_line_or_two():
    texts = [
        "Compute the eigenvalues.\n\nMore of it.",
        "Compute the\neigenvalues.\n\nMore.",
        "Compute\nthe\neigenvalues.\n\nMore.",
        "Short.\n\nMore.",
        "x" * 161,
        "Parameters\n----------\nx : int",
    ]
    made = asked(builtin_tasks.summary(records(*texts)))
    assert [item.choices[0] for item in made] == [
        " Compute the eigenvalues.",
        " Compute the\neigenvalues.",
    ]
    assert made[0].prompt == "Question: What does 0a.f do?\nAnswer:"


# --- All of them


@pytest.mark.parametrize("kind", ["parameters", "last_word", "next_line", "summary"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n\n",
        "x" * 10_000,
        "Parameters\n----------",
        "Args:\n",
        "日本語の文書。" * 50,
        "a.\r\nb.\n",
    ],
)
def test_any_document_will_do(kind: str, text: str):
    made: list[Any] = asked(getattr(builtin_tasks, kind)(records(text, text, name="plain")))
    assert all(item.choices[item.gold] for item in made)


def test_a_record_without_text_is_named():
    (told,) = builtin_tasks.summary([Record({"name": "x"}, "record 7")])
    assert (told.name, told.reason) == ("record 7", "has no field 'text'")
