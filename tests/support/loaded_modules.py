"""What a job has loaded of the package, held against what the digest of its verb covers."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from proxyscale.base import job_server
from proxyscale.base.digest import NEUTRAL, covered
from proxyscale.base.verbs import VERBS
from proxyscale.cli import main  # noqa: F401 (it registers)
from proxyscale.registry import COMMANDED

# What every job loads to find its verb and to say that it is done.
DOORS = {
    "__main__",
    "cli.main",
    "cli.commands",
    "cli.verbs",
    "cli.table_verbs",
    "cli.decision_verbs",
    "cli.job_messages",
    "data.accounts",
    "statistics.guesses",
    "vision.verbs",
}
# The first job of every verb that is named, engine and figure is watched, in an interpreter of its
# own: what a server of jobs has loaded tells nothing of them.
HOOK = """
import atexit, json, os, sys

def option(words, name):
    return words[words.index(name) + 1] if name in words[:-1] else ""


def first(words):
    if words[0] not in WATCHED:
        return False
    engine = json.loads(option(words, "--spec") or "{}") if words[0] == "train" else {}
    named = [words[0], str(engine.get("training", {}).get("engine")), option(words, "--module")]
    try:
        open("watched-" + "-".join(named).encode().hex()[:200], "x").close()
    except FileExistsError:
        return False
    return True


def write():
    files = {n.partition(".")[2]: m.__file__ for n, m in list(sys.modules.items())
             if n.startswith("proxyscale.") and getattr(m, "__file__", None)}
    found = sorted(n for n, f in files.items() if not f.endswith("__init__.py"))
    with open(f"loaded-{os.getpid()}.json", "w") as file:
        json.dump({"words": words, "modules": found}, file)


words = sys.orig_argv
if "-m" in words and words[words.index("-m") + 1] == "proxyscale":
    words = words[words.index("-m") + 2:]
    if first(words):
        os.environ.pop(SERVER, None)
        atexit.register(write)
"""


def watch(folder: Path, named: Collection[str]) -> None:
    """Let the first jobs of these verbs leave in a workflow's folder which modules they loaded."""
    told = f"SERVER = {job_server.ENVIRONMENT!r}\nWATCHED = {set(named)!r}\n"
    (folder / "src/sitecustomize.py").write_text(told + HOOK)
    # Every job is to have an interpreter, which decides whether it asks the server.
    rules = folder / "rules/resources.smk"
    asked = "        job_server.hand_over()\n"
    assert asked in rules.read_text()
    rules.write_text(rules.read_text().replace(asked, ""))


def verbs(folder: Path) -> set[str]:
    """The verbs of the jobs that have run since `watch`.

    AssertionError if one of them had loaded a module that the digest of its verb does not cover.
    """
    found = set()
    for path in sorted(folder.glob("loaded-*.json")):
        told = json.loads(path.read_text())
        if told["words"][0] in VERBS:
            assert not (missing := _uncovered(**told)), (missing, told["words"])
            found.add(told["words"][0])
    return found


def _uncovered(words: list[str], modules: list[str]) -> set[str]:
    """The modules that a job had loaded and that its verb's digest does not cover."""
    home = VERBS[words[0]][0].__module__.partition(".")[2]
    named = []
    if words[0] == "train":
        spec = json.loads(words[words.index("--spec") + 1])
        engine = spec["training"]["engine"]
        named = [f"training.{COMMANDED if isinstance(engine, dict) else engine.replace('-', '_')}"]
    elif "--module" in words:
        named = [words[words.index("--module") + 1]]
    return set(modules) - covered(f"{home}:{words[0]}", *named).keys() - NEUTRAL - DOORS
