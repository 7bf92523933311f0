"""Test sets: records become items, items become tokens, and what stands elsewhere is dropped.

A task kind is one function from records to items (`@task`); everything after it is the same for
all kinds. `build_task` makes a holdout (only ever measured) and a target (selection may look at
it), and drops what stands in the documents of the pool or on the other side.
"""

from __future__ import annotations

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
from proxyscale.data.pool import Pool
from proxyscale.data.raw_record import Dropped
from proxyscale.data.record_counts import RecordCounts
from proxyscale.data.task_encoding import Coder, Example
from proxyscale.data.task_items import Item, Record, seeded_hash
from proxyscale.data.task_records import readers
from proxyscale.data.tokens import load_tokenizer, unknown_id
from proxyscale.data.words import SEPARATOR

# Candidates for each example asked for, kept until their overlap is known.
SURPLUS = 4
# Few-shot examples are drawn from this many target items.
SHOT_BANK = 256


def build_task(
    out: Path,
    spec: Mapping[str, Any],
    corpora: Mapping[str, Path],
    tokenizer: Path,
    pool: Path,
) -> None:
    """Make a test set: `holdout.parquet`, `target.parquet` (perhaps empty) and `manifest.json`.

    `spec`: kind, options, sources or records, examples, target_examples, split_by, target,
    few_shot, overlap_window, drop_context, whole_prompts, length, seed. UserError if a split that
    has records ends up empty, or more than half of its records cannot be used.
    """
    overlap.check_window(spec["overlap_window"])
    builder = Builder(spec, corpora, load_tokenizer(tokenizer), Pool.open(pool))
    holdout = builder.split("holdout", spec["examples"])
    target = builder.split("target", spec.get("target_examples") or 0, holdout)
    files = []
    for name, examples in (("holdout", holdout), ("target", target)):
        files.append(out / f"{name}.parquet")
        artifacts.write(files[-1], _table(examples), "task")
    artifacts.write_manifest(
        out / "manifest.json",
        files,
        kind=spec["kind"],
        length=spec["length"],
        window=spec["overlap_window"],
        counts=builder.counts,
        few_shot={"asked_for": spec.get("few_shot") or 0, "available": len(builder.bank)},
        dropped={name: dict(one.dropped) for name, one in builder.accounts.items()},
        dropped_first={name: one.named for name, one in builder.accounts.items()},
        found_in=builder.found_in,
        prior=prior(holdout),
    )


