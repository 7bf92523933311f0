"""The rerun table: after an edit of a finished study, exactly the stale jobs run."""

from __future__ import annotations

import copy
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.loaded_modules import verbs
from support.workflow_run import Workflow, study

from proxyscale.base.progress import noted_duration
from proxyscale.study.config import Config
from proxyscale.study.language_study import TABLES, LanguageStudy
from proxyscale.study.validation import validated

RUNS = 9
CODE = "src/proxyscale"
FIGURE = {"figure": len(LanguageStudy(validated(Config, study())).figures)}
COSTS = {"table": len(TABLES)}
READING = {"collect": 1, "statistics": 1, "next_steps": 1, "report": 1, **FIGURE, **COSTS}
TRAINED = {"train": RUNS, "evaluate": RUNS, **READING}
TESTED = {"items": 2, "overlap": 6, "task": 2}
CHOSEN = {"composition": 1, "rivals": 1}  # what reads distributions, besides training
POOLED = {"tokenizer": 1, "pack": 3, "pool": 1, **TESTED}
POOLED |= {"select": 3, **CHOSEN, **TRAINED}
ONE_TASK = {"items": 1, "overlap": 3, "task": 1, "rivals": 1, "evaluate": RUNS, **READING}
MADE = {"corpus", "composition", *POOLED}
Edit = Callable[[Workflow], None]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A study that has run to its end."""
    workflow = Workflow(tmp_path_factory.mktemp("workflow"))
    (workflow.folder / "said").write_text(workflow.run())
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


def test_every_job_says_one_line_and_the_end_two_sentences(finished: Workflow) -> None:
    said = (finished.folder / "said").read_text()
    for line in (
        "corpus a · 60 documents · 11.9kB",
        "tokenizer 300 tokens",
        "pack a@0 · ",
        "pool ",
        "task last · 20 of ",
        "select mix · 60 examples",
        "ref/mix draw 0 seed 0 · ",
        "items last · ",
        "overlap last in a@0 · ",
        "evaluate ref/mix draw 0 seed 0 · 2 tasks",
        "statistics ",
        "figure correlation_fig1 · ",
    ):
        assert re.search(rf"^{re.escape(line)}", said, re.MULTILINE), line
    assert re.search(r"Losses of xs go with those of ref, [\d.]+× cheaper, across 3", said)
    assert "\nTo be chosen now: " in said
    assert "\nresults/report.html\n" in said
    logs = list((finished.folder / "results/logs").rglob("*.log"))
    assert all(noted_duration(log) for log in logs)


@pytest.mark.slow
def test_digests_cover_what_jobs_load(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path, watched=MADE)
    workflow.run()
    assert verbs(tmp_path) == MADE


def test_the_plan_knows_what_is_stale_and_what_it_took(workflow: Workflow) -> None:
    def rows(told: str) -> dict[str, list[str]]:
        return {line.split()[0]: line.split()[1:] for line in told.splitlines() if line.strip()}

    done = workflow.proxyscale("plan")
    assert "to do: 0 jobs, 0s of CPU time" in done
    assert rows(done)["train"][:3] == ["9"] * 3
    config(scales__s__width=12, tasks__b=TASK)(workflow)
    told = rows(workflow.proxyscale("plan", "--cores", "2"))
    assert told["train"][:3] == ["9", "6", "6"]  # measured in time: those of the same size
    assert told["task"][:3] == ["3", "2", "2"]
    assert told["corpus"][:3] == ["3"] * 3
    assert told["s"][4:6] == ["3", "0"]
    assert told["ref"][4:6] == ["3", "3"]


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

    tasks = workflow.config["tasks"]  # their order is the order of panels and legends
    workflow.config = {**reversed_(workflow.config), "tasks": tasks}


def together(*edits: Edit) -> Edit:
    """Several edits at once, of each of which the stale jobs tell."""

    def all_of_them(workflow: Workflow) -> None:
        for edit in edits:
            edit(workflow)

    return all_of_them


TASK = {"kind": "text", "sources": ["b"], "examples": 10, "target_examples": 0}

MEANINGLESS = {
    "nothing": lambda w: None,
    "comment in training code": file(f"{CODE}/training/native.py", lambda t: t + "# more\n"),
    "docstring of training code": file(
        f"{CODE}/training/language_model.py", lambda t: t.replace('"""', '"""So: ', 1)
    ),
    "layout of training code": file(f"{CODE}/training/evaluate.py", lambda t: t + "\n\n\n"),
    "docstring in a plugin": file("plugin.py", lambda t: t.replace("Rows", "So: rows")),
    "plugin that nothing uses": file("unused.py", lambda t: t + "X = 1\n"),
    "key order": reverse_keys,
    "corpus file touched": touch,
}
TABLE: list[tuple[str, Edit, dict[str, int]]] = [
    ("nothing that means anything", together(*MEANINGLESS.values()), {}),
    (
        "meaning of what training and evaluation import",
        file(f"{CODE}/training/language_model.py", lambda t: t + "X = 1\n"),
        TRAINED,
    ),
    (
        "meaning of evaluation",
        file(f"{CODE}/training/evaluate.py", lambda t: t + "X = 1\n"),
        {"evaluate": RUNS, **READING},
    ),
    (
        "a plugin, a distribution added, another larger",
        together(
            file("plugin.py", lambda t: t + "X = 1\n"),
            config(distributions__b={"method": "source", "sources": "b"}),
            config(distributions__a__size=50),
        ),
        {"select": 3, **CHOSEN, "train": 9, "evaluate": 9, **READING},
    ),
    ("figure code", file(f"{CODE}/figures/draw.py", lambda t: t + "X = 1\n"), FIGURE),
    (
        "code of one figure, style of another, how runs are executed, a plugin no longer named",
        together(
            file(f"{CODE}/figures/r2_by_compute.py", lambda t: t + "X = 1\n"),
            config(figures__style__correlation_fig1={"width": 5.0}, plugins=["plugin.py"]),
            config(execution__micro_batch_tokens=16, scales__s__gpus=0.5, scales__s__compile=True),
        ),
        {"figure": 2, "report": 1},  # the report shows the config
    ),
    (
        "statistics code",
        file(f"{CODE}/statistics/proxy_statistics.py", lambda t: t + "X = 1\n"),
        {"statistics": 1, "next_steps": 1, "report": 1, **FIGURE},
    ),
    (
        "code is off",
        lambda w: (
            config(code="off")(w),
            w.edit(f"{CODE}/training/native.py", lambda t: t + "X=1"),
        ),
        {"corpus": 3, **POOLED},
    ),
    (
        "engine of a scale, another added, another widened",
        together(
            config(scales__s__engine="llm-foundry", scales__m={"width": 12, "layers": 1}),
            config(scales__xs__width=6),
        ),
        {"train": 9, "evaluate": 9, **READING},
    ),
    ("order of the tasks", config(tasks=lambda t: dict(reversed(t.items()))), READING),
    ("rivals dropped", config(rivals=[]), {"statistics": 1, "report": 1, **FIGURE}),
    (
        "one rival",
        config(rivals=["overlap"]),
        {"rivals": 1, "statistics": 1, "report": 1, **FIGURE},
    ),
    ("an order of its own", config(order="independent"), TRAINED),
    (
        "checkpoints",
        config(checkpoints=[0.5]),
        {"checkpoints": 1, **TRAINED},
    ),
    ("seed added", config(seeds=2), {"train": RUNS, "evaluate": RUNS, **READING}),
    ("scale dropped", config(scales=lambda s: {k: s[k] for k in ("xs", "ref")}), READING),
    (
        "a task added, template of another",
        config(tasks__last__prompt="Q: {prompt}", tasks__b=TASK),
        {**ONE_TASK, "items": 2, "overlap": 6, "task": 2},
    ),
    (
        "records of a task changed by a byte, window of another",  # whose items stay as they are
        together(
            file("last.jsonl", lambda t: t[:12] + ("x" if t[12] != "x" else "y") + t[13:]),
            config(tasks__text__overlap_window=5),
        ),
        {**ONE_TASK, "items": 1, "overlap": 6, "task": 2},
    ),
    (
        "task dropped",
        config(tasks=lambda t: {"text": t["text"]}),
        # figures 3 and 19 need another
        {"rivals": 1, **READING, "figure": FIGURE["figure"] - 2},
    ),
    (
        "source added",
        config(sources__d={"files": "last.jsonl", "column": "prompt"}),
        {"corpus": 1, **POOLED, "pack": 4, "overlap": 8},
    ),
    ("tokenizer", config(tokenizer__vocabulary=310), POOLED),
    ("context", config(pool__length=32), {k: v for k, v in POOLED.items() if k != "tokenizer"}),
    (
        "shards of a source",  # its text is not read again, nor is any other source packed again
        config(sources__a__shards=2),
        {k: v for k, v in POOLED.items() if k not in ("tokenizer", "items")}
        | {"pack": 2, "overlap": 4},
    ),
    (
        "corpus file changed by a byte",
        file("a.jsonl", lambda t: t[:12] + ("x" if t[12] != "x" else "y") + t[13:]),
        {"corpus": 1, **POOLED},
    ),
]


@pytest.mark.parametrize(("edit", "stale"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE])
def test_only_what_is_stale_runs(workflow: Workflow, edit: Edit, stale: dict[str, int]) -> None:
    edit(workflow)
    assert workflow.stale() == Counter(stale)


@pytest.mark.slow
@pytest.mark.parametrize("name", MEANINGLESS)
def test_what_means_nothing_makes_nothing_stale(workflow: Workflow, name: str) -> None:
    """Of those that the first row has together, which one it is."""
    MEANINGLESS[name](workflow)
    assert workflow.stale() == Counter()


def test_threads_cores_and_resources_make_nothing_stale(workflow: Workflow) -> None:
    words = workflow.dry_run(
        *("--cores", "7", "--set-threads", "train=3", "--resources", "gpu=1"),
        *("--set-resources", "train:mem_mb=100", "--default-resources", "mem_mb=50"),
    )
    assert "Nothing to be done" in words


ADDED = config(scales__m={"width": 12, "layers": 1})
NEW = {"train": 3, "evaluate": 3, **READING}


@pytest.mark.parametrize(
    ("lost", "edit", "stale"),
    [
        (
            "distributions/mix.parquet tasks/text/holdout.parquet "
            "runs/ref/mix/0-0/model.safetensors runs/ref/mix/0-0/losses/text.parquet",
            None,
            {},
        ),
        ("runs/ref/mix/0-0/losses/text.parquet", ADDED, {**NEW, "evaluate": 4}),
        # Snakemake takes what is made again for new: the runs on this distribution follow.
        (
            "distributions/mix.parquet",
            ADDED,
            {**NEW, "select": 1, **CHOSEN, "train": 6, "evaluate": 6},
        ),
        ("compute_fig2.svg", None, {"figure": 1}),
        ("statistics.parquet", None, {"statistics": 1, "report": 1, **FIGURE}),
    ],
)
def test_deleted_files_are_made_again_where_they_are_needed(
    workflow: Workflow, lost: str, edit: Edit | None, stale: dict[str, int]
) -> None:
    paths = [workflow.folder / "results" / name for name in lost.split()]
    kept = [(path, path.read_bytes(), path.stat()) for path in paths]
    for path in paths:
        path.unlink()
    try:
        if edit:
            edit(workflow)
        assert workflow.stale() == Counter(stale)
    finally:
        for path, held, stat in kept:
            path.write_bytes(held)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def losses(folder: Path) -> Any:
    keys = ["scale", "distribution", "draw", "seed", "task", "example"]
    table = pq.read_table(folder / "results/losses.parquet")
    return table.sort_by([(key, "ascending") for key in keys])


def beside(
    finished: Workflow, folder: Path, *left_out: str, copied_by: Callable[..., Any] = shutil.copy2
) -> Workflow:
    """A copy of a study in another folder, without some of its files."""
    copied = Workflow.__new__(Workflow)
    copied.folder, copied.config = folder, copy.deepcopy(finished.config)
    ignore = shutil.ignore_patterns(*left_out)
    shutil.copytree(finished.folder, folder, ignore=ignore, copy_function=copied_by)
    return copied


def test_a_copy_is_adopted_as_far_as_it_is_as_said(finished: Workflow, tmp_path: Path) -> None:
    left_out = ".snakemake", "__pycache__"
    copied = beside(finished, tmp_path / "copied", *left_out, copied_by=shutil.copy)
    count = sum(POOLED.values()) + 3
    told = copied.proxyscale("adopt")
    assert f"\n{count} of {count} jobs are marked as done\n" in told
    assert "not as said" not in told
    assert copied.stale() == Counter()

    results = copied.folder / "results"
    flipped = results / "runs/xs/mix/0-0/model.safetensors"
    flipped.write_bytes(flipped.read_bytes()[:-1] + b"?")
    shutil.copy(results / "distributions/mix.parquet", results / "distributions/long.parquet")
    source("training/native", "import os\n", "import os\n\nX = 1\n")(copied)
    config(scales__s__width=12)(copied)
    shutil.rmtree(copied.folder / ".snakemake")
    told = copied.proxyscale("adopt")
    assert re.search(r"^not as said: train/s/\S+ and 1 more: .*model\.width: 12, was 8", told, re.M)
    assert "long: {results}/distributions/long.parquet is not the file that was made" in told
    stale = {**TRAINED, **CHOSEN, "select": 1}
    assert copied.stale() == Counter(stale)
    told = copied.proxyscale("adopt", "--code")
    assert re.search(r"^taken from an earlier version: train/\S+ and \d more: code", told, re.M)
    few = len(["xs/mix", "s/mix", "s/a", "s/long", "xs/long", "ref/long"])
    assert copied.stale() == Counter(stale | {"train": few, "evaluate": few})


def test_what_has_no_record_is_done_as_far_as_snakemake_knows(
    finished: Workflow, tmp_path: Path
) -> None:
    older = beside(finished, tmp_path / "older")
    shutil.rmtree(older.folder / "results/records")
    source("training/native", "import os\n", "import os\n\nX = 1\n")(older)
    before = older.stale()
    assert before["train"] == RUNS
    told = older.proxyscale("adopt", "--code")
    changed = (
        rf"^not as said: train/\S+ and {RUNS} more: it has no record and would be another now$"
    )
    assert re.search(changed, told, re.M)
    assert older.stale() == before


def test_a_task_that_was_measured_and_is_taken_back_leaves_nothing_to_do(
    workflow: Workflow,
) -> None:
    config(tasks__b=TASK)(workflow)
    workflow.snakemake("--cores", "2", "--", "results/runs/xs/mix/0-0/losses/b.parquet")
    workflow.config = study()
    assert workflow.stale() == Counter()


def from_nothing(workflow: Workflow, folder: Path) -> Workflow:
    """The same study, built from nothing."""
    fresh = beside(workflow, folder, "results", ".snakemake", "__pycache__")
    fresh.run()
    return fresh


@pytest.mark.slow
def test_edits_that_really_run_equal_a_study_built_from_nothing(
    finished: Workflow, tmp_path: Path
) -> None:
    edited = beside(finished, tmp_path / "edited")
    results = edited.folder / "results"
    kept = [results / f"runs/ref/mix/0-0/{n}" for n in ("losses/text.parquet", "model.safetensors")]
    # What is written anew has another inode; Snakemake touches what a job leaves as it is.
    before = [path.stat().st_ino for path in kept]

    config(tasks__b=TASK)(edited)
    edited.run()
    assert [path.stat().st_ino for path in kept] == before
    edited.config["scales"].pop("s")
    config(seeds=[0, 1], distributions__a__size=50, scales__xs__width=6)(edited)
    file("plugin.py", lambda text: text.replace("astype(float)", "astype(float)[::-1]"))(edited)
    file("last.jsonl", lambda text: text.replace("a", "b", 1))(edited)
    edited.run()
    assert [path.stat().st_ino for path in kept] == before
    assert edited.stale() == Counter()
    assert losses(from_nothing(edited, tmp_path / "fresh").folder).equals(losses(edited.folder))


@pytest.mark.slow
def test_edits_of_all_that_lies_below_equal_a_study_built_from_nothing_and_are_taken_back(
    finished: Workflow, tmp_path: Path
) -> None:
    edited = beside(finished, tmp_path / "edited")
    before = losses(edited.folder)
    schedule = (edited.folder / "src/proxyscale/training/schedule.py").read_text()
    config(tokenizer__vocabulary=310, pool__length=32, figures__style={})(edited)
    file("a.jsonl", lambda text: text.replace("a", "b", 1))(edited)
    source("training/schedule", "0.5 * (1 + math.cos", "0.4 * (1 + math.cos")(edited)
    edited.run()
    assert edited.stale() == Counter()
    after = losses(edited.folder)
    assert not after["loss"].equals(before["loss"])
    assert losses(from_nothing(edited, tmp_path / "fresh").folder).equals(after)

    edited.config = study()
    file("src/proxyscale/training/schedule.py", lambda _: schedule)(edited)
    file("a.jsonl", lambda _: (finished.folder / "a.jsonl").read_text())(edited)
    edited.run()
    assert losses(edited.folder).equals(before)
