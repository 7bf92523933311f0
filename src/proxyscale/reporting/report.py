"""The report: one file that holds the verdict, the figures to explore, tables and the config.

It works offline: styles, script and data stand in it, and its policy lets nothing be fetched.
"""

from __future__ import annotations

import html
import json
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.figures.figure_data import FigureData
from proxyscale.figures.style import Style
from proxyscale.reporting.report_data import (
    costs_data,
    examples_data,
    figures_data,
    ladder,
    ladder_note,
    material_data,
    runs_data,
)
from proxyscale.statistics.trials import trials, trust_of
from proxyscale.statistics.verdict import OVERALL, Verdict, verdict
from proxyscale.statistics.verdict_words import OWN_UNIT, words

ASSETS = Path(__file__).parent / "assets"
FILES = ("report.html", "report.css", "report.js")


def write_report(
    out: Path,
    spec: Mapping[str, Any],
    *,
    statistics: pa.Table,
    losses: pa.Table,
    runs: pa.Table,
    pool: Path | None = None,
    tasks: Mapping[str, Path] | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Write the report of tables of these schemas.

    `spec`: study, config (as it was written) and the order of its sections' keys, trust and
    confidence of the verdict, style, and perhaps reference and proxy (as for `figures.draw`).
    `pool` is a pool's manifest and `tasks` are folders of artifacts; without them what they tell
    is left out. `notes`: how tables from outside were read.
    """
    read = {"statistics": statistics, "losses": losses, "runs": runs}
    shown = FigureData(Style.of(spec["style"]), {**spec, **read})
    tasks = tasks or {}
    found, refusal = _verdicts(statistics, spec)
    trust = trust_of(spec["trust"])
    tested = trials(statistics, spec["confidence"], trust) if found else {}
    data = {
        **figures_data(shown),
        "ladder": ladder(tested, trust),
        "ladder_note": ladder_note(trust, spec["confidence"]),
        "examples": examples_data(shown, tasks),
        "costs": costs_data(shown),
        "material": material_data(pool, tasks),
        **runs_data(shown),
        "notes": list(notes),
    }
    page = string.Template((ASSETS / "report.html").read_text()).substitute(
        title=html.escape(spec["study"]),
        subtitle=html.escape(_subtitle(shown)),
        headline=html.escape(_headline(found, refusal)),
        verdict=_paragraphs(found, refusal, shown.style.unit or OWN_UNIT),
        config=html.escape(_config(spec["config"], spec["order"])),
        css=(ASSETS / "report.css").read_text(),
        script=(ASSETS / "report.js").read_text(),
        # "</" must not end the element that holds the data
        data=json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/"),
    )
    with artifacts.atomic(out) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _config(config: Mapping[str, Any], order: Mapping[str, list[str]]) -> str:
    """The config as YAML, `study` first, the sections named in `order` in that order."""
    first = sorted(config, key=lambda key: key != "study")
    sections = {key: {name: config[key][name] for name in names} for key, names in order.items()}
    words = {key: sections.get(key, config[key]) for key in first}
    return str(yaml.safe_dump(words, sort_keys=False, width=96))


def _verdicts(statistics: pa.Table, spec: Mapping[str, Any]) -> tuple[list[Verdict], str]:
    """The verdicts, or none and why."""
    try:
        return verdict(statistics, spec["trust"], spec["confidence"]), ""
    except UserError as error:
        return [], str(error)


def _headline(found: list[Verdict], refusal: str) -> str:
    """The verdict in a few words."""
    if refusal or not found:
        return "No verdict"
    first = found[0]
    where = "every task" if first.task == OVERALL else first.task
    if first.trusted is None:
        if first.scales == 1:
            return f"{first.failed[0].scale} is not known to be trustworthy on {where}"
        return f"None of these scales is known to be trustworthy on {where}"
    ratio = first.trusted.compute_ratio
    saved = f", at 1/{ratio:,.3g} of the compute" if ratio == ratio else ""
    return f"{first.trusted.scale} can be trusted on {where}{saved}"


def _paragraphs(found: list[Verdict], refusal: str, unit: str) -> str:
    """The overall verdict as a paragraph, those of the tasks as a list below it."""
    if refusal or not found:
        return f"<p>{html.escape(refusal)}</p>"
    overall, *each = (html.escape(words(one, unit)) for one in found)
    if len(each) < 2:
        return f"<p>{overall}</p>"
    rows = "".join(f"<li>{told}</li>" for told in each)
    return f"<p>{overall}</p><details><summary>Task by task</summary><ul>{rows}</ul></details>"


def _subtitle(data: FigureData) -> str:
    grid = data.grid
    seeds = sorted({int(count) for count in grid.counts.ravel() if count})
    told = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return (
        f"{len(grid.scales)} scales × {len(grid.distributions)} training distributions × {told} "
        f"run{'s' * (seeds != [1])} each, measured on {len(grid.tasks)} "
        f"task{'s' * (len(grid.tasks) != 1)}; the reference is {data.reference}"
    )
