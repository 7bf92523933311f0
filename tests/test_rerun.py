"""The rerun table: after an edit of a finished study, exactly the stale jobs run."""

from __future__ import annotations

import copy
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from workflow_run import Workflow, study

from proxyscale.study import FIGURES, TABLES

RUNS = 9
FIGURE = {"figure": len(FIGURES)}
COSTS = {"table": len(TABLES)}
READING = {"collect": 1, "statistics": 1, **FIGURE, **COSTS}
TRAINED = {"train": RUNS, "evaluate": RUNS, **READING}
POOLED = {"tokenizer": 1, "pack": 3, "pool": 1, "task": 2, "select": 3, **TRAINED}
Edit = Callable[[Workflow], None]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A study that has run to its end."""
    workflow = Workflow(tmp_path_factory.mktemp("workflow"))
    workflow.run()
    return workflow


@pytest.fixture
def workflow(finished: Workflow, tmp_path: Path) -> Iterator[Workflow]:
    """The finished study; files that a test edits are put back."""
    kept = tmp_path / "kept"
    ignore = shutil.ignore_patterns("results", ".snakemake", "__pycache__")
    shutil.copytree(finished.folder, kept, ignore=ignore)
    yield finished
    finished.config = study()
    for file in kept.rglob("*"):
        back = finished.folder / file.relative_to(kept)
        if file.is_file() and back.read_bytes() != file.read_bytes():
            shutil.copy2(file, back)


def config(**changes: Any) -> Edit:
    """An edit of the config: keys as `scales__xs__width`; a value, or a function of the old one."""

    def edit(workflow: Workflow) -> None:
        for path, change in changes.items():
            *parents, last = path.split("__")
            section = workflow.config
            for key in parents:
                section = section.setdefault(key, {})
            section[last] = change(section.get(last)) if callable(change) else change

    return edit


def source(module: str, old: str, new: str) -> Edit:
    """An edit of a module of the package."""

    def edit(workflow: Workflow) -> None:
        assert old in (workflow.folder / f"src/proxyscale/{module}.py").read_text()
        workflow.edit(f"src/proxyscale/{module}.py", lambda text: text.replace(old, new, 1))

    return edit


def file(name: str, change: Callable[[str], str]) -> Edit:
    """An edit of a file beside the study."""
    return lambda workflow: workflow.edit(name, change)


def touch(workflow: Workflow) -> None:
    os.utime(workflow.folder / "a.jsonl")


def reverse_keys(workflow: Workflow) -> None:
    def reversed_(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: reversed_(value[key]) for key in reversed(value)}

    order = ("tasks", "distributions", "sources")  # their order is the order of ids and legends
    kept = {key: workflow.config[key] for key in order}
    workflow.config = {**reversed_(workflow.config), **kept}


def put_back(edit: Edit) -> Edit:
    def both(workflow: Workflow) -> None:
        edit(workflow)
        workflow.config = study()

    return both


TASK = {"kind": "text", "sources": ["b"], "examples": 10, "target_examples": 0}

TABLE: list[tuple[str, Edit, dict[str, int]]] = [
    ("nothing", lambda w: None, {}),
    ("comment in training code", file("src/proxyscale/train.py", lambda t: t + "# more\n"), {}),
    (
        "docstring in training code",
        file("src/proxyscale/train.py", lambda t: t.replace('"""', '"""So: ', 1)),
        {},
    ),
    ("layout of training code", file("src/proxyscale/train.py", lambda t: t + "\n\n\n"), {}),
    ("meaning of training code", file("src/proxyscale/train.py", lambda t: t + "X = 1\n"), TRAINED),
    (
        "meaning of what training and evaluation import",
        file("src/proxyscale/language.py", lambda t: t + "X = 1\n"),
        TRAINED,
    ),
    (
        "meaning of evaluation",
        file("src/proxyscale/evaluate.py", lambda t: t + "X = 1\n"),
        {"evaluate": RUNS, **READING},
    ),
    ("plugin", file("plugin.py", lambda t: t + "X = 1\n"), {"corpus": 3, **POOLED}),
    ("figure code", file("src/proxyscale/figures.py", lambda t: t + "X = 1\n"), FIGURE),
    (
        "statistics code",
        file("src/proxyscale/statistics.py", lambda t: t + "X = 1\n"),
        {"statistics": 1, **FIGURE},
    ),
    (
        "code is off",
        lambda w: (config(code="off")(w), w.edit("src/proxyscale/train.py", lambda t: t + "X=1")),
        {"corpus": 3, **POOLED},
    ),
    ("figure style", config(figures__style__compute_fig2={"columns": 2}), {"figure": 1}),
    ("key order", reverse_keys, {}),
    ("seed added", config(seeds=2), {"train": RUNS, "evaluate": RUNS, **READING}),
    (
        "scale added",
        config(scales__m={"width": 12, "layers": 1}),
        {"train": 3, "evaluate": 3, **READING},
    ),
    ("scale widened", config(scales__s__width=12), {"train": 3, "evaluate": 3, **READING}),
    ("scale dropped", config(scales=lambda s: {k: s[k] for k in ("xs", "ref")}), READING),
    (
        "distribution added",
        config(distributions__b={"method": "source", "sources": "b"}),
        {"select": 1, "train": 3, "evaluate": 3, **READING},
    ),
    (
        "size of a distribution",
        config(distributions__a__size=50),
        {"select": 1, "train": 3, "evaluate": 3, **READING},
    ),
    ("task added", config(tasks__b=TASK), {"task": 1, "evaluate": RUNS, **READING}),
    (
        "template of a task",
        config(tasks__last__prompt="Q: {prompt}"),
        {"task": 1, "evaluate": RUNS, **READING},
    ),
    ("tokenizer", config(tokenizer__vocabulary=310), POOLED),
    ("context", config(pool__length=32), {k: v for k, v in POOLED.items() if k != "tokenizer"}),
    ("corpus file touched", touch, {}),
    (
        "corpus file changed by a byte",
        file("a.jsonl", lambda t: t[:12] + ("x" if t[12] != "x" else "y") + t[13:]),
        {"corpus": 1, **POOLED},
    ),
    ("edit taken back", put_back(config(pool__length=32)), {}),
]


@pytest.mark.parametrize(("edit", "stale"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE])
def test_only_what_is_stale_runs(workflow: Workflow, edit: Edit, stale: dict[str, int]) -> None:
    edit(workflow)
    assert workflow.stale() == Counter(stale)


def test_threads_and_cores_make_nothing_stale(workflow: Workflow) -> None:
    words = workflow.snakemake("--dry-run", "--cores", "7", "--set-threads", "train=3")
    assert "Nothing to be done" in words


@pytest.mark.parametrize("lost", ["distributions/mix.parquet", "tasks/text/holdout.parquet"])
def test_a_deleted_intermediate_makes_nothing_stale(workflow: Workflow, lost: str) -> None:
    path = workflow.folder / "results" / lost
    kept = path.read_bytes()
    stat = path.stat()
    path.unlink()
    try:
        assert workflow.stale() == Counter()
    finally:
        path.write_bytes(kept)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def losses(folder: Path) -> Any:
    keys = ["scale", "distribution", "draw", "seed", "task", "example"]
    table = pq.read_table(folder / "results/losses.parquet")
    return table.sort_by([(key, "ascending") for key in keys])


def test_edits_that_really_run_equal_a_study_built_from_nothing(
    finished: Workflow, tmp_path: Path
) -> None:
    edited = Workflow.__new__(Workflow)
    edited.folder = tmp_path / "edited"
    edited.config = copy.deepcopy(study())
    shutil.copytree(finished.folder, edited.folder)
    measured = edited.folder / "results/runs/ref/mix/0-0/losses/text.parquet"
    trained = edited.folder / "results/runs/ref/mix/0-0/model.safetensors"
    # What is written anew has another inode; Snakemake touches what a job leaves as it is.
    before = measured.stat().st_ino, trained.stat().st_ino

    config(tasks__b=TASK)(edited)
    edited.run()
    assert (measured.stat().st_ino, trained.stat().st_ino) == before
    config(seeds=[0, 1], distributions__a__size=50, scales__s__width=12)(edited)
    edited.run()
    assert (measured.stat().st_ino, trained.stat().st_ino) == before
    assert edited.stale() == Counter()

    fresh = Workflow.__new__(Workflow)
    fresh.folder = tmp_path / "fresh"
    fresh.config = edited.config
    ignore = shutil.ignore_patterns("results", ".snakemake", "__pycache__")
    shutil.copytree(edited.folder, fresh.folder, ignore=ignore)
    fresh.run()
    assert losses(fresh.folder).equals(losses(edited.folder))
