"""Text that is installed with the environment: code, docstrings and headers of any distribution."""

from __future__ import annotations

import ast
import fnmatch
import importlib.metadata
import re
import sysconfig
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from proxyscale.base.errors import UserError
from proxyscale.data.raw_record import Dropped, Record
from proxyscale.data.records import shuffled

PARTS = ("code", "docstrings", "headers", "tests")
HEADERS = {".h", ".hh", ".hpp", ".hxx", ".cuh"}
TEST_FOLDERS = {"test", "tests", "idle_test"}
Definition = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def read_installed(
    packages: Sequence[str],
    part: str,
    include: Sequence[str],
    exclude: Sequence[str],
    minimum_length: int,
    strip_docstrings: bool,
) -> Iterator[Record | Dropped]:
    """Texts of one `part` of installed distributions, as the corpus `installed` tells."""
    check_installed(packages, part)
    paths = {name: path for package in packages for name, path in _files(package)}
    keep, lose = _globs(include or ["*"]), _globs(exclude)
    names = [name for name in paths if _part(name, part) and keep(name) and not lose(name)]
    for name in shuffled(names):
        try:
            text = paths[name].read_text("utf-8-sig")
            if part == "docstrings":
                yield from _docstrings(name, text, minimum_length)
            else:
                yield Record(name, {"text": _strip(text) if strip_docstrings else text})
        except FileNotFoundError:
            yield Dropped(name, "no such file")
        except UnicodeDecodeError:
            yield Dropped(name, "not UTF-8")
        except (SyntaxError, ValueError, RecursionError):
            yield Dropped(name, "not Python")


def check_installed(packages: Sequence[str], part: str) -> None:
    """UserError for a part that there is not, or a distribution that is not installed."""
    if part not in PARTS:
        raise UserError(f"is {part!r}", where="part", value=part, allowed=PARTS)
    for package in packages:
        if package != "stdlib":
            _distribution(package)


def _distribution(package: str) -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution(package)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        names = {d.metadata["Name"] for d in importlib.metadata.distributions()}
        message = f"no distribution {package!r} is installed"
        raise UserError(
            message, where="installed", value=package, allowed=["stdlib", *sorted(names)]
        ) from None


def _files(package: str) -> Iterator[tuple[str, Path]]:
    """Files of a distribution, by their path below site-packages or the standard library."""
    if package == "stdlib":
        root = Path(sysconfig.get_paths()["stdlib"])
        for path in root.rglob("*.py"):
            name = path.relative_to(root)
            if name.parts[0] not in ("site-packages", "dist-packages"):
                yield name.as_posix(), path
        return
    for file in _distribution(package).files or ():
        if ".." not in file.parts:
            yield file.as_posix(), Path(str(file.locate()))


def _globs(globs: Sequence[str]) -> Callable[[str], Any]:
    return re.compile("|".join(map(fnmatch.translate, globs)) or r"(?!)").match


def _part(name: str, part: str) -> bool:
    path = PurePosixPath(name)
    if part == "headers":
        return path.suffix in HEADERS
    named = path.stem.startswith("test_") or path.stem.endswith("_test") or path.stem == "conftest"
    test = named or not TEST_FOLDERS.isdisjoint(path.parts[:-1])
    return path.suffix == ".py" and test == (part == "tests")


def _parse(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def _definitions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """Modules, classes and functions with a docstring, by qualified name."""
    if isinstance(node, Definition) and ast.get_docstring(node, clean=False):
        yield prefix or "module", node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _definitions(child, f"{prefix}.{child.name}" if prefix else child.name)
        elif isinstance(child, ast.stmt) and hasattr(child, "body"):
            yield from _definitions(child, prefix)


def _docstrings(name: str, text: str, minimum_length: int) -> Iterator[Record]:
    for object_name, node in _definitions(_parse(text)):
        docstring = ast.get_docstring(node) or ""
        if len(docstring) >= minimum_length:
            yield Record(f"{name}:{object_name}", {"text": docstring})


def _strip(text: str) -> str:
    """Python source without its docstrings; `pass` where nothing else would be left."""
    lines: list[bytes | None] = [line.encode() for line in text.split("\n")]
    for _, node in _definitions(_parse(text)):
        first = node.body[0]
        start, end = first.lineno - 1, (first.end_lineno or first.lineno) - 1
        before = (lines[start] or b"")[: first.col_offset]  # columns are counted in bytes
        after = (lines[end] or b"")[first.end_col_offset :]
        lines[start : end + 1] = [None] * (end + 1 - start)
        if before.strip() or after.strip() or (before and len(node.body) == 1):
            lines[start] = before + b"pass" + after
    return b"\n".join(line for line in lines if line is not None).decode()
