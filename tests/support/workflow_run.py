"""A copy of the workflow with a tiny study in it, to edit and run as a user would."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from support.dry_runs import dry_run, proxyscale
from support.loaded_modules import watch
from support.paths import ROOT

WORKFLOW = ("Snakefile", "rules", "src", "profiles", "envs", "workflow")
JOB = re.compile(r"^(?:local)?rule (\w+):(.*?)(?=^\S)", re.MULTILINE | re.DOTALL)
WILDCARDS = re.compile(r"^    wildcards: (.*)$", re.MULTILINE)
SPOKEN = "results: [0-9]+"
# Any name will do.
FILES = {"a": "a.jsonl", "b": "b.jsonl", "c": "-d {w}/~ $HOME '{{c}}.jsonl"}


def study() -> dict[str, Any]:
    """Three sources of invented words, three distributions, three scales, two tasks."""
    return {
        "study": "tiny",
        "results": "results",
        "seeds": 1,
        "plugins": ["plugin.py", "unused.py"],
        "sources": {n: {"files": f, "holdout": 0.3, "target": 0.1} for n, f in FILES.items()},
        "tokenizer": {"train": "bpe", "vocabulary": 300},
        "pool": {"length": 16},
        "tasks": {
            "text": {"kind": "text", "sources": "all", "examples": 30, "target_examples": 0},
            "last": {
                "kind": "prompt",
                "records": {"files": "last.jsonl"},
                "prompt": "{prompt}",
                "continuation": " {word}",
                "examples": 20,
                "target_examples": 5,
            },
        },
        "selection": {"size": 60},
        "distributions": {
            "mix": {"method": "random"},
            "a": {"method": "source", "sources": "a"},
            "long": {"method": "longest"},
        },
        "training": {"batch_tokens": 64, "tokens_per_parameter": 0.2},
        "scales": {
            "xs": {"width": 4, "layers": 1},
            "s": {"width": 8, "layers": 1},
            "ref": {"width": 16, "layers": 1},
        },
        "reference": "ref",
    }


PLUGIN = '''
import numpy as np

from proxyscale.registry import selection


@selection
def longest(candidates):
    """Rows from the ends of the pool."""
    return candidates.ids.astype(float)
'''

UNUSED = '''
from proxyscale.registry import task


@task
def reversed_words(records):
    """A kind of task that no task of the study has."""
    return iter(())
'''


class Workflow:
    """A folder with the workflow and a study; `config` may be edited before a run."""

    targets: tuple[str, ...] = ()

    def __init__(self, folder: Path, *, watched: Collection[str] = ()) -> None:
        """Of the verbs that are watched, the first jobs tell what they load."""
        self.folder = folder
        self.config = study()
        for name in WORKFLOW:
            source = ROOT / name
            ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
            if source.is_dir():
                shutil.copytree(source, folder / name, symlinks=True, ignore=ignore)
            else:
                shutil.copy(source, folder / name)
        if watched:
            watch(folder, watched)
        (folder / "plugin.py").write_text(PLUGIN)
        (folder / "unused.py").write_text(UNUSED)
        rng = np.random.default_rng(0)
        for index, name in enumerate("abc"):
            words = ["".join(rng.choice(list("abcdefgh"), 4)) for _ in range(30 + 30 * index)]
            lines = [f'{{"text": "{" ".join(rng.choice(words, 40))}"}}' for _ in range(60)]
            file = folder / FILES[name]
            file.parent.mkdir(exist_ok=True)
            file.write_text("\n".join(lines) + "\n")
        records = [
            f'{{"prompt": "{" ".join(rng.choice(words, 5))}", "word": "{rng.choice(words)}"}}'
            for _ in range(40)
        ]
        (folder / "last.jsonl").write_text("\n".join(records) + "\n")

    def write(self) -> None:
        """Write the study as it is now."""
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self.config, sort_keys=False))

    def snakemake(self, *arguments: str) -> str:
        """Run Snakemake with the study as it is now; its output, or AssertionError."""
        self.write()
        command = [sys.executable, "-m", "snakemake", "--printshellcmds", *self.asked(arguments)]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def dry_run(self, *arguments: str) -> str:
        """What Snakemake says that it would do now."""
        self.write()
        return dry_run(self.folder, *self.asked(arguments))

    def asked(self, arguments: Sequence[str]) -> list[str]:
        """The arguments, and the targets where these are always the same."""
        return [*arguments, *(["--", *self.targets] if self.targets else [])]

    def run(self) -> str:
        """Bring everything up to date; what is said."""
        return self.snakemake("--cores", "2")

    def proxyscale(self, *arguments: str) -> str:
        """What a verb for people says of the study as it is now."""
        self.write()
        return proxyscale(self.folder, *arguments)

    def stale(self, *targets: str) -> Counter[str]:
        """Jobs that Snakemake would run now for the targets (default: all), by rule."""
        jobs = JOB.findall(self.dry_run(*targets) + "\nend")
        return Counter(rule for rule, _ in jobs if rule != "all")

    def stale_named(self, rule: str) -> set[str]:
        """Wildcards of the stale jobs of one rule."""
        jobs = JOB.findall(self.dry_run() + "\nend")
        return {found for name, body in jobs if name == rule for found in WILDCARDS.findall(body)}

    def edit(self, path: str, change: Callable[[str], str]) -> None:
        """Rewrite a file of the folder."""
        file = self.folder / path
        before = file.read_text()
        after = change(before)
        assert after != before, path
        file.write_text(after)
