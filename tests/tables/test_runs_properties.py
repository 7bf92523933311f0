"""Whatever table comes in: numbers are those of an oracle that reads its rows alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from proxyscale.base.errors import UserError
from proxyscale.statistics.grid_reading import read_grid
from proxyscale.statistics.partners import ties_told
from proxyscale.statistics.proxy_statistics import summarize
from proxyscale.statistics.verdict import verdict
from proxyscale.statistics.verdict_words import words
from proxyscale.study.own_runs_config import OwnRuns
from proxyscale.study.validation import validated
from proxyscale.tables.runs import OutsideRuns, read_outside_runs
from proxyscale.tables.weights import read_weights

SCALES = ("20M", "300M", "2B")
QUICK = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
NOTHING = st.sampled_from(["nan", "inf", "-inf", "", "-", "NA"])


def read(path: Path, reference: str = "2B", **changes: Any) -> OutsideRuns:
    config = {"reference": reference, "runs": {"table": str(path), **changes}}
    return read_outside_runs({"": str(path)}, validated(OwnRuns, config).runs.model_dump())


def statistics(found: OutsideRuns, reference: str = "2B") -> Any:
    return summarize(read_grid(found.losses, found.runs), reference=reference, groups={})


def numbers(found: OutsideRuns, reference: str = "2B") -> dict[tuple[str, str, str], Any]:
    """(task, proxy, statistic) → (value, n)."""
    rows = statistics(found, reference).to_pylist()
    return {(r["task"], r["proxy"], r["statistic"]): (r["value"], r["n"]) for r in rows}


def frame(seed: int, recipes: int, tasks: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    cells = [(s, f"r{i}", f"t{t}") for s in SCALES for i in range(recipes) for t in range(tasks)]
    rows = pd.DataFrame(cells, columns=["scale", "recipe", "task"])
    return rows.assign(loss=rng.uniform(1, 4, len(rows)).round(rng.integers(1, 5)))


@QUICK
@given(data=st.data(), seed=st.integers(0, 99), higher=st.booleans())
def test_each_proxy_meets_the_reference_over_what_both_have(
    tmp_path: Path, data: st.DataObject, seed: int, higher: bool
) -> None:
    """Holes and funnels, absent rows or words for no number, in any order of rows."""
    rows = frame(seed, 6, 2)
    cells = rows["loss"].astype(str).to_list()
    gone = data.draw(st.sets(st.integers(0, len(rows) - 1), max_size=9))
    for place in gone:
        cells[place] = data.draw(NOTHING)
    written = rows.assign(loss=cells)
    absent = [place for place in sorted(gone) if data.draw(st.booleans())]
    written = written.drop(index=absent).sample(frac=1, random_state=seed)
    written.to_csv(tmp_path / "t.csv", index=False)
    found = read(tmp_path / "t.csv", direction="higher" if higher else "lower")
    got, there = numbers(found), rows.drop(index=list(gone))
    for task, part in there.groupby("task"):
        table = part.pivot(index="recipe", columns="scale", values="loss")
        for proxy in SCALES[:2]:
            both = table.reindex(columns=SCALES)[[proxy, "2B"]].dropna()
            if len(both) < 3:
                assert (task, proxy, "r2") not in got
                continue
            value, n = got[task, proxy, "spearman"]
            expected = (
                stats.spearmanr(both[proxy], both["2B"])[0]
                if (both.nunique().min() > 1)
                else np.nan
            )
            assert n == len(both)
            assert (np.nan if value is None else value) == pytest.approx(
                expected, abs=1e-12, nan_ok=True
            )


@QUICK
@given(seed=st.integers(0, 99), times=st.integers(2, 4))
def test_rows_that_repeat_are_seeds_only_where_somebody_says_so(
    tmp_path: Path, seed: int, times: int
) -> None:
    rows, rng = frame(seed, 4, 1), np.random.default_rng(seed)
    rows = pd.concat([rows.assign(loss=rows["loss"] + rng.random(len(rows)))] * times)
    rows["loss"] += rng.random(len(rows)).round(3)
    rows = rows.sample(frac=1, random_state=seed)
    rows.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(UserError, match=r"no column tells apart\n.*--repeats seeds"):
        read(tmp_path / "t.csv")
    got = numbers(read(tmp_path / "t.csv", repeats="seeds"))
    means = rows.groupby(["scale", "recipe"])["loss"].mean().unstack("scale")
    for proxy in SCALES[:2]:
        expected = stats.pearsonr(means[proxy], means["2B"])[0]
        assert got["t0", proxy, "pearson"][0] == pytest.approx(expected, abs=1e-9)
        assert got["t0", proxy, "seeds"][0] == times


@QUICK
@given(seed=st.integers(0, 99), whole=st.sampled_from([1, 100]), off=st.floats(0.02, 0.4))
def test_weights_are_shares_of_a_whole(tmp_path: Path, seed: int, whole: int, off: float) -> None:
    rng = np.random.default_rng(seed)
    shares = pd.DataFrame(whole * rng.dirichlet([1, 2, 3], 5), columns=["web", "code", "books"])
    table = shares.assign(recipe=list("abcde"))
    table.to_csv(tmp_path / "w.csv", index=False)
    found = read_weights(tmp_path / "w.csv", "*", None)
    np.testing.assert_allclose(list(found.shares.values()), shares, rtol=1e-12)
    wrong = int(rng.integers(1, 5))
    table.loc[wrong, "web"] += off * whole
    table.to_csv(tmp_path / "w.csv", index=False)
    with pytest.raises(UserError, match=f"row {wrong + 1}: the shares of {'abcde'[wrong]} sum to"):
        read_weights(tmp_path / "w.csv", "*", None)


def test_budgets_and_architectures_of_one_scale_are_told_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        [
            {"scale": scale, "dataset": recipe, "arch": arch, "tokens": tokens, "params": size}
            for scale, size, budgets in (("411m", 4.11e8, (8.2e9, 16.4e9)), ("7b", 7e9, (138e9,)))
            for arch in ("open_lm", "mamba")
            for tokens in budgets
            for recipe in "abcde"
        ]
    )
    rows = rows.assign(core=rng.random(len(rows)))
    rows.to_csv(tmp_path / "t.csv", index=False)
    common: dict[str, Any] = {"metrics": "core", "direction": "higher"}
    with pytest.raises(UserError, match=r"411m / a has several numbers of tokens: 8\.2G, 16\.4G"):
        read(tmp_path / "t.csv", "7b", **common)
    with pytest.raises(UserError, match=r"rows that differ in column arch: open_lm, mamba\n.*--by"):
        read(tmp_path / "t.csv", "7b", by=["tokens"], **common)
    reference = "7b-open_lm, 138B"
    got = numbers(read(tmp_path / "t.csv", reference, by=["arch", "tokens"], **common), reference)
    for arch in ("open_lm", "mamba"):
        for tokens, told in ((8.2e9, "8.2B"), (16.4e9, "16.4B")):
            small = rows[(rows["arch"] == arch) & (rows["tokens"] == tokens)]
            large = rows[(rows["arch"] == "open_lm") & (rows["scale"] == "7b")]
            pd.concat([small, large]).drop(columns="arch").to_csv(tmp_path / "u.csv", index=False)
            plain = numbers(read(tmp_path / "u.csv", "7b", **common), "7b")
            for name in ("pearson", "spearman", "kendall", "decision_accuracy", "regret"):
                mine = got["core", f"411m-{arch}, {told}", name]
                assert mine == plain["core", "411m", name], name


@pytest.mark.parametrize("order", [SCALES, SCALES[::-1]])
def test_sizes_order_scales_where_compute_is_not_known(
    tmp_path: Path, order: tuple[str, ...]
) -> None:
    lines = ["scale,recipe,loss"]
    for scale in order:
        noise = {"20M": 30, "300M": 0, "2B": 0}[scale]
        lines += [f"{scale},r{i},{3 + i / 100 + noise * (i % 3) / 100}" for i in range(25)]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    found = read(tmp_path / "t.csv")
    assert any("the order of the sizes in their names" in note for note in found.notes)
    (decided,) = verdict(statistics(found))
    assert decided.trusted is not None
    assert (decided.trusted.scale, decided.failed[0].scale) == ("300M", "20M")
    told = words(decided)
    assert "The compute of these scales is not known, so scales are tested in the order of" in told
    assert "of the reference's compute" not in told
    # of scales of one size nothing tells the order
    (tmp_path / "t.csv").write_text("\n".join(lines).replace("300M", "20M-b") + "\n")
    with pytest.raises(UserError, match=r"neither tells that of 20M(-b)?, 20M"):
        verdict(statistics(read(tmp_path / "t.csv")))


def test_ties_of_a_proxy_are_told(tmp_path: Path) -> None:
    text = "scale,recipe,task,loss\n" + "".join(
        f"{s},r{i},{task},{loss}\n"
        for s in SCALES
        for task in ("a", "b")
        for i, loss in enumerate((1, 1, 1, 1) if (s, task) == ("20M", "a") else (1, 1, 2, 3))
    ).replace("2B,r1,b,1", "2B,r1,b,1.5")
    (tmp_path / "t.csv").write_text(text)
    assert ties_told(statistics(read(tmp_path / "t.csv"))) == [
        "20M has one value for all recipes on a: it orders nothing, and every pair counts one half",
        "20M ties 16.7% of pairs on b, objective, each of which counts one half",
        "300M ties 16.7% of pairs on b, objective, each of which counts one half",
    ]


def test_examples_keep_their_numbers_beside_averages(tmp_path: Path) -> None:
    rows = [
        f"{s},r{i},{task},{example},{i + len(example) + (s == '20M' and i == 2)}"
        for s in SCALES
        for i in range(4)
        for task, examples in (("single", ("9", "10", "11")), ("averaged", ("",)))
        for example in examples
    ]
    # an absent cell is of a record that lacks the key
    records = [
        dict(zip(("scale", "recipe", "task", "example", "loss"), row.split(","), strict=True))
        for row in rows
    ]
    kept = [{k: v for k, v in record.items() if v != ""} for record in records]
    (tmp_path / "t.json").write_text(pd.Series(kept).to_json(orient="values"))
    found = read(tmp_path / "t.json").losses.to_pandas()
    assert sorted(set(found.loc[found["task"] == "single", "example"])) == [9, 10, 11]
