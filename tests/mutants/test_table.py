"""The table of mutants still fits the package."""

from __future__ import annotations

import ast

from mutants.run import ROOT, SOURCE, read_table


def test_every_mutants_text_occurs_once_and_its_tests_are_there() -> None:
    mutants = list(read_table())
    assert len(mutants) >= 30
    for mutant in mutants:
        text = (SOURCE / "proxyscale" / mutant.module).read_text()
        assert text.count(mutant.old) == 1, mutant
        ast.parse(changed := text.replace(mutant.old, mutant.new))
        assert changed != text, mutant
        assert mutant.tests, mutant
        assert all((ROOT / "tests" / name).is_file() for name in mutant.tests), mutant
