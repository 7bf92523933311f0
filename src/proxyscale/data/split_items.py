"""The items of a test set's two splits, before anything is done with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from proxyscale import registry
from proxyscale.base.errors import UserError
from proxyscale.data.raw_record import Dropped
from proxyscale.data.record_counts import RecordCounts
from proxyscale.data.task_items import Item, Record, seeded_hash
from proxyscale.data.task_records import readers

# Few-shot examples are drawn from this many target items.
SHOT_BANK = 256


class Keyed(Protocol):
    """An example: `key` orders the examples and tells equal ones."""

    @property
    def key(self) -> bytes: ...

    @property
    def item(self) -> Item: ...


K = TypeVar("K", bound=Keyed)


class SplitItems:
    """Items by split, and those that few-shot examples are drawn from.

    `spec`: kind, options, sources or records, split_by, target, few_shot, seed.
    """

    def __init__(self, spec: Mapping[str, Any], corpora: Mapping[str, Path]) -> None:
        self.spec = spec
        self.readers = readers(spec, corpora)
        self.counts: dict[str, dict[str, int]] = {}
        self.accounts: dict[str, RecordCounts] = {}
        self.few_shot = spec.get("few_shot") or 0
        self.bank = self.shot_bank() if self.few_shot else []

    def items(self, split: str, account: RecordCounts) -> Iterator[Item]:
        """The items of a split; a kind with an option `seed` gets the study's."""
        kind = self.spec["kind"]
        seeded = {"seed": self.spec["seed"]} if "seed" in registry.task.options(kind) else {}

        def records() -> Iterator[Record]:
            for record in self.readers[split]():
                account.read += 1
                if isinstance(record, Dropped):
                    account.drop(record)
                else:
                    yield record

        for item in registry.task[kind](records(), **seeded, **self.spec.get("options", {})):
            if isinstance(item, Dropped):
                account.drop(item)
            else:
                yield item
        account.check("records")

    def shot_bank(self) -> list[Item]:
        """Target items that few-shot examples are drawn from."""
        if "target" not in self.readers:
            raise UserError("few_shot takes its examples from the target split", hint="set target")
        seed = self.spec["seed"]
        unique = {
            seeded_hash(seed, *item.key): item for item in self.items("target", RecordCounts())
        }
        if any(item.whole_text for item in unique.values()):
            raise UserError("few_shot needs prompts, not whole texts", where="few_shot")
        return [unique[digest] for digest in sorted(unique)[:SHOT_BANK]]


def none_left(split: str, counts: Mapping[str, int], account: RecordCounts) -> UserError:
    """The mistake of a split without an example, to be raised."""
    told = ", ".join(f"{what} {count}" for what, count in sorted(counts.items()) if count)
    first = f"; {account.told()}" if account.dropped else ""
    hint = "more records, a larger length, or split_by for a field that examples share"
    return UserError(f"no {split} example is left ({told}{first})", hint=hint)


def smallest(examples: Iterable[K], limit: int, account: RecordCounts) -> list[K]:
    """The `limit` examples of smallest key, in that order, without repetition."""
    kept: dict[bytes, K] = {}

    def only(best: int) -> dict[bytes, K]:
        ordered = sorted(kept)
        for digest in ordered[best:]:
            account.drop(Dropped(kept[digest].item.where, "not asked for"))
        return {digest: kept[digest] for digest in ordered[:best]}

    for example in examples:
        if example.key in kept:
            account.drop(Dropped(example.item.where, "duplicate"))
            continue
        kept[example.key] = example
        if len(kept) >= 2 * limit:
            kept = only(limit)
    return list(only(limit).values())
