"""Test sets of models that are there: items in text, for each model's own tokenizer.

There is no pool that they could stand in, and nothing is cut: how much of a prompt a model sees is
for the model to say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from proxyscale.base import artifacts
from proxyscale.data.raw_record import Dropped
from proxyscale.data.record_counts import RecordCounts
from proxyscale.data.split_items import SplitItems, none_left, smallest
from proxyscale.data.task_encoding import is_unicode, shots
from proxyscale.data.task_items import Item, seeded_hash
from proxyscale.data.tasks import prior

SPLIT = "holdout"


class Question(NamedTuple):
    """An item and the solved examples that stand before it."""

    key: bytes
    item: Item
    shots: str


def build_questions(out: Path, spec: Mapping[str, Any]) -> None:
    """Write `holdout.parquet` (kind task, without tokens) and `manifest.json`.

    The items are those that a study of the same `seed` would take, in its order, so far as none of
    them is dropped there for its length or for where else it stands. `spec`: as for `SplitItems`,
    with examples. UserError if no example is left, or more than half of the records cannot be used.
    """
    source, account = SplitItems(spec, {}), RecordCounts()
    found = smallest(_questions(source, account), spec["examples"], account)
    counts = Counter(records=account.read, items=len(found) + account.dropped.total())
    counts.update(kept=len(found), asked_for=spec["examples"])
    counts.update(duplicates=account.dropped["duplicate"], cut=0, lost=0)
    counts.update(tokens=0, unknown_tokens=0)  # there are none yet
    if not found:
        raise none_left(SPLIT, counts, account)
    table = _rows(found)
    artifacts.write(out / f"{SPLIT}.parquet", table, "task")
    artifacts.write_manifest(
        out / "manifest.json",
        [out / f"{SPLIT}.parquet"],
        kind=spec["kind"],
        counts={SPLIT: dict(counts)},
        few_shot={"asked_for": source.few_shot, "available": len(source.bank)},
        dropped={SPLIT: dict(account.dropped)},
        dropped_first={SPLIT: account.named},
        prior=prior(table),
    )


def _questions(source: SplitItems, account: RecordCounts) -> Iterator[Question]:
    """The items that can be asked; the others go to the account."""
    for item in source.items(SPLIT, account):
        if not is_unicode(item):
            account.drop(Dropped(item.where, "not unicode"))
        elif not item.choices or not all(map(str.strip, item.choices)):
            account.drop(Dropped(item.where, "empty"))
        else:
            key = seeded_hash(source.spec["seed"], *item.key)
            yield Question(key, item, shots(source.bank, item, key, source.few_shot))


def _rows(questions: Iterable[Question]) -> pa.Table:
    """A row for each choice; of a whole text all is scored, else all but the space before it."""
    rows = []
    for number, (_, item, given) in enumerate(questions):
        for choice, text in enumerate(item.choices):
            scored = text if item.whole_text else text.lstrip()
            rows.append(
                {
                    "example": number,
                    "choice": choice,
                    "gold": choice == item.gold,
                    "tokens": [],
                    "scored_from": 0,
                    "prompt": given + item.prompt_of(choice),
                    "continuation": text,
                    "bytes": len(scored.encode()),
                    "characters": len(scored),
                }
            )
    return pa.Table.from_pylist(rows, schema=artifacts.SCHEMAS["task"])
