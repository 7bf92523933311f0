"""The one line that a finished job leaves behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from proxyscale.base import artifacts
from proxyscale.base.progress import quantity
from proxyscale.data.accounts import dropped_told, prior_told
from proxyscale.statistics.guesses import guesses, guesses_told

SPLITS = ("holdout", "target")


def corpus_line(out: Path) -> str:
    """Documents, bytes and what was dropped of a corpus."""
    facts = artifacts.read_json(out / "manifest.json")
    documents, size = sum(facts["documents"].values()), sum(facts["bytes"].values())
    dropped = _dropped(facts["dropped"], facts["dropped_first"])
    return _joined([f"{documents:,} documents", f"{quantity(size)}B", dropped])


def pack_line(out: Path) -> str:
    """Rows of a pack and what was dropped."""
    facts = artifacts.read_json(out / "manifest.json")
    rows = f"{facts['rows']:,} examples of {facts['length']} tokens"
    told = {"tokens": facts["tokens"], "unknown_tokens": facts["unknown"]}
    return _joined([rows, _dropped(facts["dropped"], {}), *_unknown([told], "tokens")])


def items_line(out: Path) -> str:
    """Records that a task read and candidates that they gave."""
    facts = artifacts.read_json(out / "manifest.json")["counts"]
    counts = [f"{facts[s]['records']:,} {s} records" for s in SPLITS if s in facts]
    return ", ".join(counts)


def task_line(out: Path) -> str:
    """Examples of both splits of a task and what was dropped."""
    facts = artifacts.read_json(out / "manifest.json")
    counts = facts["counts"]
    told = [(split, counts[split]) for split in SPLITS if split in counts]
    kept = [f"{own['kept']:,} of {own['items']:,} {split}" for split, own in told]
    lost: Counter[str] = Counter()
    first: dict[str, list[str]] = {}
    for split, reasons in facts["dropped"].items():
        lost.update(reasons)
        first = facts["dropped_first"][split] | first
    warnings = [*_cut(counts), *_shots(counts, **facts["few_shot"])]
    warnings += _unknown(counts.values(), "tokens")
    if facts["prior"]:
        warnings.append(f"warning: {prior_told(facts['prior'])}")
    right = guesses_told(guesses(artifacts.read(out / "holdout.parquet", "task")))
    without = f"right without a model: {right}" if right else ""
    return _joined([", ".join(kept), _dropped(lost, first), without, *warnings])


def _cut(counts: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """How many prompts lost the evidence of their answer; a warning if more than 5 % did."""
    for split, told in counts.items():
        if told["lost"]:
            share = told["lost"] / told["kept"]
            warning = "warning: " if share > 0.05 else ""
            yield (
                f"{warning}{told['lost']:,} of {told['kept']:,} {split} prompts were cut and lost "
                "their answer's evidence" + (" (whole_prompts: true drops them)" * bool(warning))
            )


def _shots(
    counts: Mapping[str, Mapping[str, int]], asked_for: int, available: int
) -> Iterator[str]:
    """A warning where prompts have fewer solved examples than they are to have."""
    if available <= asked_for > 0:
        yield f"warning: few_shot is {asked_for}, and there are {available} to draw them from"
    for split, told in counts.items():
        if asked_for and told["cut"]:
            yield (
                f"warning: few_shot is {asked_for}, and in {told['cut']:,} of {told['kept']:,} "
                f"{split} prompts not all of them fit"
            )


def _unknown(counts: Iterable[Mapping[str, Any]], tokens: str) -> Iterator[str]:
    """A warning if more than 1 % of the tokens stand for text that the tokenizer does not know."""
    told = list(counts)
    total, unknown = (sum(one[key] for one in told) for key in (tokens, f"unknown_{tokens}"))
    if unknown > 0.01 * total:
        yield f"warning: the tokenizer does not know {unknown / total:.1%} of the tokens"


def rows_line(path: Path, what: str) -> str:
    """The number of rows of a table."""
    return f"{pq.read_metadata(path).num_rows:,} {what}"


def _dropped(reasons: Mapping[str, int], first: Mapping[str, Sequence[str]]) -> str:
    told = dropped_told(reasons, first)
    return f"dropped: {told}" if told else ""


def _joined(parts: Iterable[str]) -> str:
    return " · ".join(part for part in parts if part)
