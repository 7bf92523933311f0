"""Results that come from elsewhere: what is as their records say is marked as done.

Snakemake builds its graph, as it does for a summary; here every job's record is held against what
the job is now, and Snakemake's own records are written: of what is vouched for, as if it had just
been made; of the rest, what it was made of, so that Snakemake makes it again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from proxyscale.base import artifacts, job_records, lock, seals
from proxyscale.base.errors import UserError
from proxyscale.base.shipped import workflow_folder
from proxyscale.base.vouching import restamp
from proxyscale.study.validation import read_yaml

SHOWN = 3  # differences of one job


class Adoption:
    """The jobs of a study, judged one after another, those first that others depend on."""

    def __init__(self, workflow: Any, results: str, code: bool) -> None:
        self.persistence, self.results, self.code = workflow.persistence, results, code
        self.jobs = [job for level in workflow.dag.toposorted() for job in level if job.output]
        self.done: list[str] = []
        self.earlier: dict[str, list[str]] = defaultdict(list)  # jobs by how their code differs
        self.refused: dict[str, list[str]] = defaultdict(list)  # jobs by what is not as said

    async def judge_all(self) -> None:
        """Judge every job and write Snakemake's records."""
        for job in self.jobs:
            there = [file for file in job.output if await file.exists_local()]
            if there:
                await self._judge(job, there)

    async def _judge(self, job: Any, there: list[Any]) -> None:
        place = job_records.place(job, self.results)
        if place is None:
            return
        for file in there:
            file.touch()  # those that it was made of are older
        name = str(place.relative_to(Path(self.results, "records")).with_suffix(""))
        old = artifacts.read_json(place) if seals.intact(place) else None
        whole = len(there) == len(job.output)
        if whole and old is None and self.persistence.has_metadata(job):
            # made here, before there were records: Snakemake's own tells what it was made of
            if any(self._changed(job, file) for file in there):
                self.refused["it has no record and would be another now"].append(name)
            else:
                self.done.append(name)
            return
        if not whole or old is None:
            told = "some of its files are not there" if old else "it has no record"
            self._refuse(job, there, name, [told])
            return
        now = job_records.record(job, self.results, self.persistence._params(job))
        files, config, code = job_records.differences(old, now, job_records.updates(job))
        if files or config or (code and not self.code):
            self._refuse(job, there, name, [*files, *config, *code], None if files else old)
            return
        if code:
            self.earlier["; ".join(code)].append(name)
            updated = job.output if job_records.updates(job) else []
            for folder in {Path(file).parent for file in updated}:
                restamp(folder, old["params"].get("code", ""), now["params"].get("code", ""))
        await self.persistence.finished(job)
        self.done.append(name)

    def _changed(self, job: Any, file: Any) -> bool:
        """Whether Snakemake knows that a job would make another file now."""
        known = self.persistence
        found = known.params_changed, known.code_changed, known.input_changed
        return any(changed(job, file=file) for changed in found)

    def _refuse(
        self, job: Any, there: list[Any], name: str, told: list[str], old: Any = None
    ) -> None:
        """Have Snakemake know what files were made of, or that nobody knows."""
        from snakemake.persistence import (
            RECORD_FORMAT_VERSION,
            MetadataRecord,
        )

        self.refused["; ".join(told[:SHOWN])].append(name)
        old = old or {"params": {"": "nobody knows"}, "read": {}, "command": ""}
        params = [job_records.here(value, self.results) for value in old["params"].values()]
        known = MetadataRecord(
            rule=job.rule.name,
            record_format_version=RECORD_FORMAT_VERSION,
            params=sorted(map(repr, params)),
            input=sorted(job_records.here(path, self.results) for path in old["read"]),
            code=old["command"],
        )
        for file in there:
            self.persistence._write_record(self.persistence._get_key(file), known)
        self.persistence._clear_cache()

    def told(self) -> Iterator[str]:
        """What was found, in words."""
        for words, names in self.refused.items():
            yield f"not as said: {_some(names)}: {words}"
        for words, names in self.earlier.items():
            yield f"taken from an earlier version: {_some(names)}: {words}"
        missing = len(self.jobs) - len(self.done) - sum(map(len, self.refused.values()))
        yield f"{len(self.done)} of {len(self.jobs)} jobs are marked as done" + (
            f"; of {missing} nothing is there" if missing else ""
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{more}"


def adopt(configfiles: Sequence[str], results: str | None, code: bool) -> list[str]:
    """Mark as done what a study's results vouch for; what was found, in words.

    `results`: their folder, if the config names another. `code`: whatever code made them. Where
    this process's Snakemake cannot build the graph, it says so and ends it. UserError while
    another call is at work.
    """
    from snakemake import cli
    from snakemake.settings.types import ExecutionSettings
    from snakemake.workflow import Workflow

    for file in configfiles:
        read_yaml(file)  # Snakemake tells of a file that is none with a traceback
    found: list[str] = []
    mistakes: list[UserError] = []

    def adopting(workflow: Any, detailed: bool = False) -> None:
        workflow.execution_settings = ExecutionSettings()  # records are kept
        workflow._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True)
        workflow._build_dag()
        study = workflow.globals["study"]
        try:
            lock.take(study.config.results)
        except UserError as error:
            mistakes.append(error)
            return
        study.claim_results(write=True)
        adoption = Adoption(workflow, study.config.results, code)
        workflow.async_run(adoption.judge_all())
        found.extend(adoption.told())

    Workflow.summary = adopting
    words = ["--summary", "--snakefile", str(workflow_folder() / "Snakefile")]
    words += ["--configfile", *configfiles] if configfiles else []
    words += ["--config", f"results={results}"] if results else []
    try:
        cli.main(words)
    except SystemExit as end:
        if end.code:
            raise
    for mistake in mistakes:
        raise mistake
    return found
