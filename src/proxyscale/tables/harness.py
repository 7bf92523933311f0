"""Files of evaluation programs: lm-evaluation-harness's results and samples, OLMES' metrics and
predictions.

They become rows of model, task, metric and value, with `example` where they hold single ones. A
task that every model has by example is read so, and its averages are left aside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import pandas as pd

from proxyscale.base.errors import UserError
from proxyscale.tables.sheet import ABSENT, Sheet

STAMP = r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:\.\d+)?"
PACKED = r"(?:\.(?:gz|bz2|xz|zst))?"
KINDS = {
    "results": re.compile(rf"results(?:_{STAMP})?\.json{PACKED}"),
    "samples": re.compile(rf"samples_(?P<task>.+?)(?:_{STAMP})?\.jsonl{PACKED}"),
    "olmes": re.compile(
        rf"(?:task-\d+-.+-)?metrics\.json{PACKED}|(?:.*-)?metrics-all\.jsonl{PACKED}"
    ),
    "predictions": re.compile(rf"task-\d+-(?P<task>.+)-predictions\.jsonl{PACKED}"),
}
ORDER = list(KINDS)
ASIDE = re.compile(r"alias|name|samples?|sample_len|.*(?:stderr|_se)(?:[,_].*)?| ")
# What the programs themselves say of their metrics, for files that do not repeat it.
HIGHER_WORDS = (
    "acc acc_norm acc_bytes acc_mutual_info exact_match em f1 mcc bleu chrf likelihood_diff "
    "pct_stereotype primary_score correct_prob margin loglikelihood"
)
HIGHER = frozenset(HIGHER_WORDS.split())
LOWER_WORDS = "perplexity word_perplexity byte_perplexity bits_per_byte brier_score ter wer"
LOWER = frozenset(LOWER_WORDS.split())
# Averaged as exp(−mean), a sample's "perplexity" is its log-likelihood.
SAMPLED_AS = {"perplexity": "loglikelihood"}
Row = dict[str, Any]


def kind_of(path: str) -> str | None:
    """Which file of these programs a name is; None for any other."""
    name = PurePath(path).name
    return next((kind for kind, form in KINDS.items() if form.fullmatch(name)), None)


def evaluation_files(paths: Iterable[str]) -> list[str]:
    """Those of the paths that these programs write."""
    return [path for path in paths if kind_of(path)]


def is_evaluation(path: str, value: Any) -> bool:
    """Whether a JSON value is what its file's name promises: `results.json` may be any table."""
    first = value[0] if isinstance(value, list) and value else value
    if not isinstance(first, dict):
        return False
    needed: dict[str, tuple[str, ...]] = {
        "results": ("results",),
        "samples": ("doc_id",),
        "olmes": ("tasks",) if "tasks" in first else ("task_name", "metrics"),
        "predictions": ("doc_id", "metrics"),
    }
    return set(needed[str(kind_of(path))]) <= set(first)


def read_evaluations(files: Mapping[str, Any]) -> Sheet:
    """One sheet of all the files (path → JSON value). UserError for one that is not of its kind."""
    rows: list[Row] = []
    better: dict[str, str] = {}
    models: dict[str, list[Row]] = {}  # folder → what its files of averages say of the model
    for path in sorted(files, key=lambda p: (ORDER.index(str(kind_of(p))), p)):
        kind = str(kind_of(path))
        try:
            found = list(READ[kind](path, files[path], models, better))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            message = f"not a file of {kind} as the evaluation program writes it: {error!r}"
            raise UserError(message, where=path) from None
        if not found:
            raise UserError("this file holds no metric", where=path)
        rows += found
    rows = _by_example_or_averaged(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [row.get(name, ABSENT) for row in rows] for name in names}
    frame = pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in columns.items()})
    where = next(iter(files)) if len(files) == 1 else f"{len(files)} evaluation files"
    return Sheet(where, frame, better=better, every_metric=True)


def _by_example_or_averaged(rows: Sequence[Row]) -> list[Row]:
    """Rows by example of (task, metric) that every model has so; averages of the others."""
    models = {row["model"] for row in rows}
    having: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        if "example" in row:
            having.setdefault((row["task"], row["metric"]), set()).add(row["model"])
    whole = {key for key, who in having.items() if who == models}
    averaged = {(row["task"], row["metric"]) for row in rows if "example" not in row}
    if alone := sorted(set(having) - whole - averaged):
        # nothing but examples, of some models: what is missing is told where runs are paired
        whole |= set(alone)
    return [row for row in rows if ("example" in row) == ((row["task"], row["metric"]) in whole)]


def _direction(metric: str) -> str | None:
    if metric in HIGHER or metric.startswith(("rouge", "bleu", "acc_per_", "acc_", "pass@")):
        return "higher"
    return "lower" if metric in LOWER or metric.startswith("bits_per_byte") else None


