"""Records of a test set's two splits: of held-out documents, of files, of the hub."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from proxyscale.base import seals
from proxyscale.base.errors import UserError
from proxyscale.data.corpora import read_records
from proxyscale.data.raw_record import Dropped
from proxyscale.data.task_items import Record, Unfit, seeded_hash, take

Read = Iterator[Record | Dropped]
Reader = Callable[[], Read]


def documents(corpora: Mapping[str, Path], sources: Sequence[str], split: str) -> Read:
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


def read(spec: Mapping[str, Any]) -> Read:
    """Records of files or of the hub; each knows its file and line."""
    for record in read_records(dict(spec)):
        yield record if isinstance(record, Dropped) else Record(record.fields, record.name)


def _group(record: Record, split_by: str | None, seed: int) -> bytes:
    content = dict(record) if split_by is None else take(record, split_by)
    return seeded_hash(seed, json.dumps(content, sort_keys=True, default=str))


def grouped(spec: Mapping[str, Any]) -> Iterator[tuple[Record | Dropped, bytes]]:
    """Records and their groups; those that lack the field are dropped, and in no group."""
    for record in read(spec["records"]):
        if isinstance(record, Dropped):
            yield record, b""
            continue
        try:
            yield record, _group(record, spec.get("split_by"), spec.get("seed", 0))
        except Unfit as error:
            yield Dropped(record.where, error.message, True, tuple(error.allowed)), b""


def target_groups(groups: Iterable[bytes], spec: Mapping[str, Any]) -> set[bytes]:
    """The groups that make the target: whole ones in seeded order until `target` is reached.

    `target` is a number of records, or below 1 a share of them. None are set apart if nobody looks
    at them: without `target_examples` and `few_shot`.
    """
    if not (spec.get("target_examples") or spec.get("few_shot")):
        return set()
    sizes = Counter(group for group in groups if group)
    wanted = spec.get("target") or 0
    wanted = wanted * sizes.total() if wanted < 1 else wanted
    chosen: set[bytes] = set()
    for group in sorted(sizes):
        if wanted <= 0:
            break
        chosen.add(group)
        wanted -= sizes[group]
    return chosen


def readers(spec: Mapping[str, Any], corpora: Mapping[str, Path]) -> dict[str, Reader]:
    """How to read each split's records, as often as needed. Dropped ones are the holdout's."""
    splits = ("holdout", "target")
    records = spec.get("records")
    if records is None:
        return {s: functools.partial(documents, corpora, spec["sources"], s) for s in splits}
    if "holdout" in records:
        return {s: functools.partial(read, records[s]) for s in splits if s in records}
    chosen = target_groups((group for _, group in grouped(spec)), spec)

    def side(target: bool) -> Read:
        for record, group in grouped(spec):
            if (group in chosen) == target:
                yield record

    return {s: functools.partial(side, s == "target") for s in splits if s == "holdout" or chosen}
