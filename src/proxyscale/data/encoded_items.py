"""A test set's items before overlap is known: encoded, in seeded order, more than are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from proxyscale.base import artifacts
from proxyscale.data.overlap import Tested
from proxyscale.data.record_counts import RecordCounts
from proxyscale.data.split_items import SplitItems, none_left, smallest
from proxyscale.data.task_encoding import Coder, Example
from proxyscale.data.tokens import load_tokenizer, unknown_id

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPLITS = ("holdout", "target")
# Candidates for each example asked for, kept until their overlap is known.
SURPLUS = 4
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


class _Encoding(SplitItems):
    """What a task's splits share; `counts` and `accounts` tell what became of every record."""

    def __init__(
        self, spec: Mapping[str, Any], corpora: Mapping[str, Path], tokenizer: Tokenizer
    ) -> None:
        super().__init__(spec, corpora)
        self.tokenizer = tokenizer
        self.unknown = unknown_id(tokenizer)

    def candidates(self, split: str) -> list[Example]:
        """The first examples of a split in seeded order; none of one that is not asked for."""
        spec, account = self.spec, RecordCounts()
        holdout, target = spec["examples"], spec.get("target_examples") or 0
        wanted = {"holdout": SURPLUS * holdout, "target": SURPLUS * target}[split]
        if split not in self.readers or not wanted:
            return []
        # of the target, some may turn out to be examples of the holdout
        limit = wanted + (holdout if split == "target" else 0)
        whole = bool(spec.get("whole_prompts"))
        coder = Coder(self.tokenizer, spec["length"], spec["seed"], self.few_shot, whole, account)
        coder.bank = self.bank
        found = smallest(coder(self.items(split, account)), limit, account)
        # a record may hold several items, and a row of packed texts is of several
        made = len(found) + account.dropped.total()
        self.counts[split] = {"records": account.read, **coder.counts, "items": made}
        self.accounts[split] = account
        if not found:
            raise none_left(split, self.counts[split], account)
        return found


def _rows(examples: Sequence[Example]) -> pa.Table:
    rows = [
        {
            "example": number,
            "choice": choice,
            "gold": choice == example.item.gold,
            "tokens": np.concatenate([row.context, row.scored]),
            "scored_from": len(row.context),
            "prompt": example.item.prompt_of(choice),
            "prompt_starts": row.starts,
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
