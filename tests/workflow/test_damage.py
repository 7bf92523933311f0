"""What is torn, emptied or flipped in a study is told, and made again by the same command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import damaged_jobs
from support.image_studies import image_study
from support.whole_studies import COMMANDS, language_study
from support.workflow_run import Workflow

from proxyscale.base import repair, seals

TORN = 44
FLIPS, CUTS = 400, 100
JOBS = 3  # of every verb
STUDIES = {"language": (language_study, COMMANDS), "vision": (image_study, [])}
OWN_TIMES = ("curve.parquet", "runs.parquet")  # tell how long a run took


@pytest.fixture(scope="module", params=STUDIES)
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A study of every kind, run to its end."""
    workflow = Workflow(tmp_path_factory.mktemp("damage"))
    workflow.config = STUDIES[request.param][0]()
    workflow.run()
    return workflow


@pytest.mark.slow
def test_no_flip_and_no_cut_passes_in_silence(finished: Workflow) -> None:
    """Every pair of an artifact and a job, or a command, that opens it; the job is really run."""
    kind = "vision" if "model" in finished.config else "language"
    jobs = damaged_jobs.some(damaged_jobs.commands(finished), JOBS)
    with damaged_jobs.within(finished):
        study = damaged_jobs.Study(jobs, STUDIES[kind][1])
        outcome = study.attack(FLIPS, CUTS)
    print(kind, len(study.pairs), "kinds of pairs", dict(outcome))
    assert outcome["told"] > outcome.total() / 2


def artifacts(results: Path) -> list[Path]:
    """Every file that another job or a person reads."""
    listed = repair._changed(str(results), [str(p) for p in results.glob("*.*")], 0)
    return sorted(path for path in listed if path.suffix in {*seals.SEALED, *seals.LINES})


def numbers(results: Path) -> dict[str, bytes]:
    """What the tables hold, byte by byte."""
    names = [*results.glob("*.parquet"), *results.rglob("losses/*.parquet")]
    return {str(p): p.read_bytes() for p in names if p.name not in OWN_TIMES}


@pytest.mark.slow
def test_the_same_command_makes_torn_files_again(finished: Workflow) -> None:
    """Files of every kind in turn."""
    results, chance = finished.folder / "results", np.random.default_rng(1)
    right, files = numbers(results), artifacts(results)
    kinds = {
        suffix: [p for p in files if p.suffix == suffix] for suffix in {p.suffix for p in files}
    }
    torn: set[Path] = set()
    while len(torn) < min(TORN, len(files) // 2):
        for same in kinds.values():
            path = same[int(chance.integers(len(same)))]
            whole = path.read_bytes()
            path.write_bytes(whole[: int(chance.integers(len(whole)))])
            torn.add(path)
    said = finished.run()
    told = {path for path in torn if f"{path.relative_to(finished.folder)} is damaged" in said}
    # a manifest goes with a torn file that it vouches for
    assert {path.name for path in torn - told} <= {"manifest.json"}
    assert not any(map(seals.damage, torn))
    assert numbers(results) == right
    assert not finished.stale()
