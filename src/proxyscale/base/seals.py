"""Every file that is written carries a sum of the rest of itself, checked where it is opened.

The sum (XXH3, 128 bits) stands in the footer of parquet, in the header of safetensors, under a key
of JSON, and behind the content of arrays, PDF, SVG, HTML and YAML, where their readers do not look.
So a file is its own witness wherever it is copied or linked to. CSV and plain text have no such
place: their sum lies in a hidden file beside them. What is damaged is set aside under a name that
says so, together with the manifest that vouched for it: the same command makes it again.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import xxhash

from proxyscale.base.errors import UserError, room
from proxyscale.base.lock import PARTIAL

MARK = b"proxyscale-xxh128:"
DIGITS = 32
BLANK = MARK + b"0" * DIGITS  # a writer leaves it where the sum belongs
KEY = "sealed by"  # of JSON: no name that a config gives may have a blank
HEADER = {KEY: BLANK.decode()}  # of safetensors
# What stands around the sum in files that take one behind their content.
TRAILERS = {
    ".npy": (b"", b""),
    ".pdf": (b"% ", b"\n"),
    ".svg": (b"<!-- ", b" -->\n"),
    ".html": (b"<!-- ", b" -->\n"),
    ".yaml": (b"# ", b"\n"),
}
SEALED = frozenset({*TRAILERS, ".parquet", ".safetensors", ".json"})
LINES = frozenset({".csv", ".txt"})  # have no place for a sum
ASIDE = ".damaged"
_sound: set[tuple[str, int, int, int]] = set()  # files that this process has checked


class Damaged(UserError):
    """A file is not what was written. It has been set aside, and can be made again."""


def rename(path: Path, to: Path) -> None:
    """Give a file another name, its sum with it."""
    if path.suffix in LINES and beside(path).exists():
        beside(path).replace(beside(to))
    path.replace(to)


def beside(path: Path) -> Path:
    """Where the sum of a file of `LINES` lies."""
    return path.with_name(f".{path.name}.sum")


def seal(path: Path) -> None:
    """Write the sum into a file that has just been written, where its form has a place for it."""
    if path.suffix in TRAILERS:
        before, after = TRAILERS[path.suffix]
        with path.open("ab") as end:
            end.write(before + BLANK + after)
    if path.suffix not in SEALED:
        return
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        place = _place(data, path.suffix)
        if place is not None:
            data[place : place + DIGITS] = _sum(data, place)


def _place(data: mmap.mmap, suffix: str) -> int | None:
    """Where the digits of the sum begin; None if there is no mark."""
    start, stop = 0, len(data)
    if suffix == ".parquet":
        start = max(0, stop - 8 - int.from_bytes(data[-8:-4], "little"))
    elif suffix == ".safetensors":
        stop = min(stop, 8 + int.from_bytes(data[:8], "little"))
    elif suffix in TRAILERS:
        start = max(0, stop - 128)
    found = data.rfind(MARK, start, stop) + len(MARK)
    return None if found < len(MARK) or found + DIGITS > len(data) else found


def _sum(data: mmap.mmap, place: int) -> bytes:
    with memoryview(data) as view:
        digest = xxhash.xxh3_128(view[:place])
        digest.update(view[place + DIGITS :])
    return digest.hexdigest().encode()


def damage(path: Path) -> str:
    """What is wrong with a file, in words; nothing if it is what was written."""
    if not path.stat().st_size:
        return "it is empty"
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if path.suffix in LINES:
            return _damaged_lines(path, data)
        place = _place(data, path.suffix)
        if place is None:
            return "it carries no sum of itself"
        same = data[place : place + DIGITS] == _sum(data, place)
    return "" if same else "its content does not have the sum that it carries"


def _damaged_lines(path: Path, data: mmap.mmap) -> str:
    """What is wrong with CSV or text: without a sum beside it, only what is torn is seen."""
    try:
        told = beside(path).read_bytes()
    except FileNotFoundError:
        torn = data[-1:] != b"\n" or data.find(b"\0") >= 0
        return "it ends within a line, or holds zeros" if torn else ""
    same = told == _sum(data, len(data))
    return "" if same else f"its content does not have the sum in {beside(path).name}"


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, renamed onto it when the block ends without an error.

    Before that it is sealed and brought to the disk. UserError if there is no room on it.
    """
    path = Path(path)
    with room(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f"{PARTIAL}{path.stem}-", suffix=path.suffix, dir=path.parent
        )
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            _finish(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def _finish(temporary: Path, path: Path) -> None:
    """Seal a file that has been written, bring it to the disk and give it its name."""
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o666 & ~umask)
    seal(temporary)
    _flush(temporary)
    if path.suffix in LINES:
        with temporary.open("rb") as file:
            text = file.read()
        beside(path).write_bytes(xxhash.xxh3_128(text).hexdigest().encode())
        _flush(beside(path))
    temporary.replace(path)
    _flush(path.parent)


