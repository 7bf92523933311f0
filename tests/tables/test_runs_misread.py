"""Small tables of the kinds that are easily read wrong, each with its right values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxyscale.base.errors import UserError
from proxyscale.statistics.all_statistics import every_statistic
from proxyscale.statistics.grid_reading import read_grid
from proxyscale.statistics.partners import partners_told
from proxyscale.study.own_runs_config import OwnRuns
from proxyscale.study.validation import validated
from proxyscale.tables.runs import OutsideRuns, read_outside_runs
from proxyscale.tables.weights import read_weights

Values = dict[tuple[str, str, str], Any]


def spec(reference: str = "1B", **changes: Any) -> dict[str, Any]:
    config = {"reference": reference, "runs": {"table": "t.csv", **changes}}
    return validated(OwnRuns, config).runs.model_dump()


def read(path: Path, text: str, **changes: Any) -> OutsideRuns:
    path.write_text(text)
    return read_outside_runs({"": str(path)}, spec(**changes))


def values(found: OutsideRuns, reference: str = "1B") -> Values:
    """(task, proxy, statistic) → (value, n)."""
    words = {"reference": reference, "groups": {}, "confidence": 0.95}
    rows = every_statistic(found.losses, found.runs, words).to_pylist()
    return {(r["task"], r["proxy"], r["statistic"]): (r["value"], r["n"]) for r in rows}


def table(**scales: str) -> str:
    """`_10M="5 6 7"` as rows of recipes a, b, c."""
    lines = ["scale,recipe,loss"]
    for scale, losses in scales.items():
        lines += [f"{scale[1:]},{r},{v}" for r, v in zip("abcdefgh", losses.split(), strict=False)]
    return "\n".join(lines) + "\n"


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_index_of_a_frame_never_matters(tmp_path: Path, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    frame = pd.DataFrame(
        {"scale": np.repeat(["10M", "1B"], 6), "recipe": list("abcdef") * 2, "loss": rng.random(12)}
    )
    order = data.draw(st.permutations(range(12)))
    kind = data.draw(st.sampled_from(["permuted", "gaps", "repeated", "named", "recipe", "both"]))
    mixed = frame.iloc[order]
    mixed.to_csv(tmp_path / "t.csv", index=False)
    expected = values(read_outside_runs({"": str(tmp_path / "t.csv")}, spec()))
    if kind == "gaps":
        mixed = mixed.set_axis(np.array(order) * 3 + 7)
    elif kind == "repeated":
        mixed = mixed.set_axis([i % 3 for i in range(12)])
    elif kind == "named":
        mixed = mixed.set_axis(pd.Index(order, name="id"))
    elif kind == "recipe":
        mixed = mixed.set_index("recipe")
    elif kind == "both":
        mixed = mixed.set_index(["scale", "recipe"])
    mixed.to_parquet(tmp_path / "t.parquet")
    assert values(read_outside_runs({"": str(tmp_path / "t.parquet")}, spec())) == expected
    mixed.to_csv(tmp_path / "u.csv", index=True)
    assert values(read_outside_runs({"": str(tmp_path / "u.csv")}, spec())) == expected


def test_names_of_metrics_stay_unique(tmp_path: Path) -> None:
    text = "scale,recipe,loss/arc,acc/arc\n" + "".join(
        f"{s},{r},{3 + i / 10},{0.5 - i / 100}\n"
        for s in ("10M", "1B")
        for i, r in enumerate("abcd")
    )
    globs = ["loss/*", "acc/*"]
    found = read(tmp_path / "t.csv", text, metrics=globs, direction={"acc/*": "higher"})
    assert {row["task"]: row["better"] for row in found.losses.to_pylist()} == {
        "loss/arc": "lower",
        "acc/arc": "higher",
    }
    assert values(found)["acc/arc", "10M", "spearman"][0] == pytest.approx(1)
    with pytest.raises(UserError, match=r"no metric matches\n.*did you mean 'acc/arc'"):
        read(tmp_path / "t.csv", text, metrics=globs, direction={"ac/arc": "higher"})
    with pytest.raises(UserError, match=r"higher values seem to be better.*acc/arc\n.*--higher"):
        read(tmp_path / "t.csv", text, metrics=globs)


STEPS = "".join(
    f"{s},{r},{step},{loss}\n"
    for s, ends in (("10M", "4.0 4.1 4.2 4.3 4.4"), ("1B", "3.0 3.1 3.2 3.3 3.4"))
    for r, early, end in zip("abcde", (6.0, 5.6, 5.2, 4.8, 4.5), ends.split(), strict=True)
    for step, loss in ((1000, early), (2000, end))
)


def test_the_last_checkpoint_of_each_run_counts(tmp_path: Path) -> None:
    found = read(tmp_path / "t.csv", "size,recipe,step,loss\n" + STEPS)
    assert values(found)["loss", "10M", "spearman"] == (pytest.approx(1), 5)
    assert len(found.checkpoints) == 10
    assert set(found.checkpoints["step"].to_pylist()) == {1000.0}
    assert any("the last counts (10M: 2000, 1B: 2000)" in note for note in found.notes)
    # under another name, a column of steps must be told
    other = "size,recipe,it,loss\n" + STEPS
    with pytest.raises(UserError, match=r"rows that differ in column it: 1000, 2000\n.*--step it"):
        read(tmp_path / "t.csv", other)
    assert values(read(tmp_path / "t.csv", other, columns={"step": "it"})) == values(found)


def test_steps_that_end_apart_are_cut_to_the_last_common_one(tmp_path: Path) -> None:
    text = "size,recipe,step,loss\n" + STEPS
    cut = text.replace("10M,c,2000,4.2\n", "")
    found = read(tmp_path / "t.csv", cut)
    assert any("end at different steps (1000 to 2000); step 1000" in note for note in found.notes)
    assert values(found)["loss", "10M", "spearman"] == (pytest.approx(-1), 5)
    with pytest.raises(UserError, match="c ends at step 1500, a at 2000, and no step is common"):
        read(tmp_path / "t.csv", cut.replace("10M,c,1000,", "10M,c,1500,"))


def test_budgets_are_told_apart_or_refused(tmp_path: Path) -> None:
    rows = [
        (s, r, t)
        for s in ("411M", "7B")
        for r in "abcd"
        for t in (8e9, 16e9)
        if s != "7B" or t < 9e9
    ]
    text = "scale,recipe,tokens,loss\n" + "".join(
        f"{s},{r},{t:.0f},{3 + 'abcd'.index(r) * (-1 if t > 9e9 else 1)}\n" for s, r, t in rows
    )
    with pytest.raises(UserError, match=r"411M / a has several numbers of tokens: 8G, 16G\n.*--by"):
        read(tmp_path / "t.csv", text, reference="7B", repeats="seeds")
    found = read(tmp_path / "t.csv", text, by=["tokens"])
    assert values(found, "7B")["loss", "411M-8B", "spearman"][0] == pytest.approx(1)
    assert values(found, "7B")["loss", "411M-16B", "spearman"][0] == pytest.approx(-1)
    assert set(found.runs["flops"].to_pylist()) == {
        6 * 411e6 * 8e9,
        6 * 411e6 * 16e9,
        6 * 7e9 * 8e9,
    }
    chosen = read(tmp_path / "t.csv", text, by=["tokens"], only_scales=["411M-8B", "7B"])
    assert set(chosen.runs["scale"].to_pylist()) == {"411M-8B", "7B"}
    with pytest.raises(UserError, match="only_scales: no such scale"):
        read(tmp_path / "t.csv", text, by=["tokens"], only_scales=["8B"])


def test_columns_that_nobody_named_are_no_seeds(tmp_path: Path) -> None:
    text = "scale,recipe,arch,loss\n" + "".join(
        f"{s},{r},{arch},{i + n}\n"
        for n, s in enumerate(("10M", "1B"))
        for i, r in enumerate("abcd")
        for arch in ("gpt", "olmo")
    )
    for repeats in (None, "seeds"):
        with pytest.raises(
            UserError, match=r"rows that differ in column arch: gpt, olmo\n.*--by arch"
        ):
            read(tmp_path / "t.csv", text, repeats=repeats)
    assert set(read(tmp_path / "t.csv", text, by=["arch"]).runs["scale"].to_pylist()) == {
        "10M-gpt", "10M-olmo", "1B-gpt", "1B-olmo",
    }  # fmt: skip
    seeds = read(tmp_path / "t.csv", text, ignore=["arch"], repeats="seeds")
    assert set(seeds.losses["seed"].to_pylist()) == {0, 1}


def test_each_proxy_meets_the_reference_over_what_both_have(tmp_path: Path) -> None:
    text = table(
        _10M="5 5.1 5.2 5.3",
        _60M="4 4.1 4.2 4.3 4.4 4.5 4.6 4.7",
        _1B="3 3.1 3.2 3.3 2.9 2.8 2.7 2.6",
        _7B="2",
    )
    found = read(tmp_path / "t.csv", text)
    got = values(found)
    assert got["loss", "10M", "spearman"] == (pytest.approx(1), 4)
    assert got["loss", "60M", "spearman"] == (pytest.approx(-0.762, abs=1e-3), 8)
    assert not any(proxy == "7B" for _, proxy, _ in got)
    assert partners_told(read_grid(found.losses, found.runs), "1B") == [
        "10M meets 1B over 4 recipes (4 of 1B not at 10M: e, f, g, h)",
        "7B shares 1 recipe with 1B, too few to compare "
        "(7 of 1B not at 7B: b, c, d, e, f and 2 more)",
        "not on every task, so left out of the verdict over all tasks and of the laws: 7B",
    ]


@pytest.mark.parametrize("repeats", [None, "seeds"])
def test_runs_of_two_learning_rates_are_no_seeds(tmp_path: Path, repeats: str | None) -> None:
    """A setting has the same values for every recipe, an unnamed metric has not."""
    rows = [
        f"{r},{s},{rate},{3 + i / 10 + rate},{0.3 + i / 7 + k / 9 + rate:.2f}\n"
        for k, s in enumerate(("10M", "1B"))
        for i, r in enumerate("abcd")
        for rate in (1e-3, 3e-4)
    ]
    text = "recipe,scale,learning_rate,loss,other\n" + "".join(rows)
    with pytest.raises(UserError, match=r"differ in column learning_rate: 0\.001, 0\.0003"):
        read(tmp_path / "t.csv", text, repeats=repeats)
    apart = read(tmp_path / "t.csv", text, by=["learning_rate"])
    assert len(apart.runs) == 16
    seeds = read(tmp_path / "t.csv", text, ignore=["learning_rate"], repeats="seeds")
    assert len(seeds.runs) == 16


def test_recipes_that_differ_in_case_are_told(tmp_path: Path) -> None:
    text = "recipe,scale,loss\n" + "".join(
        f"{r},{s},{3 + i / 10}\n" for s in ("10M", "1B") for i, r in enumerate(("C4", "c4", "FW"))
    )
    assert any(note.endswith(": C4 and c4") for note in read(tmp_path / "t.csv", text).notes)


def test_sizes_and_compute_are_read_in_words(tmp_path: Path) -> None:
    text = "flops,recipe,loss\n" + "".join(
        f"{f},{r},{3 + i / 10}\n" for f in ("1e18", "4.84e19") for i, r in enumerate("abc")
    )
    runs = read(tmp_path / "t.csv", text).runs.to_pylist()
    assert {(r["scale"], r["flops"]) for r in runs} == {("1e18", 1e18), ("4.84e19", 4.84e19)}
    dd = "params,data,step,seed,loss\n" + "".join(
        f"{p},{d},2000,default,{3 + i / 10}\n"
        for p in ("10M", "1B")
        for i, d in enumerate(("C4", "Dolma", "FW"))
    )
    runs = read(tmp_path / "t.csv", dd).runs.to_pylist()
    assert {(r["scale"], r["parameters"]) for r in runs} == {("10M", 10**7), ("1B", 10**9)}
    thousands = dd.replace("10M", '"10,000,000"').replace("1B", '"1,000,000,000"')
    runs = read(tmp_path / "t.csv", thousands).runs.to_pylist()
    assert {r["parameters"] for r in runs} == {10**7, 10**9}
    named = "model,recipe,loss\n" + "".join(
        f"{m},{r},3.{i}\n"
        for m in ("EleutherAI/pythia-70m", "EleutherAI/pythia-1.4b")
        for i, r in enumerate("abc")
    )
    found = read(tmp_path / "t.csv", named)
    assert {r["parameters"] for r in found.runs.to_pylist()} == {70_000_000, 1_400_000_000}
    assert any("the sizes in their names" in note for note in found.notes)


@pytest.mark.parametrize("word", ["", "nan", "NaN", "inf", "-inf", "-", "n/a"])
def test_what_is_no_number_is_told_alike(tmp_path: Path, word: str) -> None:
    text = "scale,recipe,A_loss,B_loss\n" + "".join(
        f"{s},{r},{1 + i},{word if (s, r) == ('10M', 'c') else 2 + i}\n"
        for s in ("10M", "1B")
        for i, r in enumerate("abcd")
    )
    found = read(tmp_path / "t.csv", text, metrics=["*_loss"])
    got = values(found)
    assert got["A", "10M", "r2"] == (pytest.approx(1), 4)
    assert got["B", "10M", "r2"] == (pytest.approx(1), 3)
    assert any(f"10M / c / B ({word or 'empty'}, row 3)" in note for note in found.notes)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["37.02%", "5 %", "100%"], [0.3702, 0.05, 1.0]),
        (["1,234.5", "12.25", "1,000"], [1234.5, 12.25, 1000]),
        (["3,41", "2,9", "10"], [3.41, 2.9, 10]),
        (["1.234,5", "1.000", "2,5"], [1234.5, 1000, 2.5]),
        (["3,412", "2,998", "3,001"], None),  # either way
        (["3,41", "2.998", "3,2"], None),  # both ways
        (["3.4", "diverged", "3.2"], None),
        (["37%", "0.4", "0.5"], None),
    ],
)
def test_numbers_are_read_one_way_or_refused(
    tmp_path: Path, cells: list[str], expected: list[float] | None
) -> None:
    text = "scale,recipe,loss\n" + "".join(
        f'{s},{r},"{cell}"\n' for s in ("10M", "1B") for r, cell in zip("abc", cells, strict=True)
    )
    if expected is None:
        with pytest.raises(UserError, match=r"column loss: .*(is no number|may be)"):
            read(tmp_path / "t.csv", text)
        return
    found = read(tmp_path / "t.csv", text).losses["loss"].to_pylist()
    assert found == [*expected, *expected]


def test_names_are_names_and_doubled_headers_are_refused(tmp_path: Path) -> None:
    text = table(_10M="1 2 3", _1B="1 2 3").replace(",a,", ",None,").replace(",b,", ",NA,")
    found = read(tmp_path / "t.csv", text)
    assert set(found.losses["distribution"].to_pylist()) == {"None", "NA", "c"}
    with pytest.raises(UserError, match="two columns have this name"):
        read(tmp_path / "t.csv", "scale,recipe,loss,loss\n10M,a,1,2\n1B,a,1,2\n")
    several = "scale,w1,w2,loss\n" + "".join(
        f"{s},{i / 4},{1 - i / 4},{i + 1}\n" for s in ("10M", "1B") for i in range(4)
    )
    found = read(tmp_path / "t.csv", several, columns={"recipe": ["w1", "w2"]})
    assert set(found.losses["distribution"].to_pylist()) == {
        "0,1",
        "0.25,0.75",
        "0.5,0.5",
        "0.75,0.25",
    }


def test_no_regret_is_told_of_a_metric_whose_direction_is_not_known(tmp_path: Path) -> None:
    text = table(_10M="1 2 3 4", _1B="1 2 4 3").replace("loss", "depth")
    got = values(read(tmp_path / "t.csv", text, metrics="depth"))
    assert not [key for key in got if "regret" in key[2]]
    stated = values(read(tmp_path / "t.csv", text, metrics="depth", direction={"depth": "lower"}))
    assert stated["depth", "10M", "regret"][0] == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "recipe,web,code\na,.5,.5\nb,.8,.2\nb,.9,.1\nc,60,40\n",
            "recipe b stands in rows 2 and 3",
        ),
        ("recipe,web,code\na,.5,.5\nb,60,40\n", "row 2: the shares of b sum to 100, not to 1"),
        ("recipe,web,code\na,-.5,1.5\n", "row 1, column web: -0.5 is no share"),
        ("recipe,web,code,seed\na,.5,.5,0\n", "column seed looks like no share"),
        ("recipe,web,code,val_loss\na,.5,.5,3.1\n", "column val_loss looks like no share"),
        ("recipe,web,code\na,.5,\nb,.5,.5\n", "row 1, column code: empty is no share"),
    ],
)
def test_a_table_of_weights_is_shares_or_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "w.csv").write_text(text)
    with pytest.raises(UserError, match=told):
        read_weights(tmp_path / "w.csv", "*", None)
    (tmp_path / "w.csv").write_text("recipe,web,code,seed\na,50,50,0\nb,99.5,0,0\n")
    found = read_weights(tmp_path / "w.csv", "[wc]*", None)
    assert found.shares == {"a": [50, 50], "b": [99.5, 0]}
    assert found.told() == "mixture weights of 2 recipes: web, code"
