"""A study whose files are torn, emptied or flipped is made whole by the same command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.workflow_run import Workflow

from proxyscale.base import repair, seals

TORN = 40
FLIPS, CUTS = 400, 100
OWN_TIMES = ("curve.parquet", "runs.parquet")  # tell how long a run took


def artifacts(results: Path) -> list[Path]:
    """Every file that another job or a person reads."""
    listed = repair._changed(str(results), [str(p) for p in results.glob("*.*")], 0)
    return sorted(path for path in listed if path.suffix in seals.SEALED)


def numbers(results: Path) -> dict[str, bytes]:
    """What the tables hold, byte by byte."""
    names = [*results.glob("*.parquet"), *results.rglob("losses/*.parquet")]
    return {str(p): p.read_bytes() for p in names if p.name not in OWN_TIMES}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A study that has been run to its end."""
    workflow = Workflow(tmp_path_factory.mktemp("damage"))
    workflow.config["scales"].pop("s")
    workflow.run()
    return workflow


@pytest.mark.slow
def test_no_flip_and_no_cut_of_any_artifact_passes(finished: Workflow) -> None:
    """Every reader opens what `seals` has let pass; what it lets pass is what was written."""
    files, chance = artifacts(finished.folder / "results"), np.random.default_rng(0)
    assert len({path.suffix for path in files}) == len(seals.SEALED)
    for number in range(FLIPS + CUTS):
        path = files[number % len(files)]
        whole = path.read_bytes()
        broken = bytearray(whole)
        place = int(chance.integers(len(whole)))
        if number < FLIPS:
            broken[place] ^= 1 << int(chance.integers(8))
        elif number % 2:
            del broken[place:]
        else:
            broken[place : place + 512] = bytes(len(broken[place : place + 512]))
        if broken == whole:
            continue
        path.write_bytes(broken)
        with pytest.raises(seals.Damaged, match=path.name.replace(".", r"\.")):
            seals.verified(path)
        path.with_name(path.name + seals.ASIDE).unlink()
        for manifest in path.parent.glob(f"manifest.json{seals.ASIDE}"):
            manifest.rename(manifest.with_name("manifest.json"))
        for manifest in path.parent.parent.glob(f"manifest.json{seals.ASIDE}"):
            manifest.rename(manifest.with_name("manifest.json"))
        path.write_bytes(whole)


@pytest.mark.slow
def test_the_same_command_makes_torn_files_again(finished: Workflow) -> None:
    results, chance = finished.folder / "results", np.random.default_rng(1)
    right, files, done = numbers(results), artifacts(results), 0
    while done < TORN:
        for path in chance.choice(np.array(files), 10, replace=False):
            whole = path.read_bytes()
            path.write_bytes(whole[: int(chance.integers(len(whole)))])
            done += 1
        said = finished.run()
        assert said.count("is damaged") >= 10
        for table in results.glob("*.parquet"):
            seals.verified(table)
        assert numbers(results) == right


@pytest.mark.slow
def test_a_job_that_meets_damage_names_it_and_the_next_call_mends_it(finished: Workflow) -> None:
    results = finished.folder / "results"
    right, losses = numbers(results), results / "losses.parquet"
    command = [sys.executable, "-m", "proxyscale", "statistics", "--losses", str(losses)]
    command += ["--runs", str(results / "runs.parquet"), "--spec", "{}", "--out", "x.parquet"]
    whole = losses.read_bytes()
    losses.write_bytes(whole[:-1])
    environment = {"PYTHONPATH": str(finished.folder / "src")}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 2
    assert "losses.parquet: is damaged" in told.stderr
    assert "Traceback" not in told.stderr
    finished.run()
    assert numbers(results) == right
