"""Of many jobs Snakemake does less, and chooses and sees what it would."""

from __future__ import annotations

import asyncio
import functools
import gc
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import snakemake.api  # noqa: F401 (its modules import each other: this one comes first)
from snakemake import common, rules
from snakemake.dag import DAG
from snakemake.executors.dryrun import Executor
from snakemake.io import _IOFile
from snakemake.output_index import OutputIndex
from snakemake.scheduling.job_scheduler import JobScheduler

from proxyscale.base import many_jobs

PATCHED: list[tuple[Any, str]] = [
    *[(JobScheduler, name) for name in ("open_jobs", "_schedule_reevalutation", "_free_resources")],
    *[(module, "get_function_params") for module in (common, rules)],
    *[
        (OutputIndex, "match_producers"),
        (DAG, "update_conda_envs"),
        (Executor, "printjob"),
    ],
]


@pytest.fixture(autouse=True)
def lightened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Snakemake as it is lightened, for one test; the files that it has summed."""
    summed: list[str] = []

    async def checksum(self: Any, threshold: int) -> str:
        summed.append(str(self))
        return f"{Path(self).read_text()} below {threshold}"

    monkeypatch.setattr(_IOFile, "checksum", checksum)
    monkeypatch.setattr(OutputIndex, "match", lambda self, file: self.rules)
    for owner, name in PATCHED:
        monkeypatch.setattr(owner, name, getattr(owner, name))
    thresholds = gc.get_threshold()
    many_jobs.lighten()
    yield summed
    gc.set_threshold(*thresholds)


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


def test_parameters_of_functions_and_methods_are_known_apart() -> None:
    class Resource:
        def evaluate(self, wildcards: Any, attempt: int) -> None:
            """A method, as Snakemake asks for what it takes."""

    def first(wildcards: Any) -> None:
        """What a rule says."""

    for _ in range(2):
        assert list(rules.get_function_params(Resource.evaluate)) == [
            "self",
            "wildcards",
            "attempt",
        ]
        assert list(common.get_function_params(Resource().evaluate)) == ["wildcards", "attempt"]
        assert list(rules.get_function_params(first)) == ["wildcards"]


def test_each_graph_finds_its_own_producers() -> None:
    class Rule:
        def __init__(self, makes: str) -> None:
            self.makes, self.asked = makes, 0

        def is_producer(self, file: str) -> bool:
            self.asked += 1
            return file == self.makes

    pool, model = Rule("pool"), Rule("model")
    index, other = (OutputIndex.__new__(OutputIndex) for _ in range(2))
    vars(index)["rules"], vars(other)["rules"] = {pool, model}, {model}
    for _ in range(3):
        assert index.match_producers("pool") == {pool}
        assert index.match_producers("model") == {model}
        assert other.match_producers("pool") == set()
    assert (pool.asked, model.asked) == (2, 3)


@pytest.mark.parametrize("wanted", [True, False])
def test_environments_are_worked_out_where_some_are_to_be_made(wanted: bool) -> None:
    method = {"conda"} if wanted else set()
    settings = SimpleNamespace(deployment_method=method)
    seen: list[Any] = []

    class Graph:
        workflow = SimpleNamespace(deployment_settings=settings)
        conda_envs: Any = SimpleNamespace()

        @property
        def jobs(self) -> list[Any]:
            seen.append(self)
            return []

    DAG.update_conda_envs(Graph())  # type: ignore[arg-type]
    assert len(seen) == wanted


@pytest.mark.parametrize(
    ("asked", "told"),
    [({}, many_jobs.TOLD), ({"printshellcmds": True}, 999), ({"verbose": 1}, 999)],
)
def test_a_dry_run_tells_of_few_jobs_unless_it_is_asked(
    asked: dict[str, Any], told: int, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = SimpleNamespace(**{"printshellcmds": False, "verbose": False, **asked})
    cache = SimpleNamespace(cache=None)
    executor: Any = Executor.__new__(Executor)
    executor.workflow = SimpleNamespace(output_settings=settings, workflow_settings=cache)
    printed: list[int] = []
    for number in range(999):
        job = SimpleNamespace(is_group=lambda: False, rule=SimpleNamespace(cache=False))
        job.log_info = functools.partial(printed.append, number)
        executor.printjob(job)
    assert printed == list(range(told))
    assert capsys.readouterr().out.count("counted below") == (told < 999)


@pytest.mark.parametrize("dryrun", [True, False])
def test_resources_are_given_back_by_jobs_that_had_them(dryrun: bool) -> None:
    scheduler = SimpleNamespace(dryrun=dryrun, resources={"_cores": 1})
    JobScheduler._free_resources(scheduler, SimpleNamespace(scheduler_resources={"_cores": 2}))  # type: ignore[arg-type]
    assert scheduler.resources == {"_cores": 1 if dryrun else 3}
