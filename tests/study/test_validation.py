"""No value that a key was not made for gets past a config's reading, or ends in a traceback."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from support.bad_values import LEGAL, VALUES, Place, places, spoiled
from support.image_studies import image_study

from proxyscale.base.errors import UserError
from proxyscale.cli.load_study import load
from proxyscale.study.config import Config
from proxyscale.study.own_runs_config import OwnRuns
from proxyscale.vision.config import ImageConfig

LEAST = 2500  # cases
KEYED = re.compile(r"^(- )?[\w.-]+: ", re.MULTILINE)  # a mistake is told at a key
OWN_RUNS: dict[str, Any] = {
    "study": "own",
    "results": "compared",
    "reference": "b",
    "runs": {
        "table": "t.csv",
        "scales": {"a": {"parameters": 1, "tokens": 3}, "b": {"parameters": 9}},
        "weights": {"table": "t.csv"},
    },
}
Case = tuple[dict[str, Any], Place, str]


@pytest.fixture
def cases(minimal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    """Every key of every kind of study, with every value."""
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text("scale,recipe,loss\na,x,1\n")
    kinds: list[tuple[dict[str, Any], type[BaseModel]]] = [
        (minimal, Config),
        (image_study(), ImageConfig),
        (copy.deepcopy(OWN_RUNS), OwnRuns),
    ]
    return [
        (raw, place, kind)
        for raw, model in kinds
        for place in places(model, raw)
        for kind in VALUES
    ]


def unclear(cases: list[Case]) -> Iterator[tuple[Place, str, str]]:
    """Cases that are let pass although they are not legal, and those that are not told clearly."""
    for raw, place, kind in cases:
        try:
            study = load(spoiled(raw, place, VALUES[kind]))
            assert study.products
        except UserError as error:
            told = str(error)
            if "instance of" in told or "match pattern" in told or not KEYED.search(told):
                yield place, kind, told
        else:
            if place[-1] not in LEGAL.get(kind, ()):
                yield place, kind, "it is taken"


def test_some_bad_values_are_told(cases: list[Case]) -> None:
    assert len(cases) >= LEAST
    found = list(unclear(cases[::37]))
    assert not found, found


@pytest.mark.slow
def test_every_bad_value_is_told(cases: list[Case]) -> None:
    assert list(unclear(cases)) == []
