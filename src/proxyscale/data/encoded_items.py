"""A test set's items before overlap is known: encoded, in seeded order, more than are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from proxyscale import registry
from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.data.overlap import Tested
from proxyscale.data.raw_record import Dropped
from proxyscale.data.record_counts import RecordCounts
from proxyscale.data.task_encoding import Coder, Example
from proxyscale.data.task_items import Item, Record, seeded_hash
from proxyscale.data.task_records import readers
from proxyscale.data.tokens import load_tokenizer, unknown_id

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPLITS = ("holdout", "target")
# Candidates for each example asked for, kept until their overlap is known.
SURPLUS = 4
# Few-shot examples are drawn from this many target items.
SHOT_BANK = 256
WORDS = ("question", "answer", "context")
FACTS = ("cut", "lost", "joined")  # of an example, by its encoding


def encode_items(
    out: Path, spec: Mapping[str, Any], corpora: Mapping[str, Path], tokenizer: Path
) -> None:
    """Write the candidates of both splits, and `manifest.json`.

    `{split}.parquet` has a row for each choice, `{split}.words.parquet` one for each example, with
    the words that overlap is told by.

    `spec`: kind, options, sources or records, examples, target_examples, split_by, target,
    few_shot, whole_prompts, length, seed. UserError if a split that has records gives none, or more
    than half of its records cannot be used.
    """
    encoding = _Encoding(spec, corpora, load_tokenizer(tokenizer))
    files = []
    for split in SPLITS:
        examples = encoding.candidates(split)
        for name, table, kind in (
            (split, _rows(examples), "task"),
            (f"{split}.words", _words(examples, encoding.unknown), "items"),
        ):
            files.append(out / f"{name}.parquet")
            artifacts.write(files[-1], table, kind)
    artifacts.write_manifest(
        out / "manifest.json",
        files,
        kind=spec["kind"],
        length=spec["length"],
        few_shot={"asked_for": spec.get("few_shot") or 0, "available": len(encoding.bank)},
        counts=encoding.counts,
        accounts={split: account.facts() for split, account in encoding.accounts.items()},
    )


class _Encoding:
    """What a task's splits share; `counts` and `accounts` tell what became of every record."""

    def __init__(
        self, spec: Mapping[str, Any], corpora: Mapping[str, Path], tokenizer: Tokenizer
    ) -> None:
        self.spec = spec
        self.tokenizer = tokenizer
        self.unknown = unknown_id(tokenizer)
        self.readers = readers(spec, corpora)
        self.counts: dict[str, dict[str, int]] = {}
        self.accounts: dict[str, RecordCounts] = {}
        few_shot = spec.get("few_shot") or 0
        self.bank = self.shot_bank() if few_shot else []

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

    def candidates(self, split: str) -> list[Example]:
        """The first examples of a split in seeded order; none of one that is not asked for."""
        spec, account = self.spec, RecordCounts()
        holdout, target = spec["examples"], spec.get("target_examples") or 0
        wanted = {"holdout": SURPLUS * holdout, "target": SURPLUS * target}[split]
        if split not in self.readers or not wanted:
            return []
        # of the target, some may turn out to be examples of the holdout
        limit = wanted + (holdout if split == "target" else 0)
        few_shot, whole = spec.get("few_shot") or 0, bool(spec.get("whole_prompts"))
        coder = Coder(self.tokenizer, spec["length"], spec["seed"], few_shot, whole, account)
        coder.bank = self.bank
        found = smallest(coder(self.items(split, account)), limit, account)
        # a record may hold several items, and a row of packed texts is of several
        made = len(found) + account.dropped.total()
        self.counts[split] = {"records": account.read, **coder.counts, "items": made}
        self.accounts[split] = account
        if not found:
            raise none_left(split, self.counts[split], account)
        return found


def none_left(split: str, counts: Mapping[str, int], account: RecordCounts) -> UserError:
    """The mistake of a split without an example, to be raised."""
    told = ", ".join(f"{what} {count}" for what, count in sorted(counts.items()) if count)
    first = f"; {account.told()}" if account.dropped else ""
    hint = "more records, a larger length, or split_by for a field that examples share"
    return UserError(f"no {split} example is left ({told}{first})", hint=hint)


def smallest(examples: Iterable[Example], limit: int, account: RecordCounts) -> list[Example]:
    """The `limit` examples of smallest key, in that order, without repetition."""
    kept: dict[bytes, Example] = {}

    def only(best: int) -> dict[bytes, Example]:
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


def _rows(examples: Sequence[Example]) -> pa.Table:
    rows = [
        {
            "example": number,
            "choice": choice,
            "gold": choice == example.item.gold,
            "tokens": np.concatenate([row.context, row.scored]),
            "scored_from": len(row.context),
            "prompt": example.item.prompt_of(choice),
            "continuation": example.item.choices[choice],
            "bytes": len(row.text.encode()),
            "characters": len(row.text),
        }
        for number, example in enumerate(examples)
        for choice, row in enumerate(example.rows)
    ]
    return pa.Table.from_pylist(rows, schema=artifacts.SCHEMAS["task"])


def _words(examples: Sequence[Example], unknown: int | None) -> pa.Table:
    rows = [
        {
            "key": example.key,
            "record": example.item.where,
            "tokens": sum(len(row.context) + len(row.scored) for row in example.rows),
            "unknown": _unknown(example, unknown),
            **{fact: getattr(example, fact) for fact in FACTS},
            **example.tested._asdict(),
        }
        for example in examples
    ]
    return pa.Table.from_pylist(rows, schema=artifacts.SCHEMAS["items"])


def _unknown(example: Example, unknown: int | None) -> int:
    if unknown is None:
        return 0
    parts = (part for row in example.rows for part in (row.context, row.scored))
    return sum(int((part == unknown).sum()) for part in parts)


class EncodedItems(NamedTuple):
    """What `encode_items` wrote: by split, the facts of its examples and their words."""

    folder: Path
    facts: dict[str, Any]
    words: dict[str, pa.Table]

    @classmethod
    def open(cls, folder: Path) -> EncodedItems:
        """Read a test set's items, but not their tokens."""
        words = {s: artifacts.read(folder / f"{s}.words.parquet", "items") for s in SPLITS}
        return cls(folder, artifacts.read_json(folder / "manifest.json"), words)

    @property
    def tested(self) -> list[Tested]:
        """The words of every example, those of the holdout first."""
        return [one for split in SPLITS for one in self.tested_of(split)]

    def tested_of(self, split: str) -> list[Tested]:
        """The words of every example of a split."""
        table = self.words[split]
        return [Tested(*parts) for parts in zip(*(_lists(table[n]) for n in WORDS), strict=True)]

    def rows(self, split: str) -> pa.Table:
        """The rows of a split's examples, one for each choice, of kind `task`."""
        return artifacts.read(self.folder / f"{split}.parquet", "task")


def _lists(column: pa.ChunkedArray) -> list[np.ndarray]:
    """A column of lists as arrays."""
    whole = column.combine_chunks()
    return np.split(whole.values.to_numpy(), whole.offsets.to_numpy()[1:-1]) if len(whole) else []
