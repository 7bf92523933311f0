"""What a user adds in a file of their own, made by the workflow with no file of it changed."""

from __future__ import annotations

import csv
import re
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.workflow_run import Workflow

from proxyscale import registry
from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.cli.load_study import load
from proxyscale.study.language_study import LanguageStudy

FIGURE = '''
from proxyscale.registry import figure


@figure(
    "spread_fig90",
    caption="How far apart the recipes of a study lie: a plugin told it.",
    reads=("losses",),
    exists=lambda facts: facts.compute,
)
def spread(data):
    """Every loss, as a point above its scale."""
    from matplotlib.figure import Figure

    page = Figure()
    ax = page.add_subplot()
    rows = data.losses.select(["scale", "loss"]).to_pylist()
    ax.plot([row["scale"] for row in rows], [row["loss"] for row in rows], "o")
    return page, rows
'''
METHODS = '''
import numpy as np

from proxyscale.registry import selection


@selection(needs=("losses",))
def surprising(candidates, *, sign: float = 1.0):
    """The examples that a trained model finds hardest."""
    return sign * np.exp(candidates.losses())
'''

PARTS = '''
import os
import sys

from threadpoolctl import threadpool_info

from proxyscale.registry import selection


@selection(in_parts=True)
def shortest(candidates):
    """Short texts."""
    from proxyscale.selection import candidates as module

    module.PART = 40

    def lengths(texts):
        pools = {pool["num_threads"] for pool in threadpool_info()}
        return [os.getpid(), *pools], [-len(text) for text in texts]

    found = list(candidates.map_texts(lengths))
    forks = {fork for (fork, *_), _ in found}
    assert len(forks) == candidates.processes and os.getpid() not in forks, forks
    assert all(threads == [1] for (_, *threads), _ in found), found
    print(f"{candidates.processes} forks", file=sys.stderr)
    return [length for _, part in found for length in part]
'''


