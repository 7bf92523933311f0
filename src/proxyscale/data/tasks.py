"""Test sets: records become items, items become tokens, and what stands elsewhere is dropped.

A task kind is one function from records to items (`@task`); everything after it is the same for
all kinds. `build_task` makes a holdout (only ever measured) and a target (selection may look at
it), and drops what stands in the pool or on the other side.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from proxyscale import registry
from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.data import overlap
from proxyscale.data.packing import window_hashes
from proxyscale.data.pool import Pool, load_tokenizer
from proxyscale.data.task_encoding import Coder, Example
from proxyscale.data.task_items import (
    Item,
    Record,
    Records,
    check_template,
    fill,
    gold_of,
    misfit,
    readers,
    seeded_hash,
    take,
)
from proxyscale.registry import task

# Candidates for each example asked for, kept until their overlap is known.
SURPLUS = 4
# Few-shot examples are drawn from this many target items.
SHOT_BANK = 256


@task
def text(records: Records, *, column: str = "text") -> Iterator[Item]:
    """Whole texts packed into rows of the pool's length; every token but the first is scored."""
    for record in records:
        yield Item("", (str(take(record, column)),))


@task
def prompt(
    records: Records,
    *,
    prompt: str,
    continuation: str | None = None,
    choices: Sequence[str] | str | None = None,
    gold: str = "gold",
) -> Iterator[Item]:
    """A template in Python's format syntax, with a scored continuation or with choices.

    `choices` are templates, or the name of the field that lists them; `gold` names the field that
    holds the index of the right one.
    """
    if (continuation is None) == (choices is None):
        raise UserError("a prompt needs either `continuation` or `choices`", where="options")
    listed = [] if isinstance(choices, str) else list(choices or ())
    for template in filter(None, (prompt, continuation, *listed)):
        check_template(template)
    for record in records:
        asked = fill(prompt, record)
        if continuation is not None:
            yield Item(asked, (fill(continuation, record),))
            continue
        assert choices is not None
        if isinstance(choices, str):
            texts = _texts(record, choices)
        else:
            texts = tuple(fill(choice, record) for choice in choices)
        yield Item(asked, texts, gold_of(record, gold, texts))


def _texts(record: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = take(record, name)
    if not isinstance(value, list):
        raise misfit(record, f"{name!r} is no list of choices: {str(value)[:80]!r}")
    return tuple(map(str, value))


@task
def squad(records: Records) -> Iterator[Item]:
    """SQuAD: context, question, answers; the first answer is scored, unanswerable ones skipped."""
    for record in records:
        asked = fill("Context: {context}\nQuestion: {question}\nAnswer:", record)
        if answers := _answers(record):
            yield Item(asked, (f" {answers[0]}",))


def _answers(record: Mapping[str, Any]) -> list[str]:
    """The texts of SQuAD's answers, in the form of its JSON (objects) or of the hub (lists)."""
    match take(record, "answers"):
        case {"text": [*texts]}:
            return texts
        case [*answers] if all(isinstance(a, Mapping) and "text" in a for a in answers):
            return [answer["text"] for answer in answers]
        case other:
            raise misfit(record, f"'answers' are not as in SQuAD: {str(other)[:80]}")


@task
def lambada(records: Records, *, column: str = "text") -> Iterator[Item]:
    """LAMBADA: the last word of a passage, given all before it."""
    for record in records:
        passage, space, word = str(take(record, column)).rstrip().rpartition(" ")
        if passage:
            yield Item(passage, (space + word,))


@task
def hellaswag(records: Records) -> Iterator[Item]:
    """HellaSwag: activity_label, ctx_a, ctx_b, endings, label; cleaned as in published use."""
    for record in records:
        ending = str(take(record, "ctx_b")).capitalize()
        asked = f"{take(record, 'activity_label')}: {take(record, 'ctx_a')} {ending}"
        endings = tuple(f" {_clean_wikihow(text)}" for text in _texts(record, "endings"))
        yield Item(_clean_wikihow(asked), endings, gold_of(record, "label", endings))


def _clean_wikihow(text: str) -> str:
    text = re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". "))
    return text.replace("  ", " ").strip()


@task
def trivia(records: Records) -> Iterator[Item]:
    """TriviaQA: question and answer.value, closed-book."""
    for record in records:
        asked = fill("Question: {question}\nAnswer:", record)
        yield Item(asked, (fill(" {answer[value]}", record),))


@task
def icl(records: Records, *, delimiter: str = " ") -> Iterator[Item]:
    """llm-foundry's fields: context and continuation, or query, choices and gold."""
    for record in records:
        if "choices" in record:
            choices = _texts(record, "choices")
            asked = str(take(record, "query")) + delimiter
            yield Item(asked, choices, gold_of(record, "gold", choices))
        else:
            asked = str(take(record, "context")) + delimiter
            yield Item(asked, (str(take(record, "continuation")),))


