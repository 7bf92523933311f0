"""Anybody's runs: every form of a table gives the same statistics, and mistakes are told."""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats
from support.loaded_modules import verbs
from support.workflow_run import Workflow

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.cli.load_study import load as load_study
from proxyscale.cli.main import main
from proxyscale.statistics.all_statistics import every_statistic
from proxyscale.statistics.grid_reading import read_grid
from proxyscale.statistics.partners import partners_told
from proxyscale.study.own_runs_config import OwnRuns
from proxyscale.study.validation import validated
from proxyscale.tables.runs import read_outside_runs, short_name

SCALES, RECIPES, TASKS = ("10M", "60M", "1B"), [f"r{i}" for i in range(8)], ("qa", "prose")
Frame = pd.DataFrame


@pytest.fixture
def long() -> Frame:
    """Two seeds of every scale, recipe and task: losses, and an accuracy that mirrors them."""
    rng = np.random.default_rng(0)
    truth = dict(zip(product(RECIPES, TASKS), rng.normal(3, 0.5, 16), strict=True))
    rows = [
        {"scale": s, "recipe": r, "seed": seed, "task": t, "loss": truth[r, t] + noise}
        for s, blur in zip(SCALES, (0.3, 0.2, 0.05), strict=True)
        for r, t, seed in product(RECIPES, TASKS, range(2))
        for noise in [blur * rng.normal()]
    ]
    frame = pd.DataFrame(rows)
    return frame.assign(acc=1 - frame["loss"] / 10)


def spec(**changes: Any) -> dict[str, Any]:
    """The words of `runs`, as the config fills them in."""
    config = {"reference": "1B", "runs": {"table": "t.csv", **changes}}
    return validated(OwnRuns, config).runs.model_dump()


def read(tmp_path: Path, frame: Frame, **changes: Any) -> Any:
    frame.to_csv(tmp_path / "t.csv", index=False)
    return read_path(tmp_path / "t.csv", **changes)


def read_path(path: Path, **changes: Any) -> Any:
    found = read_outside_runs({"": str(path)}, spec(**changes))
    return found.losses, found.runs


def statistics(found: Any) -> Frame:
    words = {"reference": "1B", "groups": {}, "confidence": 0.95}
    keys = ["task", "proxy", "statistic"]
    return every_statistic(*found, words).to_pandas().sort_values(keys, ignore_index=True)


def same(one: Frame, other: Frame) -> None:
    pd.testing.assert_frame_equal(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "tsv", "parquet", "jsonl"])
def test_every_kind_of_file_is_the_same_study(tmp_path: Path, long: Frame, kind: str) -> None:
    path = tmp_path / f"runs.{kind}"
    if kind == "parquet":
        long.to_parquet(path)
    elif kind == "jsonl":
        long.to_json(path, orient="records", lines=True, double_precision=15)
    else:
        long.to_csv(path, index=False, sep="\t" if kind == "tsv" else ",")
    same(statistics(read_path(path)), statistics(read(tmp_path, long)))


def test_wide_and_one_file_for_each_scale_are_the_same_study(tmp_path: Path, long: Frame) -> None:
    expected = statistics(read(tmp_path, long))
    wide = long.pivot(index=["scale", "recipe", "seed"], columns="task", values="loss")
    wide = wide.add_prefix("eval/").add_suffix("_loss").reset_index()
    same(statistics(read(tmp_path, wide, metrics="eval/*_loss")), expected)
    files = {}
    for scale, part in wide.groupby("scale"):
        files[str(scale)] = str(tmp_path / f"{scale}.csv")
        part.drop(columns="scale").to_csv(files[str(scale)], index=False)
    found = read_outside_runs(files, spec(metrics=["eval/*_loss"]))
    same(statistics((found.losses, found.runs)), expected)


