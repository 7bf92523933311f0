"""Engines that a config names: its own words, what fills them in, what makes a run stale."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxyscale.base.errors import UserError
from proxyscale.study.language_study import LanguageStudy

COMMAND = "python train.py --data {data} --out {out}"


def study(minimal: dict[str, Any], command: str = COMMAND, **more: Any) -> LanguageStudy:
    minimal["training"]["engine"] = {"command": command, **more}
    return LanguageStudy.load(minimal)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("train --out {out}", "has no {data}"),
        ("train --data {data}", "has no {out}"),
        ("train {data} {out} {pool}", "nothing fills in {pool}"),
        ("train {data} {out} 'half", "No closing quotation"),
        ("train {data} {out} {", "training.engine.command"),
    ],
)
def test_mistakes_of_a_command(minimal: dict[str, Any], command: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        study(minimal, command)
    assert told in str(caught.value)
    assert "training.engine.command" in str(caught.value)


def test_an_engine_that_nobody_knows(minimal: dict[str, Any]) -> None:
    minimal["scales"]["small"]["engine"] = "nativ"
    with pytest.raises(UserError, match="did you mean 'native'"):
        LanguageStudy.load(minimal)


def test_what_it_needs_is_no_part_of_the_run_and_its_script_is(
    minimal: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text("one")
    first, before = study(minimal), study(minimal).spec("train", "small", "a", 0, 0)
    second = study(minimal, needs={"gpus": 8, "hours": 3})
    assert second.spec("train", "small", "a", 0, 0) == before
    assert second.scales["small"].execution["gpus"] == 8
    engine = json.loads(before)["training"]["engine"]
    assert engine["parameters"] == first.scales["small"].parameters
    Path("train.py").write_text("two")
    assert study(minimal).spec("train", "small", "a", 0, 0) != before
