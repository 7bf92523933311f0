"""The report: one file that holds the answer, what to train on, figures, tables and the config.

It works offline: styles, script and data stand in it, and its policy lets nothing be fetched. A
study of images gets the sections that its tables can fill, from the same program.
"""

from __future__ import annotations

import base64
import html
import json
import platform
import string
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from proxyscale import __version__
from proxyscale.base import artifacts, seals
from proxyscale.figures.figure_data import FigureData
from proxyscale.figures.style import COLORS, DARK, Style
from proxyscale.reporting import report_data
from proxyscale.reporting.answer import Answer
from proxyscale.reporting.attribution import attribution_data, attribution_words
from proxyscale.reporting.choice import choice_words
from proxyscale.reporting.decisions import decisions_words
from proxyscale.reporting.private import config_text, without_paths
from proxyscale.reporting.statistic_names import MAIN, NAMES, methods
from proxyscale.statistics.grid_reading import ROLES
from proxyscale.statistics.verdict_words import OWN_UNIT

ASSETS = Path(__file__).parent / "assets"
# The sections in their order: what the navigation calls each.
SECTIONS = {
    "answer": "Answer",
    "choice": "What to train on",
    "decisions": "Next",
    "attribution": "Attribution",
    "pictures": "Images",
    "figures": "Figures",
    "examples": "Examples",
    "statistics": "Statistics",
    "costs": "Costs",
    "data-counts": "Data",
    "reproduce": "Reproduce",
}
PROPOSAL = "proposed_mixture"  # the figure of what is proposed
Parts = dict[str, Any]


