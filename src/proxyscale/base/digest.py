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

PACKAGE = Path(__file__).parents[1]
# These only speak or name: no number depends on them.
NEUTRAL = frozenset(
    f"base.{name}"
    for name in ("devices", "digest", "errors", "lock", "paths", "progress", "run_cache", "verbs")
)


def meaning(source: str) -> str:
    """The syntax tree of a module as text, without docstrings and positions."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return ast.dump(tree, annotate_fields=False)


def imported(source: str) -> set[str]:
    """Dotted names, below the package, of its own modules that a module imports, anywhere in it.

    `from proxyscale.data import pool` means the module `data.pool`, never the folder `data`.
    """
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            dotted = [_member(node.module, alias.name) for alias in node.names]
        else:
            continue
        names |= {name.partition(".")[2] for name in dotted if name.startswith("proxyscale.")}
    return names - NEUTRAL


def _member(module: str, name: str) -> str:
    """The module that `from module import name` reads: its own, or one that lies in that folder."""
    folder = PACKAGE.joinpath(*module.split(".")[1:])
    inside = module.split(".")[0] == "proxyscale" and folder.is_dir()
    return f"{module}.{name}" if inside else module


def _file(name: str) -> Path:
    """The file of a module named below the package."""
    return PACKAGE.joinpath(*name.split(".")).with_suffix(".py")


@functools.cache
def _module(name: str) -> tuple[str, frozenset[str]]:
    source = _file(name).read_text()
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
