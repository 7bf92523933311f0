"""Where every artifact lies: one scheme for the rules and for Python.

Each method names a path below the results folder. Left out, an argument stands as its own
wildcard: `Paths("results").corpus()` is `results/corpora/{source}`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CLAIM = ".claim"  # the folder that marks the results of a study
NAME = "study.json"  # whose they are


def expand(path: str) -> str:
    """A path as the user wrote it, with `~` and environment variables filled in."""
    return os.path.expanduser(os.path.expandvars(path))


def results_folder(path: str) -> str:
    """A folder for results, `~` and variables filled in. ValueError if rules cannot name it."""
    found = os.path.normpath(expand(path))
    if unset := re.search(r"\$\{?\w+\}?", found):
        raise ValueError(f"the variable {unset[0]} is not set")
    if found.startswith("-") or re.search(r"[{}\x00-\x1f]", found):
        raise ValueError("a folder for results begins with no - and has no braces in its name")
    return found


def own_files(results: str | Path, below: str = "") -> Iterator[os.DirEntry[str]]:
    """Files below a study's results folder, or a folder in it; none of a study that lies within.

    What is hidden is left out, but for files.
    """
    waiting = [os.path.join(results, below)]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except FileNotFoundError:
            continue
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                yield entry
            elif not entry.name.startswith(".") and not os.path.exists(f"{entry.path}/{CLAIM}"):
                waiting.append(entry.path)


def loss_stem(task: str, share: float | None = None) -> str:
    """The name of a run's losses on a task, at its end or after a share of its steps."""
    return task if share is None else f"{task}@{share:g}"


@dataclass(frozen=True)
class Paths:
    """Paths of one study, below its results folder."""

    results: str

    @property
    def tokenizer(self) -> str:
        return f"{self.results}/tokenizer/tokenizer.json"

    @property
    def pool(self) -> str:
        """The pool's manifest; its rows lie in one folder per source beside it."""
        return f"{self.results}/pool/manifest.json"

    @property
    def losses(self) -> str:
        return f"{self.results}/losses.parquet"

    @property
    def runs(self) -> str:
        return f"{self.results}/runs.parquet"

    @property
    def checkpoints(self) -> str:
        """Losses of runs before their last step."""
        return f"{self.results}/checkpoints.parquet"

    @property
    def reading(self) -> str:
        """How tables from outside were read, in words."""
        return f"{self.results}/reading.json"

    @property
    def selection_losses(self) -> str:
        """Losses of the runs on selections (Figure 8), a table as `losses`."""
        return f"{self.results}/selection/losses.parquet"

    @property
    def selection_runs(self) -> str:
        return f"{self.results}/selection/runs.parquet"

    @property
    def rival_losses(self) -> str:
        """Losses of what trains nothing, a table as `losses`."""
        return f"{self.results}/rivals/losses.parquet"

    @property
    def rival_runs(self) -> str:
        return f"{self.results}/rivals/runs.parquet"

    @property
    def gains(self) -> str:
        """What each selection gains over random subsets."""
        return self.table("selection")

    @property
    def statistics(self) -> str:
        return f"{self.results}/statistics.parquet"

    @property
    def report(self) -> str:
        return f"{self.results}/report.html"

    @property
    def mixtures(self) -> str:
        """Each distribution's share of every source."""
        return f"{self.results}/mixtures.csv"

    @property
    def proposal(self) -> str:
        """Stem of the mixture to train on: .json, .csv, and .yaml, a config that trains it."""
        return f"{self.results}/proposal"

    @property
    def next_steps(self) -> str:
        """Stem of what to train next: .json, .csv, and .yaml, a config that trains it."""
        return f"{self.results}/next"

    def corpus(self, source: str = "{source}") -> str:
        return f"{self.results}/corpora/{source}"

    def pack(self, source: str = "{source}", shard: int | str = "{shard}") -> str:
        return f"{self.results}/pool/{source}@{shard}"

    def items(self, task: str = "{task}") -> str:
        """A task's items before overlap is known."""
        return f"{self.results}/items/{task}"

    def overlap(
        self, source: str = "{source}", shard: int | str = "{shard}", task: str = "{task}"
    ) -> str:
        """What of a task's items stands in the documents of a pack."""
        return f"{self.results}/overlap/{source}@{shard}/{task}.npy"

    def task(self, task: str = "{task}") -> str:
        return f"{self.results}/tasks/{task}"

    def distribution(self, distribution: str = "{distribution}") -> str:
        return f"{self.results}/distributions/{distribution}.parquet"

    def run(
        self,
        scale: str = "{scale}",
        distribution: str = "{distribution}",
        draw: int | str = "{draw}",
        seed: int | str = "{seed}",
    ) -> str:
        return f"{self.results}/runs/{scale}/{distribution}/{draw}-{seed}"

    def model(
        self, scale: str = "{scale}", distribution: str = "{distribution}", model: str = "{model}"
    ) -> str:
        """What a model that was there already lost, and what it is."""
        return f"{self.results}/models/{scale}/{distribution}/{model}"

    def features(
        self,
        scale: str = "{scale}",
        distribution: str = "{distribution}",
        draw: int | str = "{draw}",
        seed: int | str = "{seed}",
        candidates: str = "{candidates}",
    ) -> str:
        """A run's features, of so many candidates of the pool (or `all`) and of target examples."""
        return f"{self.results}/features/{scale}/{distribution}/{draw}-{seed}/{candidates}"

    def scores(
        self,
        scale: str = "{scale}",
        distribution: str = "{distribution}",
        candidates: str = "{candidates}",
        task: str = "{task}",
    ) -> str:
        """The candidates' scores for a task; what they were made of lies beside, in .json."""
        return f"{self.results}/scores/{scale}/{distribution}/{candidates}/{task}.parquet"

    def candidate_losses(
        self,
        scale: str = "{scale}",
        distribution: str = "{distribution}",
        candidates: str = "{candidates}",
    ) -> str:
        """The candidates' losses under the models of a scale and a distribution."""
        return f"{self.results}/scores/{scale}/{distribution}/{candidates}.losses.parquet"

    def subsets(self, distribution: str = "{distribution}", ensemble: str = "{ensemble}") -> str:
        """The draws of a distribution that one ensemble of image models trains on."""
        return f"{self.results}/distributions/{distribution}/{ensemble}.parquet"

    def image_ensemble(
        self,
        scale: str = "{scale}",
        distribution: str = "{distribution}",
        ensemble: str = "{ensemble}",
    ) -> str:
        """Many runs of image models that are trained together."""
        return f"{self.results}/runs/{scale}/{distribution}/{ensemble}"

    def image_scores(
        self,
        scale: str = "{scale}",
        distribution: str = "{distribution}",
        ensemble: str = "{ensemble}",
    ) -> str:
        """TRAK's scores of an ensemble's models."""
        return f"{self.results}/scores/{scale}/{distribution}/{ensemble}"

    def datamodels(self, scale: str = "{scale}") -> str:
        """Regression datamodels of a scale."""
        return f"{self.results}/datamodels/{scale}"

    def compared(self, kind: str) -> str:
        """Scores of all scales side by side: `agreement` or `influence`."""
        return f"{self.results}/scores/{kind}.parquet"

    def figure(self, name: str = "{figure}") -> str:
        """A figure's stem; .pdf, .svg and .csv are appended."""
        return f"{self.results}/{name}"

    def table(self, name: str = "{table}") -> str:
        return f"{self.results}/tables/{name}.csv"

    def log(self, name: str) -> str:
        return f"{self.results}/logs/{name}.log"
