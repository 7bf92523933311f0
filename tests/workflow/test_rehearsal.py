"""The very files of the paper's studies, divided, from a stand-in of the hub to their reports."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support import paper_data
from support.paths import ROOT

from proxyscale.base import devices
from proxyscale.cli.load_study import load
from proxyscale.study.validation import read_yaml

STUDIES = ROOT / "workflow/studies"
REHEARSALS = ROOT / "tests/studies/rehearsals"
NAMES = sorted(file.stem for file in REHEARSALS.iterdir())


def numbers(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All that a config says, with its keys."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from numbers(inner, (*path, key))
    else:
        yield path, value


def at(value: Any, path: tuple[str, ...]) -> Any:
    """What a config says at a key; KeyError if it says nothing."""
    for key in path:
        value = value[key]
    return value


def merged(study: Any, override: Any) -> Any:
    """A config with another one over it, as Snakemake lays them."""
    if not isinstance(override, Mapping):
        return override
    return {**study, **{key: merged(study.get(key, {}), one) for key, one in override.items()}}


@pytest.mark.parametrize("name", NAMES)
def test_a_rehearsal_says_nothing_but_numbers_and_they_are_smaller(name: str) -> None:
    study, override = read_yaml(STUDIES / f"{name}.yaml"), read_yaml(REHEARSALS / f"{name}.yaml")
    for path, value in numbers(override):
        values = value if isinstance(value, list) else [value]
        assert all(type(one) in (int, float) for one in values), path
        if path[-1] not in ("holdout", "shares", "sample", "layers"):
            before = at(study, path)
            before = before if isinstance(before, list) else [before]
            assert max(values) <= max(before), path
    load(merged(study, override))


def test_every_study_of_the_paper_is_rehearsed() -> None:
    assert sorted(file.stem for file in STUDIES.glob("paper-*.yaml")) == NAMES


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_study_of_the_paper_runs_to_its_report(name: str, tmp_path: Path) -> None:
    for part in ("Snakefile", "rules", "src", "envs", "profiles", "workflow"):
        (tmp_path / part).symlink_to(ROOT / part)
    files = [STUDIES / f"{name}.yaml", REHEARSALS / f"{name}.yaml"]
    with paper_data.hub(read_yaml(files[0])) as hub:
        environment = {
            **os.environ,
            **{"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"},
            # the GPUs that the studies name, whose work CPU cores do
            **{"CUDA_VISIBLE_DEVICES": "0,1", devices.PRETENDED: "1"},
        }
        command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile"]
        done = subprocess.run(
            [*command, *map(str, files)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    results = tmp_path / "results" / name
    for product in load(merged(*map(read_yaml, files))).products:
        assert (tmp_path / product).stat().st_size, product
    page = (results / "report.html").read_text()
    assert re.search(r"<h1", page)