def _flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def verified(path: str | Path) -> Path:
    """The path of a file that is what was written: looked at once by a process.

    UserError if there is none, Damaged if it is something else: then it has been set aside.
    """
    path = Path(path)
    try:
        status = path.stat()
        known = (os.path.abspath(path), status.st_ino, status.st_size, status.st_mtime_ns)
        wrong = "" if known in _sound else damage(path)
    except FileNotFoundError:
        raise UserError(f"no such file: {path}", hint="run snakemake to make it") from None
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path)) from None
    if wrong:
        told = f"is damaged: {wrong}; {set_aside(path)}"
        raise Damaged(told, where=str(path), hint="run the same command again: it is made anew")
    _sound.add(known)
    return path


def carries_sum(path: Path) -> bool:
    """Whether a file has a sum of itself, right or wrong: somebody else's has none."""
    if path.suffix in LINES:
        return beside(path).exists()
    if path.suffix not in SEALED or not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _place(data, path.suffix) is not None


def sum_of(path: Path) -> str:
    """The sum that a file carries, right or wrong; of one that carries none, that of its bytes."""
    if path.suffix in LINES and beside(path).exists():
        return beside(path).read_text()
    if not path.stat().st_size:
        return ""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        place = _place(data, path.suffix) if path.suffix in SEALED else None
        digits = _sum(data, len(data)) if place is None else data[place : place + DIGITS]
    return digits.decode("ascii", "replace")


def trusted(path: str | Path) -> Path:
    """The path of a file that anybody may have written: verified if it carries a sum."""
    return verified(path) if carries_sum(Path(path)) else Path(path)


def intact(path: Path) -> bool:
    """Whether there is a file and it is what was written; a damaged one is set aside, and told."""
    if not path.exists():
        return False
    try:
        verified(path)
    except Damaged as error:
        print(error, file=sys.stderr)
        return False
    return True


def set_aside(path: Path) -> str:
    """Rename a damaged file, and the manifest that names it, so that it is made again; in words.

    Of a link into a shared cache, the entry is renamed and the link goes.
    """
    try:
        target = path.resolve()
        aside = target.with_name(target.name + ASIDE)
        target.replace(aside)
        if path.is_symlink():
            path.unlink()
        beside(path).unlink(missing_ok=True)
        for manifest in (path.parent / "manifest.json", path.parent.parent / "manifest.json"):
            if manifest != path and _names(manifest, path):
                manifest.replace(manifest.with_name(manifest.name + ASIDE))
    except OSError as error:
        return f"it cannot be set aside: {error.strerror}"
    return f"it is now {aside}"


def _names(manifest: Path, path: Path) -> bool:
    """Whether a manifest vouches for a file; one that cannot be read does so for all beside it."""
    try:
        files = json.loads(manifest.read_bytes()).get("files", {})
    except FileNotFoundError:
        return False
    except (ValueError, AttributeError):
        return True
    return os.path.relpath(path, manifest.parent) in files
