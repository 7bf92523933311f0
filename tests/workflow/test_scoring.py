"""Selection by scores, from a proxy's training to the distribution, as a user would run it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.loaded_modules import verbs
from support.workflow_run import Workflow, study

from proxyscale.study.language_study import LanguageStudy

SCORED = {"task": "last", "scored_on": "proxy", "scale": "xs"}
WATCHED = {"features", "score", "select"}
CHOSEN = ("dsdm", "bot-dsdm", "dsir", "clear")
FILTER = '''

@selection
def characters(candidates, *, minimum: int = 0):
    """Rows with the most text; none of fewer than `minimum` characters."""
    lengths = np.array([len(text) for text in candidates.texts()], dtype=float)
    return np.where(lengths >= minimum, lengths, -np.inf)


@selection(needs=("scores",))
def clear(candidates, *, weight: float = 0.5):
    """Rows that score high and have much text: a method that reads scores, of the user's own."""
    return candidates.scores() + weight * characters(candidates)
'''


def scored() -> dict[str, Any]:
    """The tiny study with distributions that a proxy's scores, or target texts, decide."""
    config = study()
    config["selection"] = {"size": 60, "candidates": 200}
    config["attribution"] = {"dimension": 64, "models": 2}
    config["distributions"] |= {
        "proxy": {"method": "random", "role": "proxy", "draws": 2},
        "dsdm": {"method": "dsdm", **SCORED},
        "bot-dsdm": {"method": "bot-dsdm", **SCORED},
        "dsir": {"method": "dsir", "task": "last"},
        "clear": {"method": "clear", "weight": 0.1, **SCORED},
        "text": {"method": "characters", "minimum": 20},
        "a": {"method": "source", "sources": "a", "candidates": 300},
    }
    return config


class Scored(Workflow):
    """The workflow, asked for the distributions alone."""

    targets = tuple(f"results/distributions/{name}.parquet" for name in (*CHOSEN, "text"))


def made(folder: Path, watched: Collection[str] = ()) -> Scored:
    """A study whose distributions are there."""
    workflow = Scored(folder, watched=watched)
    workflow.edit("plugin.py", lambda text: text + FILTER)
    workflow.config = scored()
    workflow.run()
    return workflow


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    return made(tmp_path_factory.mktemp("scored"))


@pytest.fixture
def workflow(finished: Scored) -> Scored:
    finished.config = scored()
    return finished


def examples(workflow: Workflow, name: str) -> set[int]:
    table = pq.read_table(workflow.folder / f"results/distributions/{name}.parquet")
    return set(table["example"].to_pylist())


def test_selection_takes_both_ends_of_the_scores(workflow: Scored) -> None:
    table = pq.read_table(workflow.folder / "results/scores/xs/proxy/200/last.parquet")
    order = table["example"].to_numpy()[np.argsort(table["score"].to_numpy())]
    assert len(order) == 200
    assert examples(workflow, "dsdm") == set(order[-60:].tolist())
    assert examples(workflow, "bot-dsdm") == set(order[:60].tolist())
    assert examples(workflow, "clear") not in (examples(workflow, "dsdm"), set(order.tolist()))
    facts = json.loads((workflow.folder / "results/scores/xs/proxy/200/last.json").read_text())
    assert facts["split"] == "target"
    assert facts["models"] == 2


def test_a_proxy_is_trained_where_it_scores_and_is_not_compared(workflow: Scored) -> None:
    runs = workflow.folder / "results/runs"
    trained = sorted(str(p.parent.relative_to(runs)) for p in runs.rglob("model.safetensors"))
    assert trained == ["xs/proxy/0-0", "xs/proxy/1-0"]
    opened = LanguageStudy.load(workflow.config | {"plugins": [str(workflow.folder / "plugin.py")]})
    assert "proxy" not in opened.grid
    assert {run.distribution for run in opened.runs} == set(opened.grid)
    assert {run for run in opened.trained if run.distribution == "proxy"} == set(
        opened.scoring_runs
    )


@pytest.mark.slow
def test_digests_cover_what_jobs_load(tmp_path: Path) -> None:
    assert verbs(made(tmp_path, WATCHED).folder) == WATCHED


def change(workflow: Scored, *path: str, value: Any) -> None:
    section = workflow.config
    for key in path[:-1]:
        section = section.setdefault(key, {})
    section[path[-1]] = value


SELECTED = {"select": 3}
EDITS: list[tuple[tuple[str, ...], Any, dict[str, int]]] = [
    (("distributions", "mix", "size"), 40, {}),
    (("attribution", "ridge"), 1.0, {"score": 1, **SELECTED}),
    (("attribution", "dimension"), 32, {"features": 2, "score": 1, **SELECTED}),
    (("attribution", "shards"), 3, {"feature_shard": 6, "features": 2, "score": 1, **SELECTED}),
    (("attribution", "models"), 1, {}),  # one of every draw at least
    (("scales", "xs", "width"), 8, {"train": 2, "features": 2, "score": 1, **SELECTED}),
    (("scales", "ref", "width"), 32, {}),
    (("distributions", "dsdm", "size"), 50, {"select": 1}),
    (("distributions", "dsdm", "candidates"), 100, {"features": 2, "score": 1, "select": 1}),
]


@pytest.mark.parametrize(("path", "value", "stale"), EDITS, ids=[".".join(e[0]) for e in EDITS])
def test_only_what_is_stale_runs(
    workflow: Scored, path: tuple[str, ...], value: Any, stale: dict[str, int]
) -> None:
    change(workflow, *path, value=value)
    assert workflow.stale() == Counter(stale)


@pytest.mark.slow
def test_a_task_more_is_the_only_part_of_the_features_that_is_made(
    workflow: Scored, tmp_path: Path
) -> None:
    made = workflow.folder / "results/features/xs/proxy/0-0/200"
    before = (made / "pool/features.npy").stat().st_mtime_ns
    workflow.config["tasks"]["text"]["target_examples"] = 5
    change(workflow, "distributions", "dsir", value={"method": "dsdm", **SCORED, "task": "text"})
    workflow.run()
    assert (made / "text.target/features.npy").exists()
    assert (made / "pool/features.npy").stat().st_mtime_ns == before


@pytest.mark.slow
def test_candidates_are_shared_by_jobs(workflow: Scored) -> None:
    chosen = examples(workflow, "dsdm")
    workflow.config["attribution"] |= {"shards": 3, "keep": "fp16"}
    workflow.snakemake("--cores", "2")
    made = workflow.folder / "results/features/xs/proxy/0-0/200"
    assert len(list(made.glob("shards/*/features.npy"))) == 3
    assert not (made / "pool/features.npy").exists()
    assert len(examples(workflow, "dsdm") & chosen) >= len(chosen) - 1
    assert not workflow.stale()