def test_columns_may_have_any_name_and_any_order(tmp_path: Path, long: Frame) -> None:
    expected = statistics(read(tmp_path, long))
    names = {"scale": "N", "recipe": "corpus", "seed": "run", "task": "suite", "loss": "nll"}
    named = long.rename(columns=names).sample(frac=1, random_state=0)
    columns = {key: names[key] for key in ("scale", "recipe", "seed", "task")}
    same(statistics(read(tmp_path, named, columns=columns, metrics="nll")), expected)


def test_repeated_rows_are_seeds(tmp_path: Path, long: Frame) -> None:
    bare = long.drop(columns="seed")
    with pytest.raises(UserError, match=r"two values for 10M / r0 / qa.*\n.*--repeats seeds"):
        read(tmp_path, bare)
    same(statistics(read(tmp_path, bare, repeats="seeds")), statistics(read(tmp_path, long)))


def test_a_metric_of_which_higher_is_better_orders_as_the_loss_does(
    tmp_path: Path, long: Frame
) -> None:
    by_loss = statistics(read(tmp_path, long))
    for direction in ("higher", {"*": "higher"}):
        found = statistics(read(tmp_path, long, metrics="acc", direction=direction))
        units = {"pearson": 1, "kendall": 1, "decision_accuracy": 1, "regret": 10}
        for name, unit in units.items():
            one, other = (
                t.loc[(t["statistic"] == name) & (t["task"] != "objective"), "value"]
                for t in (by_loss, found)
            )
            np.testing.assert_allclose(one, unit * other, atol=1e-9)
    both = statistics(read(tmp_path, long, metrics=["loss", "acc"], direction={"*/acc": "higher"}))
    assert set(both["task"]) == {"qa/loss", "qa/acc", "prose/loss", "prose/acc", "objective"}
    picked = both[both["statistic"] == "spearman"].set_index(["proxy", "task"])["value"]
    assert picked["10M", "qa/loss"] == pytest.approx(picked["10M", "qa/acc"])
    assert (both.loc[both["statistic"] == "regret", "value"] >= 0).all()


def test_numbers_are_scipys(tmp_path: Path, long: Frame) -> None:
    found = statistics(read(tmp_path, long)).set_index(["task", "proxy", "statistic"])["value"]
    means = long.groupby(["task", "scale", "recipe"])["loss"].mean()
    for task, proxy in product(TASKS, SCALES[:2]):
        x, y = (means[task, scale][RECIPES].to_numpy() for scale in (proxy, "1B"))
        expected = {
            "r2": stats.pearsonr(x, y)[0] ** 2,
            "pearson": stats.pearsonr(x, y)[0],
            "spearman": stats.spearmanr(x, y)[0],
            "kendall": stats.kendalltau(x, y)[0],
        }
        for name, value in expected.items():
            assert found[task, proxy, name] == pytest.approx(value, abs=1e-9)
        assert found[task, proxy, "seeds"] == 2


def test_losses_by_example_are_averaged_and_correlated_one_by_one(
    tmp_path: Path, long: Frame
) -> None:
    shifts = np.array([-0.1, 0.0, 0.1])
    examples = long.merge(pd.DataFrame({"item": list("abc"), "shift": shifts}), how="cross")
    examples["loss"] += examples["shift"]
    found = statistics(read(tmp_path, examples, columns={"example": "item"}))
    means = found[found["level"] == "distribution"].reset_index(drop=True)
    same(means.drop(columns="example"), statistics(read(tmp_path, long)).drop(columns="example"))
    assert (found["level"] == "example").sum() == 2 * len(TASKS) * 3


