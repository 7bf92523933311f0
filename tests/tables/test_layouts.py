"""Layouts that people have: each gives the statistics of the plain CSV, to the last digit."""

from __future__ import annotations

import gzip
import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pytest
import zstandard

from proxyscale.base.errors import UserError
from proxyscale.statistics.all_statistics import every_statistic
from proxyscale.study.own_runs_config import OwnRuns
from proxyscale.study.validation import validated
from proxyscale.tables.runs import OutsideRuns, read_outside_runs

SCALES, RECIPES, TASKS = ("10M", "1B"), ("c4", "dolma-v1", "fw", "red"), ("arc", "hella", "lambada")
Frame = pd.DataFrame


@pytest.fixture(scope="module")
def long() -> Frame:
    """Recipes × scales × two seeds × three test sets."""
    rng = np.random.default_rng(3)
    rows = [
        {
            "scale": s,
            "recipe": r,
            "seed": seed,
            "task": t,
            "loss": round(float(rng.normal(3, 0.5)), 6),
        }
        for s, r, seed, t in product(SCALES, RECIPES, (0, 1), TASKS)
    ]
    return pd.DataFrame(rows)


def read(paths: Any, **changes: Any) -> OutsideRuns:
    files = (
        paths if isinstance(paths, dict) else {"": paths if isinstance(paths, list) else str(paths)}
    )
    raw = {"reference": "1B", "runs": {"table": "t", **changes}}
    return read_outside_runs(files, validated(OwnRuns, raw).runs.model_dump())


def statistics(found: OutsideRuns) -> dict[tuple[str, ...], tuple[Any, ...]]:
    words = {"reference": "1B", "groups": {}, "confidence": 0.95}
    return {
        tuple(row[key] for key in ("statistic", "task", "proxy")): (
            row["value"],
            row["low"],
            row["n"],
        )
        for row in every_statistic(found.losses, found.runs, words).to_pylist()
        if row["level"] == "distribution"
    }


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, long: Frame) -> Any:
    path = tmp_path_factory.mktemp("plain") / "t.csv"
    long.to_csv(path, index=False)
    return statistics(read(path))


def dump(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))


def nested(row: dict[str, Any]) -> dict[str, Any]:
    return {**{k: v for k, v in row.items() if k != "loss"}, "eval": {"loss": row["loss"]}}


WRITERS = {
    "t.CSV": lambda f, p: f.to_csv(p, index=False),
    "semicolon.csv": lambda f, p: f.to_csv(p, index=False, sep=";", decimal=","),
    "t.tsv": lambda f, p: f.to_csv(p, index=False, sep="\t"),
    "tabs.txt": lambda f, p: f.to_csv(p, index=False, sep="\t"),
    "t.csv.gz": lambda f, p: p.write_bytes(gzip.compress(f.to_csv(index=False).encode())),
    "t.csv.zst": lambda f, p: p.write_bytes(zstandard.compress(f.to_csv(index=False).encode())),
    "bom.csv": lambda f, p: f.to_csv(p, index=False, encoding="utf-8-sig"),
    "index.csv": lambda f, p: f.to_csv(p),
    "records.json": lambda f, p: dump(p, f.to_dict("records")),
    "columns.json": lambda f, p: dump(p, f.to_dict("list")),
    "pandas.json": lambda f, p: f.to_json(p, double_precision=15),
    "split.json": lambda f, p: f.to_json(p, orient="split", double_precision=15),
    "lines.jsonl": lambda f, p: f.to_json(p, orient="records", lines=True, double_precision=15),
    "lines.json": lambda f, p: f.to_json(p, orient="records", lines=True, double_precision=15),
    "t.xlsx": lambda f, p: f.to_excel(p, index=False),
    "t.parquet": lambda f, p: f.to_parquet(p),
    "t.feather": lambda f, p: pa.feather.write_feather(pa.Table.from_pandas(f), p),
    "indexed.parquet": lambda f, p: f.set_index(["scale", "recipe"]).to_parquet(p),
    "nested.json": lambda f, p: dump(p, [nested(row) for row in f.to_dict("records")]),
}  # fmt: skip


