"""Tables of what models are and cost, the paper's beside the study's own, as CSV and as text.

Table 9: FLOPs of training and of attribution · 10: architectures · 11: budgets · 20:
hyperparameters. A cell is empty where nobody says it, or where nothing was measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from proxyscale.base import artifacts
from proxyscale.base.cost import attribution_flops, language_parameters, training_flops
from proxyscale.base.progress import noted_duration
from proxyscale.figures import paper

Row = dict[str, Any]
ARCHITECTURE = (
    "width",
    "heads",
    "layers",
    "context",
    "mlp_ratio",
    "vocabulary",
    "bias",
    "tied",
    "parametrization",
)


class Seconds(NamedTuple):
    """What was measured, by scale: mean seconds of a run, CPU seconds of a model's features."""

    training: Mapping[str, float]
    features: Mapping[str, float]


def write_table(
    out: Path,
    spec: Mapping[str, Any],
    runs: pa.Table,
    pool_rows: int,
    features: Iterable[tuple[str, Path]] = (),
) -> None:
    """Write `out`, a .csv, and the same table as .txt beside it.

    `spec`: table (a name of TABLES), study, scales (cheapest first: scale, parameters, tokens,
    length, model, training), attribution (dimension, candidates or None for all `pool_rows`
    examples of the pool, targets, models). Measured seconds come from the `runs` table and from
    `features`: scales, and logs of the jobs that took features of the pool by their models.
    """
    attribution = spec["attribution"]
    candidates = attribution["candidates"] or pool_rows
    spec = {**spec, "attribution": {**attribution, "candidates": candidates}}
    rows = TABLES[spec["table"]](spec, Seconds(_seconds(runs), _noted(features)))
    artifacts.write_rows(out, rows)


def _seconds(runs: pa.Table) -> dict[str, float]:
    """Mean training seconds of a scale's runs."""
    means = runs.group_by("scale").aggregate([("seconds", "mean")]).to_pylist()
    return {row["scale"]: row["seconds_mean"] for row in means}


def _noted(logs: Iterable[tuple[str, Path]]) -> dict[str, float]:
    """Mean CPU seconds of a scale's jobs, as their logs have it."""
    found: dict[str, list[float]] = {}
    for scale, log in logs:
        took = noted_duration(log)
        if took:
            found.setdefault(scale, []).append(took[1])
    return {scale: sum(seconds) / len(seconds) for scale, seconds in found.items()}


def costs(spec: Mapping[str, Any], seconds: Seconds) -> list[Row]:
    """Table 9: the paper's four models with what it prints, then the study's scales.

    FLOPs of one model; `models` are averaged, each trained and featurized. Relative costs are to
    the first row's, 125M and the study's cheapest scale.
    """
    rows = []
    for name, printed in paper.TABLE9.items():
        tokens = printed.trained_on * paper.LENGTH
        row = _cost("paper", name, printed.parameters, tokens, PAPER_TERMS)
        figures = {f"printed_{key}": getattr(printed, key) for key in PRINTED}
        rows.append(
            row | dict.fromkeys(("models", "training_seconds", "features_seconds")) | figures
        )
    given, own = spec["attribution"], []
    for scale in spec["scales"]:
        terms = Terms(scale["length"], given["dimension"], given["candidates"], given["targets"])
        row = _cost(spec["study"], scale["scale"], scale["parameters"], scale["tokens"], terms)
        measured = {
            "models": given["models"],
            "training_seconds": seconds.training.get(scale["scale"]),
            "features_seconds": seconds.features.get(scale["scale"]),
        }
        own.append(row | measured | dict.fromkeys(f"printed_{key}" for key in PRINTED))
    return [*_related(rows), *_related(own)]


PRINTED = ("training", "attribution", "overall", "training_share", "relative")


class Terms(NamedTuple):
    """What attribution's cost depends on besides the model."""

    length: int
    dimension: int
    examples: int
    targets: int


PAPER_TERMS = Terms(paper.LENGTH, paper.DIMENSION, paper.EXAMPLES, paper.TARGETS)


def _cost(study: str, name: str, parameters: int, tokens: int, terms: Terms) -> Row:
    """A row of Table 9 but for the relative cost."""
    training = training_flops(parameters, tokens)
    attribution = attribution_flops(parameters, *terms)
    return {
        "study": study,
        "scale": name,
        "parameters": parameters,
        "trained_on": tokens // terms.length,
        **terms._asdict(),
        "training": training,
        "attribution": attribution,
        "overall": training + attribution,
        "training_share": training / (training + attribution),
    }


def _related(rows: list[Row]) -> list[Row]:
    """Rows with each one's overall cost over that of the first."""
    return [row | {"relative": row["overall"] / rows[0]["overall"]} for row in rows]


def _scales(spec: Mapping[str, Any]) -> list[Row]:
    """The paper's scales, then the study's."""
    of_paper = [
        {
            "study": "paper",
            "scale": name,
            "model": scale.model,
            "parameters": language_parameters(scale.model),
            "tokens": scale.tokens,
            "printed_parameters": scale.printed_parameters,
            "printed_ratio": scale.printed_ratio,
        }
        for name, scale in paper.SCALES.items()
    ]
    unprinted = {"study": spec["study"], "printed_parameters": None, "printed_ratio": None}
    return of_paper + [scale | unprinted for scale in spec["scales"]]


def architectures(spec: Mapping[str, Any], seconds: Seconds) -> list[Row]:
    """Table 10: the shape of every scale, with the count of parameters that the paper prints."""
    return [
        _picked(scale, ("study", "scale"))
        | {key: scale["model"].get(key) for key in ARCHITECTURE}
        | _picked(scale, ("parameters", "printed_parameters"))
        for scale in _scales(spec)
    ]


def budgets(spec: Mapping[str, Any], seconds: Seconds) -> list[Row]:
    """Table 11: tokens, compute 6·P·D and how much more the reference takes of it."""
    rows = []
    for scale in _scales(spec):
        parameters, tokens = scale["parameters"], scale["tokens"]
        flops = training_flops(parameters, tokens) if tokens else None
        measured = seconds.training.get(scale["scale"]) if scale["study"] == spec["study"] else None
        own = {
            "tokens_per_parameter": tokens / parameters if tokens else None,
            "flops": flops,
            "seconds": measured,
            "flops_per_second": flops / measured if flops and measured else None,
        }
        rows.append(
            _picked(scale, ("study", "scale", "parameters", "tokens", "printed_ratio")) | own
        )
    most = {row["study"]: row["flops"] for row in rows if row["flops"]}  # the last is the dearest
    return [
        row | {"ratio": most[row["study"]] / row["flops"] if row["flops"] else None} for row in rows
    ]


def hyperparameters(spec: Mapping[str, Any], seconds: Seconds) -> list[Row]:
    """Table 20: how models are trained."""
    of_paper = [
        {"study": "paper", "scale": name, **paper.TRAINING} for name in paper.HYPERPARAMETERS_OF
    ]
    return of_paper + [
        {"study": spec["study"], "scale": scale["scale"]}
        | _picked(scale["training"], tuple(paper.TRAINING))
        for scale in spec["scales"]
    ]


def _picked(values: Mapping[str, Any], keys: Sequence[str]) -> Row:
    return {key: values[key] for key in keys}


TABLES = {
    "tab9": costs,
    "tab10": architectures,
    "tab11": budgets,
    "tab20": hyperparameters,
}
