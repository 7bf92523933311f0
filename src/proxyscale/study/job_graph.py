"""The jobs of a study, as Snakemake has them: what each waits for, and which would run now.

Snakemake alone can tell which are stale, and is asked: `--d3dag` is its own word for the graph, of
which this module, run as a program, tells more.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Any, NamedTuple

from proxyscale.base.errors import UserError
from proxyscale.base.shipped import workflow_folder

SNAKEFILE = workflow_folder() / "Snakefile"


class Job(NamedTuple):
    """One job of the workflow; its log names it."""

    rule: str
    log: str
    pending: bool


class Planned(NamedTuple):
    """A job among all of a study's."""

    job: Job
    wildcards: Mapping[str, str]
    priority: int
    after: tuple[int, ...]  # places of the jobs that it waits for, all before its own


def job_graph(configfiles: Sequence[str] = (), targets: Sequence[str] = ()) -> list[Planned]:
    """Every job of a study, or of some of its files, those that others wait for first.

    UserError if Snakemake cannot tell.
    """
    command = [sys.executable, "-m", __name__, "--snakefile", str(SNAKEFILE)]
    command += ["--configfile", *configfiles] if configfiles else []
    command += ["--", *targets] if targets else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stdout + done.stderr).strip().rpartition("\n")[2]
        raise UserError(f"Snakemake cannot tell what is stale: {last}", hint="snakemake --dry-run")
    told = json.loads(done.stdout.rstrip().rpartition("\n")[2])
    return [
        Planned(Job(rule, log, pending), wildcards, priority, tuple(after))
        for rule, log, pending, wildcards, priority, after in told
    ]


def _rows(dag: Any) -> Iterable[list[Any]]:
    """What is told of every job of Snakemake's graph that has a log: all but the target alone."""
    waits = {job: [d for d in dag.dependencies[job] if d.log] for job in dag.jobs if job.log}
    order = list(TopologicalSorter(waits).static_order())
    place = {job: number for number, job in enumerate(order)}
    for job in order:
        after = sorted(place[other] for other in waits[job])
        known = dict(job.wildcards_dict)
        priority = job.rule.expand_priority(job.wildcards_dict, job.input, job.attempt)
        log, pending = str(next(iter(job.log))), bool(dag.needrun(job))
        yield [job.rule.name, log, pending, known, priority, after]


def _tell() -> None:
    """Snakemake's own command line, with more in the graph that it prints."""
    from snakemake import cli
    from snakemake.dag import DAG

    DAG.d3dag = lambda dag: print(json.dumps(list(_rows(dag))))
    cli.main(["--d3dag", *sys.argv[1:]])


if __name__ == "__main__":
    _tell()
