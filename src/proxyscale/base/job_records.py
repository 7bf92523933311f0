"""What every job was made of, kept beside its results, so that it goes wherever they go.

Snakemake keeps its own records in the folder where it is called, by names and times. Here, for
every job, `{results}/records/{rule}/….json` has its rule and command, its parameters (the slice of
the config and the digest of the code among them), and the sums of what it read and wrote.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from proxyscale.base import artifacts, seals
from proxyscale.base.shipped import PACKAGE

MISSING = object()
Record = dict[str, Any]


def place(job: Any, results: str) -> Path | None:
    """Where the record of one of Snakemake's jobs lies; None if it has none.

    It is named as its log is. What lies in a storage is known to Snakemake alone.
    """
    logs = f"{results}/logs/"
    if any(file.is_storage for file in job.output) or not str(job.log).startswith(logs):
        return None
    return Path(results, "records", str(job.log).removeprefix(logs)).with_suffix(".json")


def record(job: Any, results: str, params: list[str]) -> Record:
    """What a job is made of now.

    `params`: those that Snakemake counts, as it writes them: not what follows from names of files.
    What is `ancient()` is vouched for by a manifest, and its name alone counts.
    """
    named = {name: str(value) for name, value in job.params.items() if repr(value) in params}
    read = {str(file): "" if file.is_ancient else _sum_of(file) for file in job.input}
    made = {str(file): _sum_of(file) for file in job.output}
    return {
        "rule": job.rule.name,
        "command": job.rule.shellcmd,
        "params": {name: movable(value, results) for name, value in named.items()},
        "read": {movable(file, results): digits for file, digits in read.items()},
        "made": {movable(file, results): digits for file, digits in made.items()},
    }


def _sum_of(file: str) -> str:
    return seals.sum_of(Path(file)) if os.path.exists(file) else "there is none"


def movable(text: str, results: str) -> str:
    """A text with paths of this place written so that they are the same in another."""
    found = text.replace(f"{PACKAGE}/", "{package}/")
    return re.sub(rf"(?<![\w./-]){re.escape(results)}/", "{results}/", found)


def here(text: str, results: str) -> str:
    """What `record` has written, with the paths of this place."""
    return text.replace("{package}/", f"{PACKAGE}/").replace("{results}/", f"{results}/")


class Differences(NamedTuple):
    """How a job's record is not what the job is now, in words."""

    files: list[str]  # not those that were read or written
    config: list[str]  # parameters and inputs
    code: list[str]


def differences(old: Record, now: Record, updated: bool) -> Differences:
    """What is not as a record says. `updated`: the job makes those of its files alone that it has
    to, so that it may have read and written more than it would now."""
    files = [
        f"{path} is not the file that was made"
        for path, digits in now["made"].items()
        if old["made"].get(path) != digits
    ]
    other = {path for path in now["read"] if old["read"].get(path, MISSING) != now["read"][path]}
    code = [f"another {path}" for path in sorted(other) if path.startswith("{package}/")]
    other = {path for path in other if not path.startswith("{package}/")}
    files += [f"it was made of another {path}" for path in sorted(other & old["read"].keys())]
    config = [f"it did not read {path}" for path in sorted(other - old["read"].keys())]
    if not updated:
        config += [f"it read {path}, too" for path in sorted(old["read"].keys() - now["read"])]
    for name in sorted(old["params"].keys() | now["params"]):
        was, given = old["params"].get(name, ""), now["params"].get(name, "")
        if was != given and name == "code":
            code.append(f"code {was} is now {given}")
        elif was != given:
            config += _other_words(name, was, given)
    code += ["its command is another one"] * (old["command"] != now["command"])
    return Differences(files, config, code)


def _other_words(name: str, was: str, given: str) -> Iterator[str]:
    """What a parameter says otherwise: key by key where it is a slice of the config."""
    try:
        slices = [json.loads(t if t[:1] == "{" else shlex.split(t)[-1]) for t in (was, given)]
    except (ValueError, IndexError):
        yield f"{name}: {given or 'nothing'}, was {was or 'nothing'}"
        return
    yield from _other_keys(slices[0], slices[1], name)


def _other_keys(was: Any, given: Any, key: str) -> Iterator[str]:
    if isinstance(was, dict) and isinstance(given, dict):
        for name in sorted(was.keys() | given.keys()):
            below = name if key == "spec" else f"{key}.{name}"
            yield from _other_keys(was.get(name, MISSING), given.get(name, MISSING), below)
    elif was != given:
        told = ["nothing" if value is MISSING else json.dumps(value) for value in (given, was)]
        yield f"{key}: {told[0]}, was {told[1]}"


def keep(results: str) -> None:
    """Have this process's Snakemake keep a record of every job that it has finished."""
    from snakemake.persistence import PersistenceBase

    finished = PersistenceBase.finished

    async def noted(self: Any, job: Any) -> None:
        await finished(self, job)
        path = place(job, results)
        if path is not None:
            artifacts.write_json(path, record(job, results, self._params(job)))

    PersistenceBase.finished = noted


def updates(job: Any) -> bool:
    """Whether a job makes those of its files alone that it has to: their rule marks them so."""
    from snakemake.io import is_flagged

    return any(is_flagged(file, "update") for file in job.output)


def take_back_inputs() -> None:
    """Have this process's Snakemake take a file marked `update()` for what it was when an input is
    gone that the file did not depend on.

    Snakemake knows one list of inputs for all files of a job. A job that updates some of its files,
    as the losses of one task of several, has read nothing new for the others.
    """
    from snakemake.persistence import PersistenceBase

    changed = PersistenceBase._input_changed

    def more(self: Any, job: Any, file: Any = None) -> bool:
        if not updates(job):
            return bool(changed(self, job, file))
        known = self.input(file)
        return known is not None and not set(self._input(job)) <= set(known)

    PersistenceBase._input_changed = more
