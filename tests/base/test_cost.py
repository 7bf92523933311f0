"""What models weigh and cost: the paper's printed numbers, and the tables made of them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyscale.base.artifacts import text
from proxyscale.base.cost import attribution_flops, language_parameters, training_flops
from proxyscale.base.progress import note_duration
from proxyscale.figures import paper
from proxyscale.figures.cost_tables import TABLES, Seconds, write_table
from proxyscale.study.language_study import TABLES as NAMES
from proxyscale.study.language_study import LanguageStudy
from proxyscale.training import language_model

NO_STUDY: dict[str, Any] = {"scales": [], "attribution": None, "study": "none"}
counts = st.integers(1, 10**9)


@pytest.mark.parametrize("name", paper.TABLE9)
def test_every_number_that_table_9_prints(name: str) -> None:
    """Within 0.6 %: print truncates to three digits, or to two."""
    rows = {row["scale"]: row for row in TABLES["tab9"](NO_STUDY, Seconds({}, {}))}
    printed = paper.TABLE9[name]
    for key in ("training", "attribution", "overall", "training_share", "relative"):
        assert rows[name][key] == pytest.approx(getattr(printed, key), rel=0.006), key
        assert rows[name][f"printed_{key}"] == getattr(printed, key)


def test_every_parameter_count_and_ratio_that_the_paper_prints() -> None:
    shapes = {row["scale"]: row for row in TABLES["tab10"](NO_STUDY, Seconds({}, {}))}
    printed = {name: s.printed_parameters for name, s in paper.SCALES.items()}
    assert {n for n, count in printed.items() if count} == {"37M", "80M", "125M", "350M", "760M"}
    assert all(shapes[n]["parameters"] == count for n, count in printed.items() if count)
    budgets = {row["scale"]: row for row in TABLES["tab11"](NO_STUDY, Seconds({}, {}))}
    for name, scale in paper.SCALES.items():
        if scale.printed_ratio:
            assert budgets[name]["ratio"] == pytest.approx(scale.printed_ratio, rel=0.012)


@given(p=counts, length=counts, dimension=counts, examples=counts, targets=counts)
def test_attribution_is_the_sum_of_its_steps(
    p: int, length: int, dimension: int, examples: int, targets: int
) -> None:
    """Gradients, projections (k·(2p − 1) each), the k × k system, and the scores of all pairs."""
    k = dimension
    gradients = training_flops(p, length) * (examples + targets)
    projections = k * (2 * p - 1) * (examples + targets)
    gram = k * k * (2 * examples - 1)
    inverse = k**3
    whitened = k * (2 * k - 1) * examples
    scores = (2 * k - 1) * examples * targets
    total = gradients + projections + gram + inverse + whitened + scores
    assert attribution_flops(p, length, k, examples, targets) == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_parameters_are_those_of_the_model(bias: bool, tied: bool) -> None:
    spec = {**paper.SCALES["37M"].model, "width": 24, "heads": 2, "layers": 3, "vocabulary": 77}
    spec |= {"bias": bias, "tied": tied, "base_width": 32}
    model = language_model.build(spec)
    assert language_parameters(spec) == sum(p.numel() for p in model.parameters())


@pytest.fixture
def runs() -> pa.Table:
    rows = {"scale": ["small", "small", "large"], "seconds": [1.0, 3.0, 10.0]}
    return pa.table(rows)


@pytest.mark.parametrize("name", TABLES)
def test_the_studys_own_scales_stand_beside_the_papers(
    minimal: dict[str, Any], tmp_path: Path, runs: pa.Table, name: str
) -> None:
    assert tuple(TABLES) == NAMES
    study = LanguageStudy.load(minimal)
    spec = study.words("table", name)
    for number, seconds in enumerate((3.0, 5.0)):
        (tmp_path / f"{number}.log").write_text("features\n")
        note_duration(tmp_path / f"{number}.log", 99, seconds)
    logs = [("small", tmp_path / f"{number}.log") for number in range(3)]
    write_table(tmp_path / f"{name}.csv", spec, runs, 500, logs)
    with (tmp_path / f"{name}.csv").open() as file:
        rows = list(csv.DictReader(file))
    own = {row["scale"]: row for row in rows if row["study"] == "tiny"}
    assert list(own) == ["small", "large"]
    assert {row["study"] for row in rows} == {"paper", "tiny"}
    lines = (tmp_path / f"{name}.txt").read_text().splitlines()
    assert len(lines) == len(rows) + 1
    assert len({len(line) for line in lines}) == 1
    small, scale = own["small"], study.scales["small"]
    if name == "tab9":
        expected = attribution_flops(scale.parameters, 16, 4096, 500, 400)
        assert float(small["attribution"]) == expected
        assert float(small["training"]) == scale.flops
        assert small["training_seconds"] == "2.0"
        assert small["features_seconds"] == "4.0"
        assert own["large"]["features_seconds"] == ""
        assert small["relative"] == "1.0"
    if name == "tab11":
        assert float(small["seconds"]) == 2.0
        ratio = study.scales["large"].flops / scale.flops
        assert float(small["ratio"]) == pytest.approx(ratio)


def test_text_is_readable() -> None:
    lines = text([{"a": 1234567, "b": 0.12345, "c": None, "d": True}])
    assert [line.split() for line in lines] == [
        ["a", "b", "c", "d"],
        ["1,234,567", "0.123", "True"],
    ]
