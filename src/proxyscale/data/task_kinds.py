"""Task kinds of published formats, and templates: one function each from records to items."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from proxyscale.base.errors import UserError
from proxyscale.data.raw_record import Dropped
from proxyscale.data.records import listed
from proxyscale.data.task_items import (
    Filled,
    Item,
    Made,
    Record,
    Records,
    answers_of,
    as_text,
    check_template,
    each,
    gold_of,
    misfit,
    numbered,
    take,
    text_of,
    texts_of,
)
from proxyscale.data.words import around
from proxyscale.registry import task

# Fields of a template that are given with a question rather than asked, unless a task says which.
GIVEN = ("context", "passage", "paragraph", "article", "story", "document")


@task
def text(records: Records, *, column: str = "text") -> Iterator[Item | Dropped]:
    """Whole texts packed into rows of the pool's length; every token but the first is scored."""

    def make(record: Record) -> Made:
        whole = text_of(record, column, blank=True)
        if not whole.strip():
            return [Dropped(record.where, "empty")]
        return [Item("", (whole,))]

    return each(records, make)


@task
def prompt(
    records: Records,
    *,
    prompt: str,
    continuation: str | None = None,
    choices: Sequence[str] | str | None = None,
    gold: str = "gold",
    labels: Sequence[str] | None = None,
    first_label: int | None = None,
    context: str | Sequence[str] | None = None,
) -> Iterator[Item | Dropped]:
    """A template in Python's format syntax, with a scored continuation or with choices.

    A field is text: {name}, {name.inside}; {year!s} writes a number. Of a list of answers the
    first is scored. `choices` are templates, or the name of the field that lists them, as texts or
    as objects with `text` and `label`; `gold` names the field that tells the right one: by its
    number, counted from 0 or 1 (`first_label`), its label, its letter or its text. `labels` are
    the choices' labels in their order. `context` names fields that are given with the question.
    """
    if (continuation is None) == (choices is None):
        raise UserError("a prompt needs either `continuation` or `choices`", where="options")
    templates = [] if isinstance(choices, str) else list(choices or ())
    for template in filter(None, (prompt, continuation, *templates)):
        check_template(template)
    given = None if context is None else listed(context)

    def make(record: Record) -> Made:
        asked = Filled(prompt, record)
        question, passage = _parted(asked.values, given)
        if continuation is not None:
            answer = Filled(continuation, record, answers=True)
            yield Item(asked.text, (answer.text,), 0, (), question, passage, answer.others)
            return
        known = list(labels) if labels else None
        if isinstance(choices, str):
            texts, own = _choices(record, choices)
            known = known or own
        else:
            texts = tuple(Filled(choice, record, answers=True).text for choice in templates)
        right = gold_of(record, gold, [one.strip() for one in texts], known)
        yield Item(asked.text, texts, right, (), question, passage)

    return numbered(each(records, make), first_label)


def _parted(values: Mapping[str, str], given: Sequence[str] | None) -> tuple[str | None, str]:
    """What a filled template asks, and what it gives with that."""
    named = [path for path in values if path in (GIVEN if given is None else given)]
    if given is None and len(named) == len(values):
        named = []
    asked = " ".join(one for path, one in values.items() if path not in named)
    return asked or None, " ".join(values[path] for path in named)


def _choices(record: Record, path: str) -> tuple[tuple[str, ...], list[str] | None]:
    """A record's choices and their labels: texts, objects, or an object of two lists."""
    value = take(record, path)
    if isinstance(value, Mapping) and "text" in value:
        return tuple(texts_of(record, f"{path}.text")), _labels(value.get("label"))
    if isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
        texts = [as_text(record, f"{path}.text", one.get("text")).strip() for one in value]
        return tuple(texts), _labels([one.get("label") for one in value])
    if not isinstance(value, list):
        raise misfit(record, f"{path!r} is no list of choices: {str(value)[:80]!r}")
    return tuple(texts_of(record, path)), None


def _labels(value: Any) -> list[str] | None:
    if isinstance(value, list) and all(isinstance(one, str | int) for one in value):
        return [str(one) for one in value]
    return None


@task
def squad(records: Records, *, context: int | None = None) -> Iterator[Item | Dropped]:
    """SQuAD: context, question, answers; the first answer is scored, unanswerable ones skipped.

    A record is a question, or an article as SQuAD's own JSON has it, with `paragraphs`. Of a
    passage at most `context` characters are shown, whole words, with the answer in their middle,
    so that it is in view of a model that sees little.
    """

    def ask(record: Record) -> Made:
        return _asked(record, context)

    def make(record: Record) -> Made:
        return each(_questions(record), ask) if "paragraphs" in record else ask(record)

    return each(records, make)


def _questions(article: Record) -> Iterator[Record]:
    """The questions of an article, with their paragraphs' contexts."""
    paragraphs = article["paragraphs"]
    if not isinstance(paragraphs, list):
        raise misfit(article, "'paragraphs' is no list")
    for number, paragraph in enumerate(paragraphs):
        where = f"{article.where}: paragraphs[{number}]"
        above = paragraph if isinstance(paragraph, Mapping) else {}
        asked = above.get("qas")
        if not isinstance(asked, list):
            yield Record(above, where)  # it lacks what a question has, and is told so
            continue
        for place, question in enumerate(asked):
            own = question if isinstance(question, Mapping) else {}
            yield Record({"context": above.get("context"), **own}, f"{where}.qas[{place}]")


