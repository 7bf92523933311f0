"""What test sets are made of: records out of documents, files or the hub, and items out of them.

A task kind is one function from records to items; this module is what such a function needs.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.compute as pc
import pyarrow.parquet as pq

from proxyscale.base import seals
from proxyscale.base.errors import UserError
from proxyscale.data.corpora import read_records

WIDEST = 1000  # what a template may pad a field to


class Item(NamedTuple):
    """What is asked: a prompt, the choices that may follow it, the index of the right one.

    One choice is a scored continuation. One choice without a prompt is a whole text: texts are
    packed one after the other into rows of the pool's length.
    """

    prompt: str
    choices: tuple[str, ...]
    gold: int = 0

    @property
    def whole_text(self) -> bool:
        """Whether it is a text to be packed."""
        return not self.prompt and len(self.choices) == 1


class Record(dict[str, Any]):
    """A record that knows where it stands, so that a mistake in it can be found."""

    def __init__(self, fields: Mapping[str, Any], where: str) -> None:
        super().__init__(fields)
        self.where = where


def seeded_hash(seed: int, *parts: object) -> bytes:
    """A seeded hash of what is shown by `repr`: the order of examples, and their identity."""
    shown = repr((seed, *parts)).encode(errors="backslashreplace")
    return hashlib.blake2b(shown, digest_size=16).digest()


Records = Iterable[Mapping[str, Any]]


def take(record: Mapping[str, Any], name: str) -> Any:
    """A record's field. UserError naming the record if it has no such field."""
    if name in record:
        return record[name]
    raise misfit(record, f"no field {name!r}", value=name, allowed=record)


def misfit(record: Mapping[str, Any], message: str, **facts: Any) -> UserError:
    """The mistake of a record, to be raised."""
    return UserError(message, where=getattr(record, "where", "a record"), **facts)


def check_template(template: str) -> None:
    """UserError if a template is none, or has a field without a name."""
    hint = "a field is {name}; write braces that are meant twice: {{ }}"
    try:
        parts = [part[1:] for part in string.Formatter().parse(template) if part[1] is not None]
    except ValueError as error:
        raise UserError(f"no template: {template!r}: {error}", hint=hint) from None
    for name, form, conversion in parts:
        if not name:
            raise UserError(f"a field without a name in {template!r}", hint=hint)
        widths = [int(digits) for digits in re.findall(r"\d+", form or "")]
        if conversion or "{" in (form or "") or max(widths, default=0) > WIDEST:
            message = f"{name!r} in {template!r} has a form that a template may not have"
            raise UserError(message, hint=f"a field is {{name}}, or {{name:>3}}: {WIDEST} at most")


class _Fields(string.Formatter):
    """Fields of records by `{name}`, `{name[index]}` and `{name.field}`; never an attribute."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> tuple[Any, str]:
        name = re.split(r"[.\[]", field_name, maxsplit=1)[0]
        value = kwargs[name]
        for field, index in re.findall(r"\.([^.\[]+)|\[([^\]]+)\]", field_name):
            if isinstance(value, Mapping):
                value = value[field or index]
            elif index and isinstance(value, (str, list, tuple)):
                value = value[int(index)]
            else:
                raise TypeError(f"{name!r} has no {field or index!r}")
        return value, name


_FIELDS = _Fields()


def fill(template: str, record: Mapping[str, Any]) -> str:
    """A Python format template filled with a record's fields. UserError if it does not fit."""
    try:
        return _FIELDS.vformat(template, (), record)
    except KeyError as error:
        name = error.args[0]
        message = f"no field {name!r} for the template {template!r}"
        raise misfit(record, message, value=name, allowed=record) from None
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise misfit(record, f"the template {template!r} does not fit: {error}") from None


def gold_of(record: Mapping[str, Any], name: str, choices: Sequence[str]) -> int:
    """The index of the right choice, from a record's field. UserError if it is none."""
    value = take(record, name)
    try:
        gold = int(value)
    except (TypeError, ValueError):
        raise misfit(record, f"{name!r} is no index of a choice: {value!r}") from None
    if not 0 <= gold < len(choices):
        raise misfit(record, f"{name!r} is {gold}, but there are {len(choices)} choices")
    return gold


def documents(corpora: Mapping[str, Path], sources: Sequence[str], split: str) -> Iterator[Record]:
    """The documents of one split as records: source, name, text."""
    for source in sources:
        if source not in corpora:
            raise UserError(f"no source {source!r}", where="sources", value=source, allowed=corpora)
        file = pq.ParquetFile(seals.verified(corpora[source] / "documents.parquet"))
        for batch in file.iter_batches(64, columns=["name", "text", "split"]):
            held = batch.filter(pc.equal(batch["split"], split))
            for row in held.to_pylist():
                fields = {"source": source, "name": row["name"], "text": row["text"]}
                yield Record(fields, f"{source}: {row['name']}")


def numbered(spec: Mapping[str, Any]) -> Iterator[Record]:
    """Records of files or of the hub, numbered from 1."""
    name = spec.get("files") or spec.get("hub")
    for number, fields in enumerate(read_records(dict(spec)), start=1):
        yield Record(fields, f"{name}: record {number}")


def _group(record: Record, split_by: str | None, seed: int) -> bytes:
    content = dict(record) if split_by is None else take(record, split_by)
    return seeded_hash(seed, json.dumps(content, sort_keys=True, default=str))


def target_groups(records: Iterable[Record], spec: Mapping[str, Any]) -> set[bytes]:
    """The groups that make the target: whole ones in seeded order until `target` is reached.

    `target` is a number of records, or below 1 a share of them. None are set apart if nobody looks
    at them: without `target_examples` and `few_shot`.
    """
    if not (spec.get("target_examples") or spec.get("few_shot")):
        return set()
    sizes = Counter(_group(record, spec.get("split_by"), spec.get("seed", 0)) for record in records)
    wanted = spec.get("target") or 0
    wanted = wanted * sizes.total() if wanted < 1 else wanted
    chosen: set[bytes] = set()
    for group in sorted(sizes):
        if wanted <= 0:
            break
        chosen.add(group)
        wanted -= sizes[group]
    return chosen


Reader = Callable[[], Iterator[Record]]


def readers(spec: Mapping[str, Any], corpora: Mapping[str, Path]) -> dict[str, Reader]:
    """How to read each split's records, as often as needed."""
    splits = ("holdout", "target")
    records = spec.get("records")
    if records is None:
        return {s: functools.partial(documents, corpora, spec["sources"], s) for s in splits}
    if "holdout" in records:
        return {s: functools.partial(numbered, records[s]) for s in splits if s in records}
    chosen = target_groups(numbered(records), spec)

    def read(target: bool) -> Iterator[Record]:
        for record in numbered(records):
            if (_group(record, spec.get("split_by"), spec.get("seed", 0)) in chosen) == target:
                yield record

    return {s: functools.partial(read, s == "target") for s in splits if s == "holdout" or chosen}
