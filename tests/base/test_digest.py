"""The digest changes with what code means, and with nothing else."""

from __future__ import annotations

import ast

import pytest
from support.paths import ROOT

from proxyscale.base import digest
from proxyscale.base.digest import code_digest, covered, meaning, part
from proxyscale.base.verbs import VERBS as VERBS_OF_RULES
from proxyscale.cli import main  # noqa: F401 (it registers)

BASE = '''
"""What it is."""
import math

def area(r):
    """Of a circle."""
    return math.pi * r**2
'''


@pytest.mark.parametrize(
    "same",
    [
        BASE.replace("What it is.", "Something else."),
        BASE.replace('    """Of a circle."""\n', ""),
        BASE.replace("r**2", "r ** 2  # squared"),
        BASE.replace("return math.pi * r**2", "return (\n        math.pi * r**2\n    )"),
    ],
)
def test_words_and_layout_do_not_count(same: str) -> None:
    assert meaning(same) == meaning(BASE)


@pytest.mark.parametrize(
    "other",
    [
        BASE.replace("r**2", "r**3"),
        BASE.replace("import math", "import cmath as math"),
        BASE.replace("def area(r)", "def area(r=1)"),
        BASE + "\nTABLE = 'text'\n",
    ],
)
def test_meaning_counts(other: str) -> None:
    assert meaning(other) != meaning(BASE)


def test_imports_are_found_wherever_they_stand() -> None:
    source = """
from proxyscale.base import artifacts, errors
from proxyscale.data.pool import Pool
from proxyscale.training import curve, schedule
import proxyscale.base.cost
import numpy

def late():
    from proxyscale.selection.select import top
"""
    assert meaning(source).imported == {
        "base.artifacts",
        "data.pool",
        "training.curve",
        "training.schedule",
        "base.cost",
        "selection.select",
    }


def test_an_imported_module_counts(tmp_path, monkeypatch) -> None:
    def package(inner: str) -> str:
        (tmp_path / "outer.py").write_text("from proxyscale.inner import f\n")
        (tmp_path / "inner.py").write_text("from proxyscale import leaf\n" + inner)
        (tmp_path / "leaf.py").write_text("from proxyscale import outer\nx = 1\n")
        digest._meaning_of.cache_clear()
        code_digest.cache_clear()
        return code_digest("outer")

    monkeypatch.setattr(digest, "PACKAGE", tmp_path)
    first = package("def f(): return 1\n")
    assert package("def f(): return 1  # one\n") == first
    assert package("def f(): return 2\n") != first
    digest._meaning_of.cache_clear()
    code_digest.cache_clear()


def test_plugins_count(tmp_path) -> None:
    plugin = tmp_path / "plugin.py"
    plugin.write_text("x = 1\n")
    first = code_digest("base.errors", plugins=(str(plugin),))
    assert first != code_digest("base.errors")


VERBS = """
from proxyscale.base.progress import duration
from proxyscale.data import pool, tasks
import json

LIMIT = 3
DEPTH: int = LIMIT

@verb("out")
def one(args):
    from proxyscale.data.corpora import build
    build(helper(args), json)
    return f"{pool.rows()} in {duration(1)}"

@verb("out")
def two(args):
    return None

def helper(args):
    return tasks.all(args)[:DEPTH]
"""


def test_a_function_counts_with_what_it_uses_and_without_what_it_says() -> None:
    found = part(VERBS, "one")
    assert meaning(found).imported == {"data.corpora", "data.tasks"}
    for kept in ("import json", "LIMIT = 3", "DEPTH: int = LIMIT", "return tasks.all"):
        assert kept in found
    for left_out in ("two", "duration", "rows"):
        assert left_out not in found
    same = VERBS.replace(" in {", " of {").replace("return None", "return 1")
    assert part(same, "one") == found
    assert part(VERBS.replace("LIMIT = 3", "LIMIT = 4"), "one") != found
    with pytest.raises(KeyError):
        part(VERBS, "three")


def test_a_module_that_is_run_by_its_name_counts() -> None:
    source = 'command = ["-m", "proxyscale.training.llm_foundry_worker", "proxyscale.nothing"]'
    assert meaning(source).imported == {"training.llm_foundry_worker"}
    assert "training.schedule" in covered("training.llm_foundry")


# Where a module is loaded by a name that no import statement has: an engine and a figure, of which
# digests are told; transformers; what a server of jobs has for all; a plugin, whose file counts.
BY_NAME = {
    *("registry.py", "cli/serve_jobs.py", "cli/table_verbs.py", "study/scales.py"),
    *("training/engines.py", "training/hugging_face.py"),
}
LOADERS = {"import_module", "__import__", "spec_from_file_location", "run_module", "run_path"}


def test_digests_are_told_of_every_module_that_is_loaded_by_its_name() -> None:
    root, found = ROOT / "src/proxyscale", set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            called = getattr(node, "func", None)
            if getattr(called, "attr", getattr(called, "id", None)) in LOADERS:
                found.add(str(path.relative_to(root)))
    assert found == BY_NAME


def test_a_folder_is_no_module() -> None:
    assert meaning("import proxyscale.data\nfrom proxyscale import statistics").imported == set()


def test_what_a_plugin_imports_counts(tmp_path) -> None:
    plugin = tmp_path / "plugin.py"
    plugin.write_text("from proxyscale.statistics.grid_reading import read_grid\n")
    assert "statistics.grid" in covered("base.errors", plugins=(str(plugin),))


@pytest.mark.parametrize("name", sorted(VERBS_OF_RULES))
def test_every_verb_has_a_digest_of_its_own(name: str) -> None:
    home = VERBS_OF_RULES[name][0].__module__.partition(".")[2]
    found = covered(f"{home}:{name}")
    assert len(found) > 1
    assert (
        not {"cli.verbs", "cli.table_verbs", "cli.decision_verbs", "cli.main", "vision.verbs"}
        & found.keys()
    )


READING = {"study", "statistics", "figures", "reporting", "cli", "vision"}


@pytest.mark.parametrize(
    "verb",
    [
        "corpus",
        "tokenizer",
        "pack",
        "pool",
        "items",
        "overlap",
        "task",
        "select",
        "train",
        "evaluate",
        "features",
    ],
)
def test_reading_code_makes_no_run_stale(verb: str) -> None:
    found = covered(f"cli.verbs:{verb}", "training.native", "training.llm_foundry")
    modules = {name for name in found if ":" not in name}
    assert not {name.partition(".")[0] for name in modules} & READING