def test_a_figure_of_a_plugin_is_made_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow = Workflow(tmp_path)
    (tmp_path / "spread.py").write_text(FIGURE)
    rows = [f"r{i},{s},{i + len(s)}\n" for i in range(4) for s in ("a", "bb")]
    (tmp_path / "runs.csv").write_text("".join(["recipe,scale,loss\n", *rows]))
    workflow.config = {
        **{"study": "mine", "results": "results", "reference": "bb", "plugins": ["spread.py"]},
        "runs": {"table": "runs.csv", "scales": {"a": {"parameters": 1000, "tokens": 1000}}},
    }
    workflow.config["runs"]["scales"]["bb"] = {"parameters": 2000, "tokens": 2000}
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    said = workflow.snakemake("--dry-run", "results/spread_fig90.pdf")
    monkeypatch.delenv("PYTHONPROFILEIMPORTTIME")
    told = [line for line in said.splitlines() if line.startswith("import time")]
    imported = {line.rpartition("|")[2].strip() for line in told}
    assert "proxyscale.figures.loss_correlation" in imported
    assert not imported & {"matplotlib", "torch", "scipy.stats"}  # no study waits for them
    workflow.snakemake("--cores", "2", "results/spread_fig90.pdf")
    with (tmp_path / "results/spread_fig90.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 8
    workflow.snakemake("--report", "all.zip", "results/spread_fig90.svg")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        files = [archive.read(name).decode(errors="ignore") for name in archive.namelist()]
    assert any("a plugin told it" in text for text in files)
    workflow.edit("spread.py", lambda text: text.replace('"o"', '"s"'))
    assert workflow.stale("results/spread_fig90.pdf") == Counter(figure=1)
    workflow.config["runs"].pop("scales")  # and with them what is known of the compute
    monkeypatch.setattr(registry.figure, "entries", dict(registry.figure.entries))
    monkeypatch.chdir(tmp_path)
    opened = load(workflow.config)
    assert "spread_fig90" in registry.figure.entries
    assert "spread_fig90" not in opened.figures


def surprised(workflow: Workflow) -> None:
    """A selection by perplexity beside DSIR in Figure 8."""
    (workflow.folder / "methods.py").write_text(METHODS)
    workflow.config["plugins"].append("methods.py")
    workflow.config["proxy_selection"] = {
        **{"tasks": ["last"], "proxies": ["xs", "s"], "reference": "s", "candidates": 100},
        **{"methods": ["dsir", "surprising"], "fractions": [0.5], "models": 1, "subset": 60},
        **{"seeds": 2},
    }


def test_a_method_that_needs_losses_has_them_made(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path)
    surprised(workflow)
    stale = workflow.stale("results/selection_fig8.pdf")
    assert stale["candidate_losses"] == 2
    assert stale["train"] == 2 + 2 * 4  # the proxies; random, dsir and two surprising selections
    assert "features" not in stale
    said = workflow.dry_run(
        "--printshellcmds", "results/distributions/surprising-by-xs-50pc.parquet"
    )
    assert "scores/xs/random-subset/100.losses.parquet" in said


def test_processes_of_one_thread_share_what_is_done_in_parts(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path)
    (tmp_path / "parts.py").write_text(PARTS)
    workflow.edit("src/proxyscale/data/corpora.py", lambda text: text.replace("8 << 20", "1000"))
    workflow.config["plugins"].append("parts.py")
    workflow.config["sources"]["b"]["shards"] = 3
    workflow.config["distributions"] |= {
        "short": {"method": "shortest"},
        "alone": {"method": "dsir", "task": "last", "candidate_sources": ["a", "c"]},
        "like": {"method": "dsir", "task": "last"},
    }
    made = [f"results/distributions/{name}.parquet" for name in ("short", "alone", "like", "mix")]
    said = workflow.snakemake("--cores", "2", "--verbose", *made)
    assert "2 forks" in (tmp_path / "results/logs/select/short.log").read_text()
    counts = re.findall(r"--processes (\d+) --spec .* --out \S+/(\w+)\.parquet", said)
    assert {name: int(count) for count, name in counts} == {
        **{"short": 2, "alone": 1, "like": 2, "mix": 1}
    }
    assert workflow.stale(*made) == Counter()


@pytest.mark.slow
def test_it_stands_in_figure_8(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path)
    surprised(workflow)
    workflow.snakemake("--cores", "2", "results/selection_fig8.pdf")
    results = tmp_path / "results"
    rows = artifacts.read_csv(results / "selection_fig8.csv")
    mine = [row for row in rows if row["method"] == "surprising"]
    assert {(row["proxy"], row["selected_for"]) for row in mine} == {("xs", None), ("s", None)}
    assert all(row["relative_compute"] > 0 and row["seeds"] == 2 for row in mine)
    assert next(row for row in mine if row["proxy"] == "s")["overlap_with_reference"] == 1
    assert "surprising, through the proxy" in (results / "selection_fig8.svg").read_text()
    losses = artifacts.read(
        results / "scores/xs/random-subset/100.losses.parquet", "candidate_losses"
    )
    order = losses["example"].to_numpy()[np.argsort(losses["loss"].to_numpy())]
    chosen = artifacts.read(results / "distributions/surprising-by-xs-50pc.parquet", "distribution")
    assert set(chosen["example"].to_pylist()) == set(order[-50:].tolist())
    assert workflow.stale("results/selection_fig8.pdf") == Counter()


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The plugin's path, its method by another name."""
    path = tmp_path_factory.mktemp("plugin") / "declared.py"
    path.write_text(METHODS.replace("surprising", "hardest"))
    return str(path)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"method": "hardest", "scale": "small"}, "hardest needs the key 'scored_on'"),
        (
            {"method": "hardest", "scale": "small", "scored_on": "mix", "task": "t"},
            "hardest does not look at 'task'",
        ),
        ({"method": "dsdm", "task": "t", "scale": "small"}, "dsdm needs the key 'scored_on'"),
        ({"method": "random", "scored_on": "mix"}, "random does not look at 'scored_on'"),
    ],
)
def test_what_a_method_needs_is_checked(
    minimal: dict[str, Any], declared: str, entry: dict[str, Any], told: str
) -> None:
    minimal["plugins"] = [declared]
    minimal["distributions"]["hard"] = entry
    with pytest.raises(UserError, match=told):
        LanguageStudy.load(minimal)


@pytest.mark.parametrize(
    ("methods", "told"),
    [
        (["dsdm", "dsdm"], "a name twice"),
        (["dsdm", "random"], "random subsets stand beside them anyway"),
        (["dsir"], "none of them asks proxies"),
        (["dsdm", "dsirr"], "did you mean 'dsir'"),
        (["dsdm", "source"], "source needs the option 'sources'"),
    ],
)
def test_wrong_methods_of_figure_8_are_told(
    minimal: dict[str, Any], methods: list[str], told: str
) -> None:
    section = {"tasks": ["t"], "proxies": ["small"], "reference": "large", "candidates": 40}
    minimal["proxy_selection"] = section | {"methods": methods}
    with pytest.raises(UserError, match=told):
        LanguageStudy.load(minimal)
