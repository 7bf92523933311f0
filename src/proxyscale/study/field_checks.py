"""Fields that the first records of local files do not have: told before any work.

A source or test set is read until the first record that can be used; where none of the first 1,000
can, the commonest reason is the mistake. Datasets of the hub are read by their jobs alone, which
keep the same rule.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from proxyscale import registry
from proxyscale.base.errors import UserError
from proxyscale.data.raw_record import Dropped
from proxyscale.data.record_counts import FIRST, RecordCounts
from proxyscale.data.task_items import Item, Record
from proxyscale.data.task_records import grouped, read
from proxyscale.study.config import Config
from proxyscale.study.config_data import Source
from proxyscale.study.models_config import OwnModels
from proxyscale.study.option_checks import corpus_kind
from proxyscale.study.study import Study

Measured = Study[Config] | Study[OwnModels]  # studies that build test sets


def of_source(where: str, source: Source) -> Iterator[UserError]:
    """The mistake of a source of files none of whose first documents can be used."""
    kind = corpus_kind(source)
    assert kind is not None
    yield from unusable(where, registry.corpus[kind](**source.options))


def unusable(where: str, items: Iterable[Any]) -> Iterator[UserError]:
    """The mistake of items of which none of the first can be used, if so; `where` in the config."""
    counts = RecordCounts()
    try:
        for item in itertools.islice(items, FIRST):
            counts.read += 1
            if not isinstance(item, Dropped):
                return
            counts.drop(item)
        counts.check("records")
    except UserError as error:
        yield _at(where, error)


def of_task(study: Measured, name: str) -> Iterator[UserError]:
    """The mistakes of a test set none of whose first records can be used, in either split."""
    entry, where = study.config.tasks[name], f"tasks.{name}"
    if entry.records is None:
        document = Record(dict.fromkeys(("source", "name", "text"), "text"), "a document")
        if not study.plugins("items", name):
            yield from _lacking(where, list(_made(study, name, [document])))
        return
    told = entry.records.model_dump(exclude_none=True)
    for key, part in entry.records.parts.items():
        if part.files is None:
            continue
        if key:
            records: Iterable[Record | Dropped] = read(told[key])
        else:
            spec = {"records": told, "split_by": entry.split_by}
            records = (record for record, _ in grouped(spec))
        yield from _of_records(study, name, ".".join(filter(None, (where, key))), records)


def _of_records(
    study: Measured, name: str, where: str, records: Iterable[Record | Dropped]
) -> Iterator[UserError]:
    counts = RecordCounts()

    def usable() -> Iterator[Record]:
        for record in itertools.islice(records, FIRST):
            counts.read += 1
            if isinstance(record, Dropped):
                counts.drop(record)
            else:
                yield record

    try:
        for item in _made(study, name, usable()):
            if isinstance(item, Item):
                return
            counts.drop(item)
        counts.check("records")
    except UserError as error:
        yield _at(where, error)


def _made(
    study: Measured, name: str, records: Iterable[Mapping[str, Any]]
) -> Iterator[Item | Dropped]:
    """What a task's kind makes of records."""
    entry = study.config.tasks[name]
    seeded = {"seed": study.config.seed} if "seed" in registry.task.options(entry.kind) else {}
    found: Iterator[Item | Dropped] = registry.task[entry.kind](records, **seeded, **entry.options)
    return found


def _lacking(where: str, made: Iterable[Item | Dropped]) -> Iterator[UserError]:
    """A field that documents do not have."""
    for item in made:
        if isinstance(item, Dropped) and item.keys:
            yield UserError(f"a document {item.reason}", where=where, allowed=item.keys)


def _at(where: str, error: UserError) -> UserError:
    place = f"{error.where}: " if error.where else ""
    facts: dict[str, Any] = {key: getattr(error, key) for key in ("value", "allowed", "hint")}
    return UserError(f"{place}{error.message}", where=where, **facts)
