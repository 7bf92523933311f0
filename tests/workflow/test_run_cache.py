"""Finished runs shared between studies: what is trained again, and what never."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.workflow_run import Workflow

from proxyscale.base import run_cache, seals

RUNS = 6  # two scales of three distributions


def study(folder: Path, **changes: Any) -> Workflow:
    """A clone of the workflow with a study that differs from the others in its top-level keys."""
    folder.mkdir()
    workflow = Workflow(folder)
    workflow.config["scales"].pop("s")
    workflow.config.update(changes)
    return workflow


def losses(workflow: Workflow) -> Any:
    """The losses of all runs, by name."""
    table = pq.read_table(workflow.folder / workflow.config["results"] / "losses.parquet")
    return table.sort_by([(key, "ascending") for key in table.column_names[:6]])


class Cache:
    """A cache of runs, and a way to tell how many were added."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir(mode=0o775)
        folder.chmod(0o2775)
        monkeypatch.setenv(run_cache.ENVIRONMENT, str(folder))
        monkeypatch.delenv(run_cache.SHARED, raising=False)

    def size(self) -> int:
        """How many runs lie in it."""
        return len(list(self.folder.rglob("*_model.safetensors")))

    def trained(self, workflow: Workflow) -> int:
        """How many runs a call trains."""
        before = self.size()
        target = f"{workflow.config['results']}/losses.parquet"
        workflow.snakemake("--cores", "2", "--cache", "train", "--", target)
        return self.size() - before


@pytest.mark.slow
def test_runs_are_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path / "cache", monkeypatch)
    first = study(tmp_path / "first")
    assert cache.trained(first) == RUNS
    assert [place.stat().st_mode & 0o7777 for place in cache.folder.iterdir()] == [0o2775]
    original = losses(first)

    # An edit that is run, and one taken back that is run again.
    first.config["distributions"]["a"]["size"] = 50
    assert cache.trained(first) == 2
    del first.config["distributions"]["a"]["size"]
    assert cache.trained(first) == 0
    assert losses(first).equals(original)

    # Another clone, another folder of results, other names of scales, and one distribution more.
    second = study(tmp_path / "second", study="other", results="elsewhere/below", reference="large")
    second.config["scales"]["large"] = second.config["scales"].pop("ref")
    second.config["distributions"]["b"] = {"method": "source", "sources": "b"}
    assert cache.trained(second) == 2
    same = losses(second).to_pandas().query("distribution != 'b'")
    shared = same.replace({"scale": {"large": "ref"}}).sort_values(list(same.columns[:6]))
    assert shared["loss"].tolist() == original["loss"].to_pylist()


@pytest.mark.slow
def test_a_damaged_entry_is_dropped_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nobody may write to one."""
    cache = Cache(tmp_path / "cache", monkeypatch)
    first = study(tmp_path / "first")
    assert cache.trained(first) == RUNS
    entries = sorted(cache.folder.rglob("*_model.safetensors"))
    assert {entry.stat().st_mode & 0o222 for entry in entries} == {0}
    for entry, place in zip(entries[:2], (-40, 200), strict=True):
        data = bytearray(entry.read_bytes())
        data[place] ^= 4
        entry.chmod(0o644)
        entry.write_bytes(data)
    second = study(tmp_path / "second")
    said = second.snakemake("--cores", "2", "--cache", "train", "--", "results/losses.parquet")
    assert all(f"{entry} is damaged" in said.replace(": is", " is") for entry in entries[:2])
    assert losses(second).equals(losses(first))
    assert not any(map(seals.damage, cache.folder.rglob("*_model.safetensors")))


def test_other_software_or_devices_share_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    own = run_cache.key([])
    assert run_cache.key([]) == own != run_cache.key(["pandas"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert run_cache.key([]) != own
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr("importlib.metadata.version", lambda name: "9")
    assert run_cache.key([]) != own


def test_without_a_cache_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (run_cache.ENVIRONMENT, run_cache.SHARED):
        monkeypatch.delenv(name, raising=False)
    run_cache.use_cache([], "results")
    assert run_cache.ENVIRONMENT not in run_cache.os.environ
