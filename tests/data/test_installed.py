"""Text that is installed with the environment: its parts, its names, its docstrings."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.data.corpora import build_corpus
from proxyscale.data.installed import _strip, read_installed


def build(out: Path, installed: Any, part: str, **limits: Any) -> Any:
    options = {"installed": installed, "part": part}
    build_corpus(out, "source", {"kind": "installed", "options": options, **limits})
    return artifacts.read_json(out / "manifest.json")


def names(packages: list[str], part: str, **globs: Any) -> list[str]:
    options = {"include": [], "exclude": [], **globs}
    found = read_installed(
        packages, part, options["include"], options["exclude"], options.get("least", 200), False
    )
    return [record.name for record in found]


def test_parts_of_a_distribution() -> None:
    code, tests = names(["networkx"], "code"), names(["networkx"], "tests")
    assert "networkx/classes/graph.py" in code
    assert "networkx/classes/tests/test_graph.py" in tests
    assert "networkx/conftest.py" in tests
    assert not set(code) & set(tests)
    assert names(["networkx"], "headers") == []
    assert any(name.endswith(".h") for name in names(["numpy"], "headers"))


def test_include_and_exclude_match_across_folders() -> None:
    kept = names(["networkx"], "code", include=["networkx/algorithms/*"], exclude=["*/flow/*"])
    assert "networkx/algorithms/dag.py" in kept
    assert all(name.startswith("networkx/algorithms/") and "/flow/" not in name for name in kept)


def test_docstrings_are_named_by_their_object() -> None:
    wanted = ["networkx/classes/graph.py"]
    found = names(["networkx"], "docstrings", include=wanted)
    assert "networkx/classes/graph.py:Graph.add_edge" in found
    assert len(found) > len(names(["networkx"], "docstrings", include=wanted, least=2000)) > 0


def test_the_standard_library_and_versions_in_the_manifest(tmp_path: Path) -> None:
    manifest = build(tmp_path, ["stdlib", "networkx"], "code", max_bytes=300_000)
    documents = artifacts.read(tmp_path / "documents.parquet", "documents")
    assert set(manifest["versions"]) == {"stdlib", "networkx"}
    assert 300_000 <= manifest["bytes"]["pool"] < 1_000_000
    assert manifest["read"] < 100  # files beyond the limit are not opened
    assert not any("site-packages" in name for name in documents["name"].to_pylist())


def test_mistakes_about_installed_text(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'numpy'"):
        build(tmp_path, "nunpy", "code")
    with pytest.raises(UserError, match="did you mean 'code'"):
        build(tmp_path, "numpy", "cod")
    with pytest.raises(UserError, match="no usable document: none found"):
        build(tmp_path, "networkx", "headers")


SOURCE = '''"""Module."""
import os
class A:
    """Only a docstring, with ünïcode."""
class B: "one line"
def f(x): """inline"""; return x
async def g():
    """Two
    lines."""
    if True:
        def h():
            """Inner."""
            return """kept"""
    return h
'''


def test_stripped_code_is_the_same_program_without_docstrings() -> None:
    stripped = _strip(SOURCE)
    tree = ast.parse(stripped)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(tree) if isinstance(node, documented)]
    assert len(nodes) == 6
    assert not any(ast.get_docstring(node) for node in nodes)
    assert '"""kept"""' in stripped
    assert _strip(stripped) == stripped