@pytest.mark.parametrize("name", list(WRITERS))
def test_kinds_of_files(tmp_path: Path, long: Frame, plain: Any, name: str) -> None:
    WRITERS[name](long, tmp_path / name)
    more = {"metrics": "eval/loss"} if name == "nested.json" else {}
    assert statistics(read(tmp_path / name, **more)) == plain


def test_without_a_heading(tmp_path: Path, long: Frame, plain: Any) -> None:
    long.to_csv(tmp_path / "t.csv", index=False, header=False)
    with pytest.raises(UserError, match=r"the first row is no heading.*\n.*--header"):
        read(tmp_path / "t.csv")
    header = ["scale", "recipe", "seed", "task", "loss"]
    assert statistics(read(tmp_path / "t.csv", header=header)) == plain


def test_wide(tmp_path: Path, long: Frame, plain: Any) -> None:
    wide = long.pivot(index=["scale", "recipe", "seed"], columns="task", values="loss")
    wide.add_suffix("_loss").reset_index().to_csv(tmp_path / "t.csv", index=False)
    assert statistics(read(tmp_path / "t.csv", metrics="*_loss")) == plain


def test_one_column_a_scale(tmp_path: Path, long: Frame, plain: Any) -> None:
    wide = long.pivot(index=["recipe", "seed", "task"], columns="scale", values="loss")
    wide.reset_index().to_csv(tmp_path / "t.csv", index=False)
    assert statistics(read(tmp_path / "t.csv", metrics="loss")) == plain


def test_models_as_columns_and_names_by_pattern(tmp_path: Path, long: Frame, plain: Any) -> None:
    named = long.assign(
        model=long["recipe"] + "-" + long["scale"] + "-s" + long["seed"].astype(str)
    )
    pattern = "{recipe}-{scale}-s{seed}"
    named.pivot(index="task", columns="model", values="loss").to_csv(tmp_path / "t.csv")
    assert statistics(read(tmp_path / "t.csv", pattern=pattern, metrics="loss")) == plain
    named[["model", "task", "loss"]].to_csv(tmp_path / "u.csv", index=False)
    assert statistics(read(tmp_path / "u.csv", pattern=pattern)) == plain
    with pytest.raises(UserError, match="'c4-10M-s0' of column model is not like"):
        read(tmp_path / "u.csv", pattern="{recipe}_{scale}")
    with pytest.raises(UserError, match=r"no such field\n.*{recipe}"):
        read(tmp_path / "u.csv", pattern="{data}-{scale}")


def test_a_column_of_metrics(tmp_path: Path, long: Frame, plain: Any) -> None:
    renamed = long.rename(columns={"task": "metric", "loss": "value"})
    renamed.to_csv(tmp_path / "t.csv", index=False)
    found = statistics(read(tmp_path / "t.csv", direction="lower"))
    assert found == plain
    some = statistics(read(tmp_path / "t.csv", direction="lower", metrics=["arc", "hella"]))
    # the objective combines the tasks that are there
    apart = ("lambada", "objective")
    assert {k: v for k, v in some.items() if k[1] not in apart} == {
        k: v for k, v in plain.items() if k[1] not in apart
    }


def test_datadecides_columns(tmp_path: Path, long: Frame, plain: Any) -> None:
    seeds = {0: "default", 1: "small aux 2"}
    names = {"scale": "params", "recipe": "data"}
    rows = long.assign(seed=long["seed"].map(seeds), step=2000, chinchilla="5xC").rename(
        columns=names
    )
    early = rows.assign(step=1000, loss=rows["loss"] + 1)
    both = pd.concat([early, rows])
    metrics = [{"loss": value, "acc_raw": 0.5} for value in both["loss"]]
    both.drop(columns="loss").assign(metrics=[str(m) for m in metrics]).to_csv(
        tmp_path / "t.csv", index=False
    )
    assert statistics(read(tmp_path / "t.csv", metrics="loss")) == plain