def _asked(record: Record, limit: int | None) -> Made:
    passage, question = text_of(record, "context"), text_of(record, "question")
    answers = _answers(record)
    if not answers:
        return [Dropped(record.where, "unanswerable")]
    first, *others = answers_of(record, "answers", answers)
    if limit is not None:
        passage = around(passage, first, _answer_start(record), limit)
    asked = f"Context: {passage}\nQuestion: {question}\nAnswer:"
    return [Item(asked, (f" {first}",), 0, (), question, passage, tuple(others))]


def _answers(record: Mapping[str, Any]) -> list[Any]:
    """The texts of SQuAD's answers, in the form of its JSON (objects) or of the hub (lists)."""
    match take(record, "answers"):
        case {"text": [*texts]}:
            return texts
        case [*answers] if all(isinstance(a, Mapping) and "text" in a for a in answers):
            return [answer["text"] for answer in answers]
        case other:
            raise misfit(record, f"'answers' are not as in SQuAD: {str(other)[:80]}")


def _answer_start(record: Mapping[str, Any]) -> int | None:
    """The character of the passage at which the first answer begins, if that is told."""
    match record["answers"]:
        case {"answer_start": [int(start), *_]} | [{"answer_start": int(start)}, *_]:
            return start
    return None


@task
def lambada(records: Records, *, column: str = "text") -> Iterator[Item | Dropped]:
    """LAMBADA: the last word of a passage, given all before it."""

    def make(record: Record) -> Made:
        found = re.fullmatch(r"(.*\S)(\s+)(\S+)", text_of(record, column).strip(), re.S)
        if not found:
            return [Dropped(record.where, "a passage of one word")]
        passage, space, word = found.groups()
        if space.endswith(" "):
            return [Item(passage + space[:-1], (f" {word}",))]
        return [Item(passage + space, (word,))]

    return each(records, make)


@task
def hellaswag(records: Records) -> Iterator[Item | Dropped]:
    """HellaSwag: activity_label, ctx_a, ctx_b, endings, label; cleaned as in published use."""

    def make(record: Record) -> Made:
        ending = text_of(record, "ctx_b", blank=True).capitalize()
        asked = f"{text_of(record, 'activity_label')}: {text_of(record, 'ctx_a')} {ending}"
        endings = tuple(f" {_clean_wikihow(text)}" for text in texts_of(record, "endings"))
        if not all(one.strip() for one in endings):
            raise misfit(record, "'endings' is empty")
        yield Item(_clean_wikihow(asked), endings, gold_of(record, "label", endings))

    return numbered(each(records, make), 0)


def _clean_wikihow(text: str) -> str:
    text = re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". "))
    return text.replace("  ", " ").strip()


@task
def copa(records: Records) -> Iterator[Item | Dropped]:
    """COPA: premise, question (cause or effect), choice1, choice2, label; a sentence each."""
    links = {"cause": "because", "effect": "therefore"}

    def make(record: Record) -> Made:
        link = links.get(asked := text_of(record, "question"))
        if link is None:
            raise misfit(record, f"'question' is neither cause nor effect: {asked!r}")
        told = [text_of(record, name).strip() for name in ("premise", "choice1", "choice2")]
        ends = tuple(f" {one[:1].lower()}{one[1:]}" for one in told[1:])
        yield Item(f"{told[0].rstrip('.')} {link}", ends, gold_of(record, "label", ends))

    return numbered(each(records, make), 0)


@task
def trivia(records: Records) -> Iterator[Item | Dropped]:
    """TriviaQA: question and answer, closed-book; an answer is text, a list, or has a value."""

    def make(record: Record) -> Made:
        question, answer = text_of(record, "question"), take(record, "answer")
        if isinstance(answer, Mapping):
            value = text_of(record, "answer.value").strip()
            names = answer.get("aliases") or []
            others = tuple(name for name in names if isinstance(name, str) and name != value)
        else:
            value, *rest = answers_of(record, "answer", answer)
            others = tuple(rest)
        yield Item(f"Question: {question}\nAnswer:", (f" {value}",), 0, (), question, "", others)

    return each(records, make)


@task
def icl(records: Records, *, delimiter: str = " ") -> Iterator[Item | Dropped]:
    """llm-foundry's fields: context and continuation or answer; query, choices and gold; or
    context_options, continuation and gold: the continuation is scored after each of them."""

    def make(record: Record) -> Made:
        if "context_options" in record:
            options = texts_of(record, "context_options")
            ending = text_of(record, "continuation").strip()
            right = gold_of(record, "gold", options)
            contexts = tuple(option + delimiter for option in options)
            yield Item("", (ending,) * len(options), right, contexts)
        elif "choices" in record:
            choices, known = _choices(record, "choices")
            asked = text_of(record, "query")
            yield Item(asked + delimiter, choices, gold_of(record, "gold", choices, known))
        elif "answer" in record and "continuation" not in record:
            asked = text_of(record, "context")
            first, *others = answers_of(record, "answer", take(record, "answer"))
            known = record.get("aliases") or []
            others += [name for name in known if isinstance(name, str) and name != first]
            yield Item(asked + delimiter, (first,), 0, (), asked, "", tuple(others))
        else:
            asked, ending = text_of(record, "context"), text_of(record, "continuation")
            yield Item(asked + delimiter, (ending.strip(),))

    return numbered(each(records, make), 0)
