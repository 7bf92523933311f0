"""Finished runs shared between studies, clones and users of a machine: `snakemake --cache train`.

Snakemake knows a run by its provenance: the spec, the code, the source files and the same of all
that it is made of. It does not know what is installed. So runs made with other software, or on
another kind of device, lie in another folder of the cache.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from proxyscale.base import devices, job_records, seals

ENVIRONMENT = "SNAKEMAKE_OUTPUT_CACHE"  # Snakemake's word for the folder, or a storage's address
SHARED = "PROXYSCALE_CACHE"  # the folder as the user named it, for jobs that inherit ours
ASKED = "demands"  # a parameter that a job checks, and that changes nothing it makes
SOFTWARE = ("numpy", "tokenizers", "torch")  # their versions can change a run's numbers


def use_cache(packages: Iterable[str], results: str) -> None:
    """Point Snakemake's cache, where the user has named one, to the folder for this software.

    `packages`: distributions whose files are read as text; `results`: the study's folder. The new
    folder is as open to others as the one that it lies in.
    """
    named = os.environ.get(ENVIRONMENT)
    if not named:
        return
    _leave_out_folder(results)
    base = os.environ.setdefault(SHARED, named)
    place = os.environ[ENVIRONMENT] = f"{base}/{key(packages)}"
    if "://" in base:
        return
    _watch_entries()
    if not Path(place).exists():
        Path(place).mkdir(parents=True, exist_ok=True)
        Path(place).chmod(Path(base).stat().st_mode & 0o7777)


class _Movable:
    """One of Snakemake's jobs, with other parameters."""

    def __init__(self, job: Any, params: Any) -> None:
        self.job, self.params = job, params

    def __getattr__(self, name: str) -> Any:
        return getattr(self.job, name)

    def __hash__(self) -> int:
        return hash(self.job)

    def __eq__(self, other: object) -> bool:
        return bool(other == self.job)


def _leave_out_folder(results: str) -> None:
    """Have Snakemake know a run by what it is made of, not by the folder in which that lies."""
    from snakemake.caching.hash import ProvenanceHashMap
    from snakemake.iocontainers import Params

    provenance = ProvenanceHashMap._get_provenance_hash

    async def without_folder(self: Any, job: Any) -> str:
        named = {k: v for k, v in job.params.items() if k != ASKED}
        named = {k: job_records.movable(str(v), results) for k, v in named.items()}
        return str(await provenance(self, _Movable(job, Params(fromdict=named))))

    ProvenanceHashMap._get_provenance_hash = without_folder


def _watch_entries() -> None:
    """Have Snakemake's cache check entries before it links them, and let nobody write to them.

    A damaged entry is dropped by name, and its run trained again.
    """
    from snakemake.caching.local import OutputFileCache

    fetch = OutputFileCache.fetch

    async def checked(self: Any, job: Any) -> None:
        entries = [entry for _, entry in await self.get_outputfiles_and_cachefiles(job)]
        if not all(map(seals.intact, entries)):
            self.raise_cache_miss_exception(job)
        await fetch(self, job)

    def protect(self: Any, entry: Path) -> None:
        entry.chmod(0o444)

    OutputFileCache.fetch, OutputFileCache.set_permissions = checked, protect


def key(packages: Iterable[str]) -> str:
    """Digest of the versions of the software, and of the kind of device."""
    versions = {name: importlib.metadata.version(name) for name in {*SOFTWARE, *packages}}
    versions["python"] = platform.python_version()
    versions["device"] = "cuda" if devices.visible() else "cpu"
    return hashlib.sha256(json.dumps(versions, sort_keys=True).encode()).hexdigest()[:16]
