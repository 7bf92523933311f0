"""Jobs of a finished study, run again in this process on files that have been spoiled."""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import re
import shlex
import shutil
import struct
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from proxyscale.base import seals
from proxyscale.cli.main import main
from support.workflow_run import Workflow

COMMAND = re.compile(r"python -m proxyscale (.*)$", re.MULTILINE)
PLACES = ("results", "exported", "decided")
IN_OPEN = 0x20  # from <sys/inotify.h>
EVENT = struct.Struct("iIII")
MADE = re.compile(rb"Made [-\d: ]+ UTC|<!-- proxyscale-\S+ -->\n$")
Pair = tuple[tuple[str, ...], str]  # a job's words, a file that it opens


def commands(workflow: Workflow, *targets: str) -> list[tuple[str, ...]]:
    """The words of every job that makes the targets (default: all), without their logs."""
    said = workflow.snakemake("--dry-run", "--forceall", "--printshellcmds", *targets)
    found = []
    for line in dict.fromkeys(COMMAND.findall(said)):
        words = shlex.split(line)
        place = words.index("--log")
        found.append((*words[:place], *words[place + 2 :]))
    return found


@contextlib.contextmanager
def opened(folders: tuple[str, ...]) -> Iterator[set[str]]:
    """The files in the folders that are opened, by whatever library, until the block ends."""
    libc, seen = ctypes.CDLL(None, use_errno=True), set[str]()
    watch = libc.inotify_init1(os.O_NONBLOCK)
    known = {}
    for top in folders:
        for folder, _, _ in os.walk(top):
            known[libc.inotify_add_watch(watch, folder.encode(), IN_OPEN)] = folder
    yield seen
    with contextlib.suppress(BlockingIOError):
        while data := os.read(watch, 1 << 20):
            place = 0
            while place < len(data):
                number, _, _, length = EVENT.unpack_from(data, place)
                place += EVENT.size + length
                name = data[place - length : place].rstrip(b"\0").decode()
                seen.add(os.path.join(known[number], name))
    os.close(watch)


def call(words: tuple[str, ...]) -> tuple[int, str]:
    """Run a job in this process as in a new one: its exit code, what it says."""
    said = io.StringIO()
    seals._sound.clear()
    if words[0] == "export":
        shutil.rmtree(words[words.index("--out") + 1], ignore_errors=True)
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        code = main(list(words))
    return code, said.getvalue()


def files() -> dict[str, os.stat_result]:
    """Every file of the results but logs."""
    found = {}
    for top in PLACES:
        for folder, _, names in os.walk(top):
            if not folder.startswith(("results/logs", "results/.claim")):
                found |= {p: os.stat(p) for n in names if (p := os.path.join(folder, n))}
    return found


def content(path: str) -> object:
    """What a file says: of a run's curve not how long it took, of a page not when it was made."""
    if path.endswith("curve.parquet"):
        return pq.read_table(path).drop_columns(["seconds"]).to_pydict()
    held = Path(path).read_bytes()
    return MADE.sub(b"", held) if path.endswith(".html") else held


def some(jobs: list[tuple[str, ...]], most: int) -> list[tuple[str, ...]]:
    """At most so many jobs of every verb, from all over the study."""
    found = []
    for verb in dict.fromkeys(words[0] for words in jobs):
        alike = [words for words in jobs if words[0] == verb]
        found += alike[:: -(-len(alike) // most)]
    return found


class Study:
    """The files of a finished study as they are to be, and the jobs that open them.

    `more`: commands for people, which are run once to have their files.
    """

    def __init__(self, jobs: list[tuple[str, ...]], more: Sequence[tuple[str, ...]] = ()) -> None:
        for words in more:
            assert call(words)[0] == 0, words
        self.stats = files()
        self.bytes = {path: Path(path).read_bytes() for path in self.stats}
        self.right = {path: content(path) for path in self.stats}
        self.pairs: dict[tuple[str, str, str], list[Pair]] = defaultdict(list)
        for words in (*jobs, *more):
            with opened(PLACES) as seen:
                code, said = call(words)
            assert code == 0, said
            assert not self.differing(), words
            self.restore()
            for path in sorted(seen & self.stats.keys()):
                folder = path.split("/")[1] if path.count("/") > 1 else ""
                self.pairs[words[0], folder, Path(path).suffix].append((words, path))

    def differing(self) -> list[str]:
        """Files that do not say what they are to say, or are not there."""
        now = files()
        same = {
            p for p in now.keys() & self.stats.keys() if _stamp(now[p]) == _stamp(self.stats[p])
        }
        return [
            path
            for path in self.stats.keys() - same
            if path not in now or content(path) != self.right[path]
        ]

    def restore(self) -> None:
        """Bring all files back as they were, their times too."""
        now = files()
        for path in now.keys() - self.stats.keys():
            os.unlink(path)
        for path, stat in self.stats.items():
            if path not in now or _stamp(now[path]) != _stamp(stat):
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                Path(path).write_bytes(self.bytes[path])
                os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    def spoil(self, path: str, cut: bool, chance: np.random.Generator) -> None:
        """Flip one bit of a file, or zero a block of it, or cut off its end; its times stay."""
        whole = self.bytes[path]
        broken, place = bytearray(whole), int(chance.integers(len(whole)))
        if not cut:
            broken[place] ^= 1 << int(chance.integers(8))
        elif chance.integers(2) or not any(whole[place : place + 512]):
            del broken[place:]
        else:
            broken[place : place + 512] = bytes(len(broken[place : place + 512]))
        Path(path).write_bytes(broken)
        stat = self.stats[path]
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    def attack(self, flips: int, cuts: int, seed: int = 0) -> Counter[str]:
        """Spoil files that jobs open, all kinds in turn: each is told by name, or changes nothing.

        How often which; AssertionError with all others.
        """
        chance, outcome, wrong = np.random.default_rng(seed), Counter[str](), []
        kinds = list(self.pairs)
        chance.shuffle(kinds)
        for number in range(flips + cuts):
            pairs = self.pairs[tuple(kinds[number % len(kinds)])]
            words, path = pairs[int(chance.integers(len(pairs)))]
            self.spoil(path, number >= flips, chance)
            code, said = call(words)
            told = _sealed(path) in said and "damaged" in said and "Traceback" not in said
            spoiled = {path, _sealed(path)}
            changed = [p for p in self.differing() if p not in spoiled]
            if code == 2 and told:
                outcome["told"] += 1
            elif code == 0 and not changed:
                outcome["remade" if told else "unread"] += 1
            else:
                wrong.append((words[0], path, code, changed, said[-500:]))
            self.restore()
        assert not wrong, wrong
        return outcome


def _sealed(path: str) -> str:
    """The file whose sum a hidden file holds."""
    return re.sub(r"/\.([^/]+)\.sum$", r"/\1", path)


def _stamp(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_size, stat.st_mtime_ns


@contextlib.contextmanager
def within(workflow: Workflow) -> Iterator[None]:
    """Work in the workflow's folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workflow.folder)
        yield