def test_compute_is_told_by_columns_names_or_the_config(tmp_path: Path, long: Frame) -> None:
    def facts(**changes: Any) -> list[tuple[Any, ...]]:
        _, runs = read(tmp_path, changes.pop("frame", long), **changes)
        rows = {tuple(row[k] for k in ("scale", "parameters", "flops")) for row in runs.to_pylist()}
        return sorted(rows, key=str)

    assert facts() == [("10M", 10_000_000, None), ("1B", 10**9, None), ("60M", 60_000_000, None)]
    expected = [("10M", 10**7, 120e14), ("1B", 10**9, 120e18), ("60M", 6 * 10**7, 120 * 36e14)]
    assert facts(tokens_per_parameter=20) == expected
    sizes = {"10M": 1e7, "60M": 6e7, "1B": 1e9}
    costs = long["scale"].map(sizes)
    told = long.assign(params=costs, tokens=20 * costs)
    assert facts(frame=told) == expected
    unnamed = facts(frame=told.drop(columns="scale"))
    assert [row[1:] for row in unnamed] == [row[1:] for row in expected]
    scales = {"1B": {"tokens": 1e9}}
    assert facts(frame=told, scales=scales)[1] == ("1B", 10**9, 6e18)


def test_recipes_without_a_partner_are_told_and_left_out(tmp_path: Path, long: Frame) -> None:
    less = long[~((long["scale"] == "1B") & long["recipe"].isin(["r2", "r5"]))]
    losses, runs = read(tmp_path, less)
    said = partners_told(read_grid(losses, runs), "1B")
    assert said[0] == "10M meets 1B over 6 recipes (2 of 10M not at 1B: r2, r5)"
    kept = long[~long["recipe"].isin(["r2", "r5"])]
    # the objective of a scale is in standard deviations over all of its recipes
    all_tasks = statistics((losses, runs)), statistics(read(tmp_path, kept))
    same(*(table[table["task"] != "objective"].reset_index(drop=True) for table in all_tasks))


def test_a_hole_of_one_metric_blocks_no_other(tmp_path: Path, long: Frame) -> None:
    wide = long.pivot(index=["scale", "recipe", "seed"], columns="task", values="loss")
    wide = wide.reset_index()
    whole = statistics(read(tmp_path, wide, metrics=["qa", "prose"]))
    spoiled = wide.assign(prose=wide["prose"].where(wide.index != 7))
    found = statistics(read(tmp_path, spoiled, metrics=["qa", "prose"]))
    one, other = (t[(t["task"] == "qa") | (t["proxy"] == "60M")] for t in (found, whole))
    same(one.reset_index(drop=True), other.reset_index(drop=True))
    less = wide[~((wide["scale"] == "10M") & (wide["recipe"] == "r3"))]
    less = statistics(read(tmp_path, less, metrics=["qa", "prose"]))
    one, other = (t[(t["task"] == "prose") & (t["proxy"] == "10M")] for t in (found, less))
    same(one.reset_index(drop=True), other.reset_index(drop=True))
    spoiled.to_csv(tmp_path / "t.csv", index=False)
    notes = read_outside_runs({"": str(tmp_path / "t.csv")}, spec(metrics=["qa", "prose"])).notes
    assert any("10M / r3 / prose (empty, row 8)" in note for note in notes)


def replace(column: str, value: Any) -> Any:
    return lambda frame: frame.assign(**{column: value})


MISTAKES = [
    (lambda f: f, {"metrics": "los"}, "no column of numbers matches 'los'\n.*'loss'"),
    (lambda f: f, {"columns": {"recipe": "recip"}}, "no such column\n.*'recipe'"),
    (lambda f: f.drop(columns="recipe"), {}, "no column names the recipe"),
    (lambda f: f.drop(columns="scale"), {}, "no column names the scale"),
    (lambda f: f, {"scales": {"2B": {"tokens": 1}}}, "runs.scales: no such scale"),
    (lambda f: pd.concat([f, f.head(1)]), {}, "two values for 10M / r0 / qa, seed 0"),
    (replace("loss", np.inf), {}, "no recipe has a number"),
    (replace("loss", "low"), {}, "no column of numbers"),
    (lambda f: f.head(0), {}, "no rows"),
    (lambda f: f.assign(recipe=f["recipe"].where(f.index != 4)), {}, "row 5 lacks a value"),
    (
        lambda f: f.assign(scale=f["scale"].where(f.index != 4, "10m")),
        {},
        "10M and 10m seem to be one scale",
    ),
    (
        lambda f: f.assign(scale=f["scale"].where(f["recipe"] != "r2", "1000M")),
        {},
        "1B and 1000M seem|1000M and 1B seem",
    ),
]