def build_task(
    out: Path,
    spec: Mapping[str, Any],
    corpora: Mapping[str, Path],
    tokenizer: Path,
    pool: Path,
) -> None:
    """Make a test set: `holdout.parquet`, `target.parquet` (perhaps empty) and `manifest.json`.

    `spec`: kind, options, sources or records, examples, target_examples, split_by, target,
    few_shot, overlap_window, length, seed. UserError if a split that has records ends up empty.
    """
    builder = Builder(spec, corpora, load_tokenizer(tokenizer), Pool.open(pool))
    holdout = builder.split("holdout", spec["examples"])
    target = builder.split("target", spec.get("target_examples") or 0, holdout)
    files = []
    for name, examples in (("holdout", holdout), ("target", target)):
        files.append(out / f"{name}.parquet")
        artifacts.write(files[-1], _table(examples), "task")
    facts = {"kind": spec["kind"], "length": spec["length"], "window": spec["overlap_window"]}
    artifacts.write_manifest(out / "manifest.json", files, **facts, counts=builder.counts)


class Builder:
    """What the splits of one task share; `counts` tells what became of every record."""

    def __init__(
        self,
        spec: Mapping[str, Any],
        corpora: Mapping[str, Path],
        tokenizer: Tokenizer,
        pool: Pool,
    ) -> None:
        self.spec = spec
        self.tokenizer = tokenizer
        self.pool = pool
        self.readers = readers(spec, corpora)
        self.counts: dict[str, dict[str, int]] = {}
        few_shot = spec.get("few_shot") or 0
        self.bank = self.shot_bank() if few_shot else []

    def items(self, split: str, counts: Counter[str]) -> Iterator[Item]:
        """The items of a split; a kind with an option `seed` gets the study's."""
        kind = self.spec["kind"]
        seeded = {"seed": self.spec["seed"]} if "seed" in registry.task.options(kind) else {}

        def records() -> Iterator[Record]:
            for record in self.readers[split]():
                counts["records"] += 1
                yield record

        yield from registry.task[kind](records(), **seeded, **self.spec.get("options", {}))

    def shot_bank(self) -> list[Item]:
        """Target items that few-shot examples are drawn from."""
        if "target" not in self.readers:
            raise UserError("few_shot takes its examples from the target split", hint="set target")
        seed = self.spec["seed"]
        unique = {seeded_hash(seed, item): item for item in self.items("target", Counter())}
        if any(item.whole_text for item in unique.values()):
            raise UserError("few_shot needs prompts, not whole texts", where="few_shot")
        return [unique[digest] for digest in sorted(unique)[:SHOT_BANK]]

    def split(self, name: str, wanted: int, holdout: Sequence[Example] = ()) -> list[Example]:
        """The examples of a split in seeded order, without what stands in the pool or `holdout`."""
        if name not in self.readers or not wanted:
            return []
        spec, counts = self.spec, Counter[str]()
        coder = Coder(self.tokenizer, spec["length"], spec["seed"], spec.get("few_shot") or 0)
        coder.bank = self.bank
        made = coder(self.items(name, counts))
        seen = {example.key for example in holdout}
        candidates = smallest(made, SURPLUS * wanted, seen, counts)
        window = spec["overlap_window"]
        tested = [example.tested for example in candidates]
        in_pool = overlap.standing(tested, self.pool.windows, window)
        near = overlap.standing(tested, lambda size: row_windows(holdout, size), window)
        kept = [e for e, bad in zip(candidates, in_pool | near, strict=True) if not bad][:wanted]
        counts.update(coder.counts)
        counts.update(asked_for=wanted, tested=len(candidates), kept=len(kept))
        counts.update(in_pool=int(in_pool.sum()), in_holdout=int((near & ~in_pool).sum()))
        counts.update(cut=sum(example.cut for example in kept))
        self.counts[name] = dict(counts)
        if not kept:
            told = ", ".join(f"{what} {count}" for what, count in sorted(counts.items()) if count)
            hint = "more records, a larger length, or split_by for a field that examples share"
            raise UserError(f"no {name} example is left ({told})", hint=hint)
        return kept


def row_windows(examples: Sequence[Example], size: int) -> Iterator[np.ndarray]:
    """Window hashes of what is tested of each example."""
    for example in examples:
        if len(example.tested.row) >= size:
            yield window_hashes(np.asarray(example.tested.row)[None], size)


def smallest(
    examples: Iterable[Example], limit: int, seen: set[bytes], counts: Counter[str]
) -> list[Example]:
    """The `limit` examples of smallest key, in that order, without repetition or `seen` ones."""
    kept: dict[bytes, Example] = {}
    for example in examples:
        if example.key in kept or example.key in seen:
            counts["duplicates"] += 1
            continue
        kept[example.key] = example
        if len(kept) >= 2 * limit:
            kept = dict(sorted(kept.items())[:limit])
    return [kept[digest] for digest in sorted(kept)][:limit]


def _table(examples: Sequence[Example]) -> pa.Table:
    rows = [
        {
            "example": number,
            "choice": choice,
            "gold": choice == example.item.gold,
            "tokens": example.context + continuation,
            "scored_from": len(example.context),
            "prompt": example.item.prompt,
            "continuation": example.item.choices[choice],
        }
        for number, example in enumerate(examples)
        for choice, continuation in enumerate(example.continuations)
    ]
    return pa.Table.from_pylist(rows, schema=artifacts.SCHEMAS["task"])