def harness(folder: Path, long: Frame) -> list[str]:
    """lm-evaluation-harness's files of every model, as it lays them out."""
    paths = []
    for (scale, recipe), part in long[long["seed"] == 0].groupby(["scale", "recipe"]):
        at = folder / f"org__{recipe}-{scale}"
        at.mkdir(parents=True)
        results = {
            t: {
                "alias": t,
                "word_perplexity,none": v,
                "word_perplexity_stderr,none": "N/A",
                "acc,none": 1 / v,
                "acc_stderr,none": 0.01,
            }
            for t, v in zip(part["task"], part["loss"], strict=True)
        }
        told = {
            "results": results,
            "higher_is_better": {t: {"word_perplexity": False, "acc": True} for t in results},
            "n-shot": dict.fromkeys(results, 0),
            "config": {
                "model": "hf",
                "model_args": f"pretrained=org/{recipe}-{scale},dtype=float32",
            },
            "model_name": f"org/{recipe}-{scale}",
        }
        dump(at / "results_2025-01-02T03-04-05.678901.json", told)
        paths.append(str(at))
    return paths


def test_results_of_lm_evaluation_harness(tmp_path: Path, long: Frame) -> None:
    folder = tmp_path / "out"
    harness(folder, long)
    one = long[long["seed"] == 0].drop(columns="seed")
    one.to_csv(tmp_path / "t.csv", index=False)
    expected = statistics(read(tmp_path / "t.csv"))
    pattern = "org/{recipe}-{scale}"
    assert statistics(read(folder, pattern=pattern, metrics="word_perplexity")) == expected
    every = read(folder, pattern=pattern)
    better = {row["task"]: row["better"] for row in every.losses.to_pylist()}
    assert better["arc/acc"] == "higher"
    assert better["arc/word_perplexity"] == "lower"
    with pytest.raises(UserError, match=r"no column names the recipe.*\n.*\n.*--pattern"):
        read(folder)


def test_samples_of_lm_evaluation_harness(tmp_path: Path, long: Frame) -> None:
    folder, rng = tmp_path / "out", np.random.default_rng(0)
    rows = []
    for path in harness(folder, long):
        recipe, _, scale = path.rpartition("__")[2].rpartition("-")
        hits = rng.random(9)
        rows += [
            {"scale": scale, "recipe": recipe, "example": i, "acc": h} for i, h in enumerate(hits)
        ]
        lines = [
            {
                "doc_id": i,
                "doc": {"q": "?"},
                "target": "0",
                "arguments": {},
                "resps": [[["-1.0", "False"]]],
                "filtered_resps": [["-1.0", "False"]],
                "filter": "none",
                "metrics": ["acc"],
                "acc": h,
            }
            for i, h in enumerate(hits)
        ]
        name = f"{path}/samples_arc_2025-01-02T03-04-05.678901.jsonl"
        Path(name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = read(folder, pattern="org/{recipe}-{scale}", metrics="acc")
    arc = found.losses.filter(pa.compute.equal(found.losses["task"], "arc"))
    assert len(arc) == 9 * len(SCALES) * len(RECIPES)
    frame = pd.DataFrame(rows)
    frame.to_csv(tmp_path / "t.csv", index=False)
    expected = statistics(read(tmp_path / "t.csv", metrics="acc", direction="higher"))
    got = statistics(found)
    assert {k: v for k, v in got.items() if k[1] == "arc"} == {
        (s, "arc", p): v for (s, _, p), v in expected.items()
    }


def test_metrics_of_olmes(tmp_path: Path, long: Frame) -> None:
    one = long[long["seed"] == 0].drop(columns="seed")
    one.to_csv(tmp_path / "t.csv", index=False)
    expected = statistics(read(tmp_path / "t.csv"))
    for (scale, recipe), part in one.groupby(["scale", "recipe"]):
        at = tmp_path / "olmes" / f"{recipe}-{scale}"
        at.mkdir(parents=True)
        for i, (task, loss) in enumerate(zip(part["task"], part["loss"], strict=True)):
            told = {
                "task_name": task,
                "model_config": {"model": f"{recipe}-{scale}", "revision": None},
                "task_config": {"task_name": task, "primary_metric": "acc_raw"},
                "num_instances": 5,
                "metrics": {"bits_per_byte_corr": loss, "acc_raw": 0.5, "primary_score": 0.5},
                "task_idx": i,
            }
            dump(at / f"task-{i:03d}-{task}-metrics.json", told)
    found = read(tmp_path / "olmes", pattern="{recipe}-{scale}", metrics="bits_per_byte_corr")
    assert statistics(found) == expected