class Builder:
    """What the splits of one task share; `counts` and `accounts` tell what became of every record,
    `found_in` which examples stand in which source."""

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
        self.accounts: dict[str, RecordCounts] = {}
        self.found_in: dict[str, dict[str, dict[str, int]]] = {}
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

    def split(self, name: str, wanted: int, holdout: Sequence[Example] = ()) -> list[Example]:
        """The examples of a split in seeded order, without what stands in the pool or `holdout`."""
        if name not in self.readers or not wanted:
            return []
        spec, account = self.spec, RecordCounts()
        few_shot, whole = spec.get("few_shot") or 0, bool(spec.get("whole_prompts"))
        coder = Coder(self.tokenizer, spec["length"], spec["seed"], few_shot, whole, account)
        coder.bank = self.bank
        seen = {example.key for example in holdout}
        made = coder(self.items(name, account))
        candidates = smallest(made, SURPLUS * wanted, seen, account)
        dropped = self.standing(name, candidates, holdout)
        for example, reason in zip(candidates, dropped, strict=True):
            if reason:
                account.drop(Dropped(example.item.where, reason))
        left = [e for e, reason in zip(candidates, dropped, strict=True) if not reason]
        kept = left[:wanted]
        for example in left[wanted:]:
            account.drop(Dropped(example.item.where, "not asked for"))
        counts = Counter(records=account.read, asked_for=wanted, tested=len(candidates))
        counts.update(coder.counts)
        counts.update(kept=len(kept), duplicates=account.dropped["duplicate"])
        for reason in ("in pool", "in holdout"):
            counts[reason.replace(" ", "_")] = dropped.count(reason)
        for fact in ("cut", "lost", "joined"):
            counts[fact] = sum(getattr(example, fact) for example in kept)
        counts.update(self.unknown(kept))
        self.counts[name] = self.counts.get(name, {}) | dict(counts)
        self.accounts[name] = account
        if not kept:
            told = ", ".join(f"{what} {count}" for what, count in sorted(counts.items()) if count)
            first = f"; {account.told()}" if account.dropped else ""
            hint = "more records, a larger length, or split_by for a field that examples share"
            raise UserError(f"no {name} example is left ({told}{first})", hint=hint)
        return kept

    def standing(
        self, name: str, candidates: Sequence[Example], holdout: Sequence[Example]
    ) -> list[str]:
        """Why each candidate is dropped for where else it stands; empty if it is not.

        Beside the target, that of the holdout: its items, and the contexts given with them.
        """
        window = self.spec["overlap_window"]
        tested = [example.tested for example in candidates]
        found = overlap.search(tested, self.pool.words(), window)
        in_pool = found.all.items | (found.all.contexts & bool(self.spec.get("drop_context")))
        near = overlap.search(tested, [("holdout", said(holdout))], window).all
        own = (near.items | near.contexts) & ~in_pool
        self.found_in[name] = {
            source: {"items": int(one.items.sum()), "contexts": int(one.contexts.sum())}
            for source, one in found.sources.items()
        }
        self.counts[name] = {
            "context_in_pool": int(found.all.contexts.sum()),
            "short": int(found.short.sum()),
            "short_in_pool": int((found.short & found.all.items).sum()),
        }
        reasons = np.select([in_pool, own], ["in pool", "in holdout"], "")
        return [str(reason) for reason in reasons]

    def unknown(self, examples: Sequence[Example]) -> dict[str, int]:
        """How many tokens examples have, and how many of them stand for unknown text."""
        rows = [row.context + row.scored for example in examples for row in example.rows]
        missing = unknown_id(self.tokenizer)
        unknown = 0 if missing is None else sum(row.count(missing) for row in rows)
        return {"tokens": sum(map(len, rows)), "unknown_tokens": unknown}


def said(examples: Sequence[Example]) -> np.ndarray:
    """The words of examples and of their contexts, each a document."""
    end = np.array([SEPARATOR], np.uint32)
    parts = [part for e in examples for part in (e.tested.item, end, e.tested.context, end)]
    return np.concatenate(parts or [end])


def smallest(
    examples: Iterable[Example], limit: int, seen: set[bytes], account: RecordCounts
) -> list[Example]:
    """The `limit` examples of smallest key, in that order, without repetition or `seen` ones."""
    kept: dict[bytes, Example] = {}

    def only(best: int) -> dict[bytes, Example]:
        ordered = sorted(kept)
        for digest in ordered[best:]:
            account.drop(Dropped(kept[digest].item.where, "not asked for"))
        return {digest: kept[digest] for digest in ordered[:best]}

    for example in examples:
        if example.key in kept or example.key in seen:
            account.drop(Dropped(example.item.where, "duplicate"))
            continue
        kept[example.key] = example
        if len(kept) >= 2 * limit:
            kept = only(limit)
    return list(only(limit).values())


def prior(examples: Sequence[Example]) -> dict[str, Any] | None:
    """Of examples that all have the same choices: how many, and how often the commonest is right.

    A loss on these mostly measures which answer is common.
    """
    choices = {frozenset(example.item.choices) for example in examples}
    count = len(next(iter(choices)))
    alike = len(choices) == 1 and all(len(example.item.choices) == count for example in examples)
    if count < 2 or not alike or any(example.item.contexts for example in examples):
        return None
    counts = Counter(example.item.choices[example.item.gold] for example in examples)
    return {"choices": count, "commonest": max(counts.values()) / len(examples)}


def _table(examples: Sequence[Example]) -> pa.Table:
    rows = [
        {
            "example": number,
            "choice": choice,
            "gold": choice == example.item.gold,
            "tokens": row.context + row.scored,
            "scored_from": len(row.context),
            "prompt": example.item.prompt_of(choice),
            "continuation": example.item.choices[choice],
        }
        for number, example in enumerate(examples)
        for choice, row in enumerate(example.rows)
    ]
    return pa.Table.from_pylist(rows, schema=artifacts.SCHEMAS["task"])
