"""A digest of what code means: Snakemake tracks parameters, not imported modules.

A rule's parameters carry the digest of the module that does its work and of every module of the
package that it imports, taken from the syntax tree: comments, docstrings and formatting do not
count. Modules that cannot change a result are left out.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path

PACKAGE = Path(__file__).parent
# These only speak or name: no number depends on them.
NEUTRAL = frozenset({"claim", "devices", "digest", "errors", "paths", "progress", "sharing"})


def meaning(source: str) -> str:
    """The syntax tree of a module as text, without docstrings and positions."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return ast.dump(tree, annotate_fields=False)


def imported(source: str) -> set[str]:
    """Names of the package's own modules that a module imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "proxyscale":
            dotted = [f"proxyscale.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            dotted = [node.module]
        else:
            continue
        names |= {name.split(".")[1] for name in dotted if name.startswith("proxyscale.")}
    return names - NEUTRAL


@functools.cache
def _module(name: str) -> tuple[str, frozenset[str]]:
    source = (PACKAGE / f"{name}.py").read_text()
    return meaning(source), frozenset(imported(source))


@functools.cache
def code_digest(*modules: str, plugins: tuple[str, ...] = ()) -> str:
    """Digest of the named modules, all that they import within the package, and plugin files."""
    found: dict[str, str] = {}
    waiting = set(modules)
    while waiting:
        name = waiting.pop()
        found[name], imports = _module(name)
        waiting |= imports - found.keys()
    texts = [f"{name}\n{text}" for name, text in sorted(found.items())]
    return _hash([*texts, *(meaning(Path(path).read_text()) for path in plugins)])


def _hash(texts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