def _know(better: dict[str, str], metric: str, higher: bool | None = None) -> None:
    """Note which values of a metric are better, as the file says, else as the programs mean it."""
    if higher is not None:
        better[metric] = "higher" if higher else "lower"
    elif (known := _direction(metric.partition("/")[0])) is not None:
        better.setdefault(metric, known)


def _results(
    path: str, value: Any, models: dict[str, list[Row]], better: dict[str, str]
) -> Iterator[Row]:
    """lm-evaluation-harness's results_*.json: `{task: {"metric,filter": value}}`."""
    said = value.get("config") or {}
    about = _model(path, value.get("model_name") or "", said.get("model_args"))
    models.setdefault(str(PurePath(path).parent), []).append(about)
    directions = value.get("higher_is_better") or {}
    for task, metrics in value["results"].items():
        for key, number in metrics.items():
            metric, _, kept = key.partition(",")
            if ASIDE.fullmatch(key) or ASIDE.fullmatch(metric) or number in ("N/A", None, ""):
                continue
            if not isinstance(number, int | float | str):
                continue
            name = metric if kept in ("", "none") else f"{metric}/{kept}"
            _know(better, name, (directions.get(task) or {}).get(metric))
            yield {**about, "task": task, "metric": name, "value": number}


def _model(path: str, name: str, arguments: Any) -> Row:
    """The model's name, and its step where a revision names one."""
    if isinstance(arguments, str):
        arguments = dict(part.partition("=")[::2] for part in arguments.split(","))
    arguments = arguments or {}
    name = (
        name or arguments.get("pretrained") or arguments.get("model") or PurePath(path).parent.name
    )
    about: Row = {"model": str(name).rstrip("/")}
    revision = re.fullmatch(r"\D*step[-_]?(\d+)\D*.*", str(arguments.get("revision") or ""))
    return about | ({"step": revision[1]} if revision else {})


def _beside(path: str, models: Mapping[str, list[Row]]) -> Row:
    """The model of a file of examples: that of the averages beside it, else its folder's name."""
    folder = PurePath(path).parent
    known = {json.dumps(row, sort_keys=True) for row in models.get(str(folder), [])}
    if len(known) == 1:
        return dict(json.loads(known.pop()))
    return {"model": folder.name.replace("__", "/") or Path(path).resolve().parent.name}


def _samples(
    path: str, value: Any, models: Mapping[str, list[Row]], better: dict[str, str]
) -> Iterator[Row]:
    """lm-evaluation-harness's samples_*.jsonl: a line an example, its metrics by name."""
    form = KINDS["samples"].fullmatch(PurePath(path).name)
    about = _beside(path, models) | {"task": form["task"] if form else ""}
    for row in _lines(value):
        kept = row.get("filter") or "none"
        names = row.get("metrics") or [k for k in row if _direction(k)]
        for metric in names:
            if isinstance(row.get(metric), int | float | str):
                called = SAMPLED_AS.get(metric, metric)
                name = called if kept == "none" else f"{called}/{kept}"
                _know(better, name)
                yield {**about, "metric": name, "value": row[metric], "example": str(row["doc_id"])}


def _olmes(
    path: str, value: Any, models: dict[str, list[Row]], better: dict[str, str]
) -> Iterator[Row]:
    """OLMES' metrics: one task, `{"tasks": [...]}`, or a task a line."""
    tasks = value.get("tasks", [value]) if isinstance(value, dict) else value
    for told in tasks:
        said = told.get("model_config") or {}
        about = _model(path, said.get("model") or said.get("model_path") or "", said)
        models.setdefault(str(PurePath(path).parent), []).append(about)
        yield from _metrics(about | {"task": str(told["task_name"])}, told["metrics"], better)


def _metrics(about: Row, metrics: Mapping[str, Any], better: dict[str, str]) -> Iterator[Row]:
    for metric, number in metrics.items():
        if isinstance(number, int | float) or (
            isinstance(number, str) and not ASIDE.fullmatch(metric)
        ):
            _know(better, metric)
            yield {**about, "metric": metric, "value": number}


def _predictions(
    path: str, value: Any, models: Mapping[str, list[Row]], better: dict[str, str]
) -> Iterator[Row]:
    """OLMES' predictions: a line an example, its metrics in a record."""
    form = KINDS["predictions"].fullmatch(PurePath(path).name)
    about = _beside(path, models) | {"task": form["task"] if form else ""}
    for row in _lines(value):
        place = about | {"example": str(row["doc_id"])}
        numbers = {k: v for k, v in row["metrics"].items() if not k.startswith("predicted_index")}
        yield from _metrics(place, numbers, better)


def _lines(value: Any) -> list[Row]:
    return value if isinstance(value, list) else [value]


READ = {"results": _results, "samples": _samples, "olmes": _olmes, "predictions": _predictions}
