"""A digest of what code means: Snakemake tracks parameters, not imported modules.

A rule's parameters carry the digest of the function that is its verb, and of every module of the
package that this imports, taken from the syntax tree: comments, docstrings and formatting do not
count. Modules that cannot change a result are left out.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from proxyscale.base.shipped import PACKAGE

# These only speak or name: no number depends on them.
NEUTRAL = frozenset(
    f"base.{name}"
    for name in (
        *("devices", "digest", "ending", "errors", "extras", "job_server", "lock", "machine"),
        *("many_jobs", "paths", "progress", "repair", "run_cache", "seals", "shipped", "verbs"),
    )
)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
NAMED = re.compile(r"proxyscale((?:\.\w+)+)")  # a module that is run by its name


class Meaning(NamedTuple):
    """What a module says to the interpreter."""

    text: str  # its syntax tree without docstrings and positions
    imported: frozenset[str]  # modules of the package, dotted below it


def meaning(source: str) -> Meaning:
    """What a module means, and which of the package's own modules it imports, anywhere in it.

    `from proxyscale.data import pool` means the module `data.pool`, never the folder `data`. A
    module whose name stands in the code as a word, to be run by it, counts as imported.
    """
    words: list[str] = []
    names: set[str] = set()
    _read(ast.parse(source), words, names)
    below = {name.partition(".")[2] for name in names if name.startswith("proxyscale.")}
    return Meaning(
        " ".join(words), frozenset(name for name in below if _file(name).is_file()) - NEUTRAL
    )


def _read(node: ast.AST, words: list[str], names: set[str]) -> None:
    """Append a node and all below it as words; add what they name of any package."""
    if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
        node.body = node.body[1:]
    elif isinstance(node, ast.Import):
        names.update(alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        names.update(_member(node.module, alias.name) for alias in node.names)
    elif isinstance(node, ast.Constant) and NAMED.fullmatch(str(node.value)):
        names.add(str(node.value))
    words.append(f"({type(node).__name__}")
    for field in node._fields:
        value = getattr(node, field, None)
        if isinstance(value, ast.AST):
            _read(value, words, names)
        elif isinstance(value, list):
            words.append("[")
            for item in value:
                if isinstance(item, ast.AST):
                    _read(item, words, names)
                else:
                    words.append(repr(item))
            words.append("]")
        else:
            words.append(repr(value))
    words.append(")")


def part(source: str, function: str) -> str:
    """A function of a module, without what it returns, and what it uses of its module.

    A verb returns words to be said. KeyError if the module has no such function.
    """
    tree = ast.parse(source)
    bound = {name: piece for statement in tree.body for name, piece in _bindings(statement)}
    _silence(bound[function])
    kept: dict[str, ast.stmt] = {}
    waiting = {function}
    while waiting:
        name = waiting.pop()
        kept[name] = bound[name]
        named = {node.id for node in ast.walk(bound[name]) if isinstance(node, ast.Name)}
        waiting |= (named & bound.keys()) - kept.keys()
    return "\n".join(ast.unparse(kept[name]) for name in sorted(kept))


@functools.cache
def defining(function: str, modules: tuple[str, ...]) -> str:
    """The root `module:function` of the module that defines it. KeyError if none does."""
    for module in modules:
        if re.search(rf"^def {function}\(", _file(module).read_text(), re.MULTILINE):
            return f"{module}:{function}"
    raise KeyError(function)


def _silence(function: ast.AST) -> None:
    """Take away what a function returns; functions inside it keep theirs."""
    for node in ast.iter_child_nodes(function):
        if isinstance(node, ast.Return):
            node.value = None
        elif not isinstance(node, ast.FunctionDef | ast.Lambda):
            _silence(node)


def _bindings(statement: ast.stmt) -> Iterable[tuple[str, ast.stmt]]:
    """The names that a statement at the top of a module binds, each with the least that does so."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        yield statement.name, statement
    elif isinstance(statement, ast.Import):
        for alias in statement.names:
            yield alias.asname or alias.name.partition(".")[0], ast.Import([alias])
    elif isinstance(statement, ast.ImportFrom):
        for alias in statement.names:
            yield alias.asname or alias.name, ast.ImportFrom(statement.module, [alias], 0)
    else:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id, statement


def _member(module: str, name: str) -> str:
    """The module that `from module import name` reads: its own, or one that lies in that folder."""
    folder = PACKAGE.joinpath(*module.split(".")[1:])
    inside = module.split(".")[0] == "proxyscale" and folder.is_dir()
    return f"{module}.{name}" if inside else module


def _file(name: str) -> Path:
    """The file of a module named below the package."""
    return PACKAGE.joinpath(*name.split(".")).with_suffix(".py")


@functools.cache
def _meaning_of(root: str) -> Meaning:
    """What a module means, or a function of it (`module:function`)."""
    name, _, function = root.partition(":")
    source = _file(name).read_text()
    return meaning(part(source, function) if function else source)


def covered(*roots: str, plugins: tuple[str, ...] = ()) -> dict[str, str]:
    """The roots (`module` or `module:function`) and all modules of the package that these or the
    plugin files import, one through another; each with its meaning."""
    found: dict[str, str] = {}
    waiting = set(roots).union(*(meaning(Path(path).read_text()).imported for path in plugins))
    while waiting:
        root = waiting.pop()
        found[root], imports = _meaning_of(root)
        waiting |= imports - found.keys()
    return found


@functools.cache
def code_digest(*roots: str, plugins: tuple[str, ...] = ()) -> str:
    """Digest of `covered`, and of the plugin files themselves."""
    found = covered(*roots, plugins=plugins)
    texts = [f"{root}\n{text}" for root, text in sorted(found.items())]
    return _hash([*texts, *(meaning(Path(path).read_text()).text for path in plugins)])


def _hash(texts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
