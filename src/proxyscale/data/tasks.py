"""Test sets: a holdout, only ever measured, and a target, which selection may look at.

Of the items that are encoded, those are dropped that stand in the documents of the pool or on the
other side.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from proxyscale.base import arrays, artifacts
from proxyscale.data.encoded_items import FACTS, SPLITS, EncodedItems
from proxyscale.data.overlap import END, Sought, Standing, Tested
from proxyscale.data.overlap_search import search
from proxyscale.data.raw_record import Dropped
from proxyscale.data.record_counts import RecordCounts
from proxyscale.data.split_items import none_left


def build_task(out: Path, spec: Mapping[str, Any], items: Path, found: Sequence[Path]) -> None:
    """Make a test set: `holdout.parquet`, `target.parquet` (perhaps empty) and `manifest.json`.

    `items` are its encoded items, `found` the files of what stands in each pack of the pool.
    `spec`: examples, target_examples, overlap_window, drop_context. UserError if a split that
    has items ends up empty.
    """
    choice = _Choice(spec, EncodedItems.open(items), found)
    files, kept = [], {}
    for split in SPLITS:
        kept[split] = choice.kept(split)
        files.append(out / f"{split}.parquet")
        artifacts.write(files[-1], kept[split], "task")
    facts = choice.items.facts
    artifacts.write_manifest(
        out / "manifest.json",
        files,
        kind=facts["kind"],
        length=facts["length"],
        window=spec["overlap_window"],
        counts=choice.counts,
        few_shot=facts["few_shot"],
        dropped={name: dict(one.dropped) for name, one in choice.accounts.items()},
        dropped_first={name: one.named for name, one in choice.accounts.items()},
        found_in=choice.found_in,
        prior=prior(kept["holdout"]),
    )


class _Choice:
    """Which items are kept; `counts`, `accounts` and `found_in` tell what became of all."""

    def __init__(self, spec: Mapping[str, Any], items: EncodedItems, found: Sequence[Path]) -> None:
        self.spec, self.items = spec, items
        self.counts: dict[str, dict[str, int]] = {}
        self.accounts: dict[str, RecordCounts] = {}
        self.found_in: dict[str, dict[str, dict[str, int]]] = {}
        self.holdout: list[Tested] = []  # what is kept of it
        self.keys: set[bytes] = set()
        self._stand(found)

    def _stand(self, found: Sequence[Path]) -> None:
        """What stands in the pool and in each of its sources, by split."""
        sought = Sought(self.items.tested, self.spec["overlap_window"])
        packs: dict[str, list[np.ndarray]] = defaultdict(list)
        for file in found:
            packs[file.parent.name.partition("@")[0]].append(arrays.read(file))
        sources = {name: np.bitwise_or.reduce(flags) for name, flags in packs.items()}
        pool = np.bitwise_or.reduce(list(sources.values()))
        standing, *each = sought.standing([pool, *sources.values()])
        places = np.cumsum([0, *(len(self.items.words[split]) for split in SPLITS)])
        parts = dict(zip(SPLITS, map(slice, places[:-1], places[1:]), strict=True))
        self.pool = {s: Standing(*(side[part] for side in standing)) for s, part in parts.items()}
        self.short = {split: sought.short[part] for split, part in parts.items()}
        for split in self.items.facts["counts"]:
            self.found_in[split] = {
                source: {
                    "items": int(one.items[parts[split]].sum()),
                    "contexts": int(one.contexts[parts[split]].sum()),
                }
                for source, one in zip(sources, each, strict=True)
            }

    def kept(self, split: str) -> pa.Table:
        """The examples of a split in seeded order, without what stands in the pool or holdout."""
        rows, table = self.items.rows(split), self.items.words[split]
        if split not in self.items.facts["counts"]:
            return rows
        wanted = self.spec["examples" if split == "holdout" else "target_examples"]
        account = RecordCounts.of(self.items.facts["accounts"][split])
        reasons = self._reasons(split)
        left = np.flatnonzero(reasons == "")
        reasons[left[wanted:]] = "not asked for"
        for place in np.flatnonzero(reasons != ""):
            account.drop(Dropped(table["record"][int(place)].as_py(), str(reasons[place])))
        kept = left[:wanted]
        counts = Counter(asked_for=wanted, tested=len(table), kept=len(kept))
        counts.update(self.items.facts["counts"][split])
        counts.update(self._overlap(split), duplicates=account.dropped["duplicate"])
        for reason in ("in pool", "in holdout"):
            counts[reason.replace(" ", "_")] = int((reasons == reason).sum())
        own = table.take(kept)
        for name, fact in (
            ("tokens", "tokens"),
            ("unknown_tokens", "unknown"),
            *zip(FACTS, FACTS, strict=True),
        ):
            counts[name] = int(np.sum(own[fact].to_numpy()))
        self.counts[split], self.accounts[split] = dict(counts), account
        if not len(kept):
            raise none_left(split, counts, account)
        if split == "holdout":
            tested = self.items.tested_of(split)
            self.holdout = [tested[place] for place in kept]
            self.keys = set(own["key"].to_pylist())
        return _of(rows, kept)

    def _reasons(self, split: str) -> np.ndarray:
        """Why each example is dropped for where else it stands; empty if it is not.

        Beside the target, that of the holdout: its items, and the contexts given with them.
        """
        pool = self.pool[split]
        in_pool = pool.items | (pool.contexts & bool(self.spec.get("drop_context")))
        same = np.array([k in self.keys for k in self.items.words[split]["key"].to_pylist()], bool)
        own = np.zeros(len(in_pool), bool)
        if self.holdout:
            sought = Sought(self.items.tested_of(split), self.spec["overlap_window"])
            near = sought.standing(search([sought], said(self.holdout)))[0]
            own = near.items | near.contexts
        told = ["duplicate", "in pool", "in holdout"]
        return np.select([same, in_pool, own], told, "").astype(object)

    def _overlap(self, split: str) -> dict[str, int]:
        pool, short = self.pool[split], self.short[split]
        return {
            "context_in_pool": int(pool.contexts.sum()),
            "short": int(short.sum()),
            "short_in_pool": int((short & pool.items).sum()),
        }


def said(tested: Sequence[Tested]) -> np.ndarray:
    """The words of examples and of their contexts, each a document."""
    return np.concatenate([p for one in tested for p in (one.item, END, one.context, END)])


def _of(rows: pa.Table, kept: np.ndarray) -> pa.Table:
    """The rows of some examples, which are numbered anew in their order."""
    example = rows["example"].to_numpy()
    place = np.full(example.max() + 1, -1)
    place[kept] = np.arange(len(kept))
    own = rows.filter(pa.array(place[example] >= 0))
    number = pa.array(place[example][place[example] >= 0], pa.uint32())
    return own.set_column(own.column_names.index("example"), "example", number)


def prior(rows: pa.Table) -> dict[str, Any] | None:
    """Of examples that all have the same choices: how many, and how often the commonest is right.

    A loss on these mostly measures which answer is common.
    """
    asked: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in rows.select(["example", "gold", "prompt", "continuation"]).to_pylist():
        asked[row["example"]]["choices"].append(row["continuation"])
        asked[row["example"]]["prompts"].append(row["prompt"])
        if row["gold"]:
            asked[row["example"]]["gold"].append(row["continuation"])
    kinds = {frozenset(one["choices"]) for one in asked.values()}
    count = len(next(iter(kinds)))
    alike = len(kinds) == 1 and all(len(one["choices"]) == count for one in asked.values())
    if count < 2 or not alike or any(len(set(one["prompts"])) > 1 for one in asked.values()):
        return None
    commonest = Counter(one["gold"][0] for one in asked.values()).most_common(1)[0][1]
    return {"choices": count, "commonest": commonest / len(asked)}