@pytest.mark.parametrize(("spoil", "changes", "told"), MISTAKES, ids=[m[2][:30] for m in MISTAKES])
def test_mistakes_are_told(
    tmp_path: Path, long: Frame, spoil: Any, changes: Any, told: str
) -> None:
    with pytest.raises(UserError, match=told):
        read(tmp_path, spoil(long), **changes)


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_text("no parquet")
    (tmp_path / "t.xlsx").write_text("")
    (tmp_path / "t.doc").write_text("")
    expected = {"t.parquet": "not a .parquet", "t.xlsx": "not a .xlsx", "t.doc": "not a kind"}
    for name, told in {**expected, "no.csv": "no such"}.items():
        with pytest.raises(UserError, match=told):
            read_path(tmp_path / name)


@pytest.mark.parametrize(
    ("runs", "told"),
    [
        ({}, "runs.table: this key is required"),
        ({"tabel": "x"}, "runs.tabel: no such key.*\n.*'table'"),
        ({"table": "no.csv"}, "no such file: no.csv"),
        ({"table": "no.csv", "direction": "up"}, "runs.direction"),
        ({"table": "no.csv", "columns": {"recip": "x"}}, "runs.columns.recip: no such key"),
        ({"table": "no.csv", "scales": {"1B": {"tokens": 0}}}, "runs.scales.1B.tokens: is 0"),
    ],
)
def test_mistakes_of_the_config_are_told(runs: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        load_study({"reference": "1B", "runs": runs})
    with pytest.raises(UserError, match="scales: no such key"):
        load_study({"reference": "1B", "runs": runs, "scales": {}})


def test_short_names() -> None:
    assert short_name("metric/arxiv", ["metric/*"]) == "arxiv"
    assert short_name("metric/arxiv_loss", ["x", "metric/*_loss"]) == "arxiv"
    assert short_name("loss", ["loss"]) == "loss"
    assert short_name("a/b/c", ["a/*/*"]) == "a/b/c"


def test_one_command(
    tmp_path: Path, long: Frame, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    less = long[~((long["scale"] == "1B") & (long["recipe"] == "r7"))]
    less.to_csv("runs.csv", index=False)
    command = ["compare", "runs.csv", "--reference", "1B", "--tokens-per-parameter", "20"]
    assert main([*command, "--results", "mine"]) == 0
    said = capsys.readouterr().out
    assert "3 scales, 8 recipes in all (10M 8, 60M 8, 1B 7), 2 tasks, 2 runs of each" in said
    assert "10M meets 1B over 7 recipes (1 of 10M not at 1B: r7)" in said
    assert re.match(r"Losses of 60M go with .*\. On neither task .*\.$", said.splitlines()[-2])
    assert said.splitlines()[-1] == "mine/report.html"
    for name in ("correlation_fig1.pdf", "compute_fig2.svg", "frontier.csv", "report.html"):
        assert Path("mine", name).stat().st_size
    written = load_study(yaml.safe_load(Path("mine/study.yaml").read_text()))
    assert written.config.reference == "1B"
    laws = artifacts.read("mine/statistics.parquet", "statistics")["proxy"].unique().to_pylist()
    assert "law2:10M+60M" in laws
    assert main([*command[:2], "--reference", "1b"]) == 2
    assert "no such scale\n  allowed: 10M, 60M, 1B" in capsys.readouterr().err
    assert main(["compare", "runs.csv", "x=runs.csv", "--reference", "1B"]) == 2


def test_mixtures_are_regressed_where_weights_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(5)
    weights = pd.DataFrame(rng.dirichlet(np.ones(3), 12), columns=["w/a", "w/b", "w/c"])
    losses = {"10M": weights @ [5.0, 4, 3], "1B": weights @ [4.0, 3, 2.5]}
    for scale, values in losses.items():
        pd.DataFrame({"index": range(12), "m/x_loss": values}).to_csv(f"{scale}.csv", index=False)
    weights.assign(index=range(12)).to_csv("weights.csv", index=False)
    files = [f"{scale}={scale}.csv" for scale in losses]
    command = ["compare", *files, "--metrics", "m/*_loss", "--weights", "weights.csv"]
    assert main([*command, "--reference", "1B"]) == 0
    assert "finds the reference's best mixture on 1 of 1 tasks" in capsys.readouterr().out
    found = artifacts.read("compared/statistics.parquet", "statistics").to_pandas()
    values = found.set_index("statistic")["value"]
    assert values["mixture_linear_regret"] == pytest.approx(0, abs=1e-9)
    assert values["reference_mixture_linear_spearman"] == pytest.approx(1)


OWN = {"own_runs", "statistics", "figure", "report"}


def own_study(folder: Path, long: Frame, watched: Collection[str] = ()) -> Workflow:
    """A study of runs that are there."""
    workflow = Workflow(folder, watched=watched)
    long.to_csv(folder / "runs.csv", index=False)
    workflow.config = {
        "study": "mine",
        "results": "results",
        "reference": "1B",
        "runs": {"table": "runs.csv", "tokens_per_parameter": 20},
    }
    return workflow


@pytest.mark.slow
def test_digests_cover_what_jobs_on_own_runs_load(tmp_path: Path, long: Frame) -> None:
    workflow = own_study(tmp_path, long, OWN)
    workflow.run()
    assert verbs(tmp_path) == OWN
    workflow.snakemake("--report", "all.zip")


def test_a_study_of_own_runs_trains_nothing(tmp_path: Path, long: Frame) -> None:
    workflow = own_study(tmp_path, long)
    assert set(workflow.stale()) == OWN
    said = workflow.snakemake("--cores", "2")
    assert re.search(
        r"^Losses of 60M .* On neither task .*\nresults/report.html$", said, re.MULTILINE
    )
    assert not workflow.stale()
    found = artifacts.read(tmp_path / "results/statistics.parquet", "statistics").to_pandas()
    found = found.sort_values(["task", "proxy", "statistic"], ignore_index=True)
    expected = statistics(read(tmp_path, long, tokens_per_parameter=20))
    same(found, expected)
    workflow.config["runs"]["tokens_per_parameter"] = 30
    assert workflow.stale()["own_runs"] == 1
    workflow.config["runs"]["tokens_per_parameter"] = 20
    workflow.edit("runs.csv", lambda text: text + text.splitlines()[-1].replace("r7", "r8") + "\n")
    assert workflow.stale()["own_runs"] == 1


def test_regmix(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """1M against 60M on the same 256 mixtures (RegMix, 2407.01492)."""
    monkeypatch.chdir(tmp_path)
    files = {s: data / f"results/regmix/test_pile_loss_{s.lower()}.csv" for s in ("1M", "60M")}
    given = [f"{scale}={path}" for scale, path in files.items()]
    words = ["--recipe", "index", "--metrics", "metric/*", "--reference", "60M"]
    assert main(["compare", *given, *words]) == 0
    found = artifacts.read("compared/statistics.parquet", "statistics").to_pandas()
    values = found.set_index(["task", "statistic"])["value"]
    small, large = (pd.read_csv(files[s]).set_index("index").sort_index() for s in files)
    assert len(small.columns) == 13
    for metric in small.columns:
        x, y = small[metric].to_numpy(), large.loc[small.index, metric].to_numpy()
        task = metric.removeprefix("metric/")
        expected = {
            "r2": stats.linregress(x, y).rvalue ** 2,
            "pearson": stats.pearsonr(x, y)[0],
            "spearman": stats.spearmanr(x, y)[0],
            "kendall": stats.kendalltau(x, y)[0],
        }
        for name, value in expected.items():
            assert values[task, name] == pytest.approx(value, abs=1e-9)