def write_report(
    out: Path,
    spec: Mapping[str, Any],
    *,
    statistics: pa.Table,
    losses: pa.Table,
    runs: pa.Table,
    pool: Path | None = None,
    tasks: Mapping[str, Path] | None = None,
    tables: Mapping[str, Path] | None = None,
    pictures: Mapping[str, Path] | None = None,
    notes: Sequence[str] = (),
    decided: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write the report of tables of these schemas.

    `spec`: study, config (as it was written) and the order of its sections' keys, trust and
    confidence of the verdict, style, groups, whether texts are shown, and perhaps reference, proxy
    (as for `figures.draw`), the scale `trained` on selections and the `methods` of distributions.
    `pool` is a pool's manifest and `tasks` are folders of artifacts, `tables` the CSV of `effects`,
    `composition` and `selection`, `pictures` SVG files by figure; without them what they tell is
    left out. `notes`: how tables from outside were read. `decided`: the records of a proposal and
    of a plan.
    """
    shown = FigureData(
        Style.of(spec["style"]),
        {**spec, "statistics": statistics, "losses": losses, "runs": runs},
    )
    texts = spec.get("texts", True)
    found = {name: artifacts.read_csv(path) for name, path in (tables or {}).items()}
    data = {
        **_common(shown, spec, found),
        "notes": list(notes if texts else map(without_paths, notes)),
    }
    parts = {"made": html.escape(_made()), "title": html.escape(spec["study"])}
    parts["decisions"] = decisions_words(decided)
    if picture := (pictures or {}).get(PROPOSAL):
        told = "Shares of the proposed mixture; losses foretold against losses measured"
        parts["decisions"] += _picture(picture, told)
    if {*ROLES} & {*runs["role"].unique().to_pylist()}:
        parts |= _of_distributions(shown, spec, data, pool, tasks or {}, texts)
    else:
        parts |= _of_images(shown, data, pictures or {} if texts else {})
    parts |= {
        "methods": html.escape(methods(spec["confidence"], len(data["statistics"]))),
        "versions": html.escape(_versions(runs)),
        "config": html.escape(config_text(spec["config"], spec["order"], texts)),
    }
    page = _page(parts, _exist(data, parts), data)
    with artifacts.atomic(out) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _common(shown: FigureData, spec: Mapping[str, Any], found: Mapping[str, Any]) -> Parts:
    """What the page of every study holds; empty what another kind has."""
    memberships: dict[str, list[str]] = {}
    for group, names in spec.get("groups", {}).items():
        for name in names:
            memberships.setdefault(name, []).append(group)
    effects = found.get("effects", [])
    return {
        "reference": shown.reference,
        "statistics": report_data.statistics_data(shown.statistics, shown.reference),
        "costs": report_data.costs_data(shown.runs, shown.reference),
        "names": NAMES,
        "main": list(MAIN),
        "unit": shown.style.unit or OWN_UNIT,
        "axis_unit": shown.style.unit,
        "percent": f"{spec['confidence']:.0%}",
        "shapes": report_data.shapes(),
        "memberships": memberships,
        "effects": effects,
        "baseline": next((k[5:] for row in effects for k in row if k.startswith("loss_")), None),
        "composition": found.get("composition", []),
        "gains": found.get("selection", []),
        "trained": spec.get("trained"),
        "made_by": spec.get("methods", {}),
        "labels": dict(shown.style.labels),
        **dict.fromkeys(("attribution", "trust", "proxy", "objective"), None),
        **{
            name: []
            for name in (
                *("tasks", "drawn", "proxies", "rivals", "distributions", "partners"),
                "guesses",
            )
        },
        **{
            name: {}
            for name in (
                *("examples", "looks", "methods", "ratios", "variants", "losses", "epochs"),
                "checkpoints",
            )
        },
        "material": {"sources": [], "tasks": []},
    }


def _of_distributions(
    shown: FigureData,
    spec: Mapping[str, Any],
    data: Parts,
    pool: Path | None,
    tasks: Mapping[str, Path],
    texts: bool,
) -> Parts:
    """Of a study that compares distributions: fill `data`; the page's words."""
    answer = Answer(shown.statistics, spec["trust"], spec["confidence"], data["unit"])
    data |= {
        **report_data.figures_data(shown),
        **report_data.runs_data(shown),
        "trust": answer.ladders(),
        "examples": report_data.examples_data(shown, tasks if texts else {}),
        "material": report_data.material_data(pool, tasks, named=texts),
        "guesses": report_data.guesses_data(shown, tasks),
        "methods": report_data.methods_data(shown, data["gains"]),
    }
    told = choice_words(
        *(shown.statistics, shown.reference, shown.proxies),
        labels=data["labels"],
        unit=data["unit"],
        confidence=spec["confidence"],
    )
    reference = shown.style.label(shown.reference)
    return {
        "question": html.escape(
            f"Do small models tell what training data do to {reference}? For whoever chooses data "
            "for a large model and can try them on small ones."
        ),
        "subtitle": html.escape(_subtitle(shown)),
        "headline": html.escape(answer.headline),
        "verdict": answer.paragraphs,
        "choice": "".join(f"<p>{html.escape(said)}</p>" for said in told),
    }


def _of_images(shown: FigureData, data: Parts, pictures: Mapping[str, Path]) -> Parts:
    """Of a study of attribution: fill `data`; the page's words."""
    scales = [row["scale"] for row in data["costs"]]
    reference, count = shown.style.label(shown.reference), len(scales)
    data |= attribution_data(shown.statistics, shown.reference, scales)
    tasks = {row["task"] for row in data["attribution"]}
    headline, said = attribution_words(shown.statistics, shown.reference, scales)
    return {
        "question": html.escape(
            f"Do scores from narrow networks tell which training images move {reference}? For "
            "whoever attributes what a large model does and can score with a small one."
        ),
        "subtitle": html.escape(
            f"{count} widths, {len(shown.runs):,} runs, measured on {len(tasks)} test "
            f"set{'s' * (len(tasks) != 1)}; the reference is {reference}"
        ),
        "headline": html.escape(headline),
        "verdict": f"<p>{html.escape(said)}</p>",
        "pictures": "".join(
            _picture(path, f"{name}: training images that help and harm a test image, by width")
            for name, path in pictures.items()
        ),
    }


def _picture(path: Path, told: str) -> str:
    """A figure as it is printed, in the page itself."""
    encoded = base64.b64encode(seals.verified(path).read_bytes()).decode("ascii")
    source = f"data:image/svg+xml;base64,{encoded}"
    return f'<figure class="picture"><img alt="{html.escape(told)}" src="{source}"></figure>'


def _exist(data: Parts, parts: Parts) -> Iterator[str]:
    """The sections that have something to show."""
    compared = bool(data["distributions"])
    having = {
        "choice": compared,
        "decisions": bool(parts["decisions"]),
        "figures": compared,
        "attribution": bool(data["attribution"]),
        "pictures": bool(parts.get("pictures")),
        "examples": bool(data["examples"]),
        "data-counts": any(
            (data["epochs"], data["notes"], data["partners"], *data["material"].values())
        ),
    }
    return (name for name in SECTIONS if having.get(name, True))


def _page(parts: Parts, names: Iterator[str], data: Parts) -> str:
    """The file: the sections that exist, the navigation to them, styles, script and data."""
    chosen = list(names)
    sections = [
        string.Template((ASSETS / "sections" / f"{name}.html").read_text()).substitute(parts)
        for name in chosen
    ]
    nav = "".join(f'<a href="#{name}">{SECTIONS[name]}</a>' for name in chosen)
    return string.Template((ASSETS / "report.html").read_text()).substitute(
        parts,
        nav=nav,
        sections="\n".join(sections),
        css=_colors() + (ASSETS / "report.css").read_text(),
        script="".join(path.read_text() for path in sorted((ASSETS / "js").iterdir())),
        data=_script_json(data),
    )


def _colors() -> str:
    """The palette of the figures as styles, on paper and on a dark page."""
    paper, dark = (
        "".join(f"--c{i}:{color};" for i, color in enumerate(palette)) for palette in (COLORS, DARK)
    )
    screen = "@media screen and (prefers-color-scheme:dark)"
    return f":root{{{paper}}}\n{screen}{{:root{{{dark}}}}}\n"


def _script_json(value: Any) -> str:
    """JSON that may stand in a script element: without `<` no text of it ends or opens anything."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _made() -> str:
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    where = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"Made {when} with proxyscale {__version__} on {where}"


def _versions(runs: pa.Table) -> str:
    known = report_data.versions(runs)
    if not known:
        return "What the runs were trained with is not known."
    return f"Runs were trained with {', '.join(f'{k} {v}' for k, v in known.items())}."


def _subtitle(data: FigureData) -> str:
    grid = data.grid
    seeds = sorted({int(count) for count in grid.counts.ravel() if count})
    told = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return (
        f"{len(grid.scales)} scales × {len(grid.distributions)} training distributions × {told} "
        f"run{'s' * (seeds != [1])} each, measured on {len(grid.tasks)} "
        f"test set{'s' * (len(grid.tasks) != 1)}; the reference is {data.reference}"
    )
