"""The digest changes with what code means, and with nothing else."""

from __future__ import annotations

import pytest

from proxyscale.base import digest
from proxyscale.base.digest import code_digest, imported, meaning

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
    assert imported(source) == {
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
        digest._module.cache_clear()
        code_digest.cache_clear()
        return code_digest("outer")

    monkeypatch.setattr(digest, "PACKAGE", tmp_path)
    first = package("def f(): return 1\n")
    assert package("def f(): return 1  # one\n") == first
    assert package("def f(): return 2\n") != first
    digest._module.cache_clear()
    code_digest.cache_clear()


def test_plugins_count(tmp_path) -> None:
    plugin = tmp_path / "plugin.py"
    plugin.write_text("x = 1\n")
    first = code_digest("base.errors", plugins=(str(plugin),))
    assert first != code_digest("base.errors")


def test_reading_code_makes_no_run_stale() -> None:
    for entry in (
        "training.native",
        "training.evaluate",
        "data.tasks",
        "selection.select",
        "data.corpora",
        "data.pool",
        "attribution.features",
    ):
        waiting, found = {entry}, set()
        while waiting:
            name = waiting.pop()
            found.add(name)
            waiting |= imported(digest._file(name).read_text()) - found
        assert not {name.partition(".")[0] for name in found} & {
            "study",
            "statistics",
            "figures",
            "reporting",
            "cli",
        }, entry
