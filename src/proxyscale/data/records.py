"""Raw records of files, one at a time, in bounded memory.

A record that cannot be read comes out as `Dropped`, with its file and line, to be counted.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from proxyscale.base.errors import UserError
from proxyscale.base.paths import expand
from proxyscale.data.formats import FORMATS, Layout
from proxyscale.data.opening import BROKEN, check_encoding, open_bytes, suffixes
from proxyscale.data.raw_record import Dropped, Record, printable

READ_WHOLE, READ_FILES = 16 << 20, 1000  # bytes, files that are read to tell whether they changed


def listed(value: str | Sequence[str]) -> list[str]:
    """One word or several, as a list."""
    return [value] if isinstance(value, str) else list(value)


def shuffled(names: Iterable[str]) -> list[str]:
    """Names in an order that is random but the same on every machine."""

    def key(name: str) -> bytes:
        return hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=8).digest()

    return sorted(names, key=key)


Statuses = dict[str, os.stat_result]


def named(pattern: str) -> Statuses:
    """Files that a path or glob names now, with their statuses: as it is written, or else with `~`
    and variables filled in, or else with its brackets taken as they are."""
    expanded = expand(pattern)
    for written in (pattern, expanded, expanded.replace("[", "[[]")):
        plain = [written] if os.path.isfile(written) else glob.glob(written, recursive=True)
        if found := _regular(sorted(plain)):
            return found
    return {}


def _regular(paths: Iterable[str]) -> Statuses:
    """Those that are files, with their statuses."""
    found = {}
    for path in paths:
        with contextlib.suppress(OSError):
            status = os.stat(path)
            if stat.S_ISREG(status.st_mode):
                found[path] = status
    return found


def matching(pattern: str) -> list[Path]:
    """Files that a path or glob names now."""
    return list(map(Path, named(pattern)))


def below(folder: str) -> Statuses:
    """All files at any depth of a folder, with their statuses; empty if it is none."""
    plain = next((place for place in (folder, expand(folder)) if os.path.isdir(place)), None)
    walked = os.walk(plain) if plain is not None else ()
    return _regular(os.path.join(where, name) for where, _, names in walked for name in names)


def files_below(folder: str) -> dict[str, Path]:
    """All files at any depth of a folder, by their name below it, shuffled; empty if it is none."""
    found = list(below(folder))
    root = folder if os.path.isdir(folder) else expand(folder)
    names = {os.path.relpath(path, root): Path(path).absolute() for path in found}
    return {name: names[name] for name in shuffled(names)}


class Files:
    """Files that paths, globs and folders name, each looked for once."""

    def __init__(self) -> None:
        self._named = functools.cache(named)
        self.below = functools.cache(below)

    def of(self, patterns: str | Sequence[str]) -> Statuses:
        """All files that patterns name, with their statuses."""
        return {path: one for p in listed(patterns) for path, one in self._named(p).items()}

    def stamp(self, patterns: str | Sequence[str] | None) -> str:
        """What tells whether the files that paths, globs and folders name are the same ones.

        A digest of their names and of what is in them, or, where that is much, of their sizes,
        times and inodes, so that another file with an older date is told too. Any number of files,
        under any names; empty without patterns.
        """
        held = self.of(patterns or ())
        folders = {p: self.below(p) for p in listed(patterns or ())}
        facts = {
            os.path.abspath(p): s for some in (held, *folders.values()) for p, s in some.items()
        }
        roots = [os.path.abspath(expand(folder)) for folder, some in folders.items() if some]
        roots += map(os.path.dirname, facts)
        common = os.path.commonpath(set(roots)) if roots else ""
        size = sum(fact.st_size for fact in facts.values())
        small = size <= READ_WHOLE and len(facts) <= READ_FILES
        digest = hashlib.sha256()
        for path in sorted(facts):
            fact = facts[path]
            inside = repr((fact.st_size, fact.st_mtime_ns, fact.st_ino)).encode()
            if small:
                inside = hashlib.sha256(Path(path).read_bytes()).digest()
            digest.update(os.fsencode(path[len(common) :]) + b"\0" + inside)
        return digest.hexdigest()[:16] if patterns else ""


def no_match(pattern: str) -> UserError:
    """The mistake of a pattern that matches no file, to be raised."""
    expanded = expand(pattern)
    unset = re.search(r"\$\{?\w+\}?", expanded)
    hint = "check the path"
    if unset:
        hint = f"the variable {unset[0]} is not set"
    elif Path(expanded).is_dir():
        hint = "name its files: folder/**/*.txt"
    return UserError(f"no file matches {pattern}", where="files", value=pattern, hint=hint)


def found_files(patterns: str | Sequence[str]) -> dict[str, tuple[Path, os.stat_result]]:
    """Files that globs match, with their statuses, by their name below the folder common to all.

    In shuffled order, so that a corpus cut short has something of each; `**` matches folders.
    UserError if a pattern matches no file.
    """
    found: Statuses = {}
    for pattern in listed(patterns):
        files = {os.path.abspath(path): status for path, status in named(pattern).items()}
        if not files:
            raise no_match(pattern)
        found |= files
    common = os.path.commonpath(set(map(os.path.dirname, found)))
    names = {printable(path[len(common) :].lstrip("/")): path for path in found}
    if len(names) < len(found):
        raise UserError("two files have names that are shown alike", where="files")
    return {name: (Path(names[name]), found[names[name]]) for name in shuffled(names)}


def find_files(patterns: str | Sequence[str]) -> dict[str, Path]:
    """The same without their statuses."""
    return {name: path for name, (path, _) in found_files(patterns).items()}


def read_files(
    patterns: str | Sequence[str],
    format: str | None = None,
    columns: Sequence[str] | None = None,
    at: str | None = None,
    encoding: str | None = None,
) -> Iterator[Record | Dropped]:
    """Records of files in one of FORMATS, by `format` or by their suffix.

    Files may be compressed (.zst, .gz, .bz2, .xz). `columns` names the columns of a table without a
    header; `at` is a path into JSON (`data.paragraphs.qas`); `encoding` is that of text where it is
    not UTF-8.
    """
    layout = Layout(None, columns, at, encoding)
    for name, path in find_files(patterns).items():
        yield from read_file(name, path, format, layout)


def read_file(
    name: str, path: Path, format: str | None, layout: Layout
) -> Iterator[Record | Dropped]:
    """Records of one file, which are called by its name and their place in it.

    With a column wanted, the other columns of parquet and arrow files are not read.
    """
    if layout.encoding is not None:
        check_encoding(layout.encoding)
    reader = FORMATS[format_of(path, format)]
    try:
        yield from reader(name, path, layout)
    except BROKEN as error:
        raise UserError(f"cannot be read: {error}", where=str(path)) from None


ALIASES = {"ndjson": "jsonl", "tab": "tsv", "text": "txt", "feather": "arrow"}


def format_of(path: Path, told: str | None) -> str:
    """The format of a file, as told or by its suffix. UserError if it is not one of FORMATS."""
    found = suffixes(path)
    word = told or (found[-1].removeprefix(".") if found else "")
    word = ALIASES.get(word, word)
    if word not in FORMATS:
        message = f"{path.name}: unknown format {word!r}"
        hint = f"name it: format: {_guess(path)}"
        raise UserError(message, where="files", value=word, allowed=FORMATS, hint=hint)
    return word


def _guess(path: Path) -> str:
    """A format that would work, by the first bytes of a file."""
    try:
        with open_bytes(path) as stream:
            start = stream.read(4096)
    except BROKEN:
        return "txt"
    for mark, word in ((b"PAR1", "parquet"), (b"ARROW1", "arrow"), (b"\xff\xff\xff\xff", "arrow")):
        if start.startswith(mark):
            return word
    first = start.lstrip().partition(b"\n")[0]
    if first.startswith(b"{") and first.rstrip().endswith(b"}"):
        return "jsonl"
    if first.startswith((b"{", b"[")):
        return "json"
    return "tsv" if b"\t" in first else "txt"


def pinned(revision: str | None, repository: str, kind: str = "") -> str:
    """The revision, if it is a commit; UserError if it is absent, or a name that can move."""
    if not isinstance(revision, str) or not re.fullmatch(r"[0-9a-f]{40}", revision):
        message = f"{repository} needs a pinned revision: a commit of 40 hex digits"
        hint = f"copy it from https://huggingface.co/{kind}{repository}/commits/main"
        raise UserError(message, where="revision", value=revision, hint=hint)
    return revision
