"""Of many jobs Snakemake does less, and chooses and sees what it would."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.io import _IOFile
from snakemake.scheduling.job_scheduler import JobScheduler

from proxyscale.base import many_jobs


@pytest.fixture(autouse=True)
def lightened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Snakemake as it is lightened, for one test; the files that it has summed."""
    summed: list[str] = []

    async def checksum(self: Any, threshold: int) -> str:
        summed.append(str(self))
        return f"{Path(self).read_text()} below {threshold}"

    monkeypatch.setattr(JobScheduler, "open_jobs", JobScheduler.open_jobs)
    later = JobScheduler._schedule_reevalutation
    monkeypatch.setattr(JobScheduler, "_schedule_reevalutation", later)
    monkeypatch.setattr(_IOFile, "checksum", checksum)
    many_jobs.lighten()
    return summed


class Job(SimpleNamespace):
    """A job of Snakemake's, as far as it is asked."""

    __hash__ = object.__hash__


def job(rule: str, priority: int, scale: str | None = None, group: bool = False) -> Any:
    wildcards = {"scale": scale} if scale else {}
    kind = {"rule": rule, "wildcards_dict": wildcards, "is_group": lambda: group}
    return Job(**kind, priority=priority)


def weighed(jobs: list[Any], cores: int, dryrun: bool = False) -> list[tuple[str, int]]:
    """Rules and priorities of the jobs that are weighed."""
    scheduler = SimpleNamespace(
        dryrun=dryrun,
        global_resources={"_cores": cores},
        workflow=SimpleNamespace(dag=SimpleNamespace(ready_jobs=jobs)),
    )
    found = JobScheduler.open_jobs.fget(scheduler)  # type: ignore[attr-defined]
    return sorted((job.rule, job.priority) for job in found)


def test_of_each_kind_as_many_are_weighed_as_can_start_together() -> None:
    trained = [job("train", number, scale) for number in range(9) for scale in ("xs", "s")]
    found = weighed([*trained, job("select", 0)], cores=2)
    assert found == [("select", 0), *[("train", 7)] * 2, *[("train", 8)] * 2]
    assert len(weighed(trained, cores=2, dryrun=True)) == 18
    assert len(weighed(trained, cores=18)) == 18
    groups = [job("train", number, "xs", group=True) for number in range(9)]
    assert len(weighed(groups, cores=2)) == 9


def test_one_look_is_waited_for_at_a_time() -> None:
    looks = threading.Semaphore(0)
    scheduler = SimpleNamespace(_open_jobs=looks)
    for _ in range(2):
        for _ in range(9):
            JobScheduler._schedule_reevalutation(scheduler, 0.05)  # type: ignore[arg-type]
        assert looks.acquire(timeout=60)
        assert not looks.acquire(timeout=0.2)


def test_a_file_is_summed_again_when_it_is_another(tmp_path: Path, lightened: list[str]) -> None:
    path = tmp_path / "file"
    file = _IOFile(str(path), rule=None)

    def told(threshold: int = 9) -> str | None:
        return asyncio.run(file.checksum(threshold))

    path.write_text("one")
    assert [told(), told(), told(10)] == ["one below 9", "one below 9", "one below 10"]
    assert len(lightened) == 2
    other = tmp_path / "other"
    other.write_text("two")  # as many bytes
    other.replace(path)
    assert told() == "two below 9"
    path.unlink()
    with pytest.raises(FileNotFoundError):
        told()
