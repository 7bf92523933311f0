"""What a job needs, foretold from the study: memory and time, to ask of a cluster's scheduler.

Time is the plan's estimate, which takes what finished runs of a scale took where there are any,
with a margin. Memory follows from formulas. Both are meant to be enough in nine cases of ten: a job
that was given too little is given twice as much at its next attempt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from proxyscale.data.encoded_items import SURPLUS
from proxyscale.study.input_checks import text_bytes
from proxyscale.study.job_times import Estimate, Job
from proxyscale.study.language_runs import LanguageRuns, candidates_named
from proxyscale.study.models_table import OwnModel
from proxyscale.study.plan import PACKED, SELECTED
from proxyscale.tables.sizes import named

MB = 1e6
BARE = 800 * MB  # bytes: a process that reads and writes tables, and Snakemake's two about it
TORCH = 1500 * MB  # bytes: the same, with torch
CUDA = 3000 * MB  # bytes of the host's memory: CUDA's own share
TEXT_COPIES, TOKENIZER_COPIES = 12, 100  # bytes of memory per byte of text that is held
TEXT = 64 * MB  # bytes of text held at a time: a group of documents, or one that is large
HASHES = 0.1  # bytes of memory per byte of a corpus: a hash of every document, of a KB or more
GRADIENTS = 128  # examples whose gradients are in memory together
BATCH_TOKENS = 4096  # measured at a time
# Memory of a token whose n-grams are counted, as many as are at most, and how many a second.
COUNTED, MOST_COUNTED, COUNT_RATE = 200, 1e7, 5e5
LOSS_BYTES, LOSS_RATE = 200, 1e5  # memory of a row of losses, and rows a second
CANDIDATE, WINDOW = 60, 100  # bytes of memory per word of a test set: as it is encoded, as sought
QUESTION = 256  # words of a question with what is given with it, at most
UNTOLD = 1e9  # bytes of a source whose size cannot be told beforehand

START = 120.0  # seconds: a node's first touch of the files, Snakemake's own start
MARGIN = 3.0  # of time: nodes differ
UNSIZED = 1e9  # parameters of a model of which nobody says how large it is
UNKNOWN = 3600.0  # seconds of a job that the plan cannot tell
# Training where nothing has been measured: what small models reach, far below any peak.
CPU_FLOPS, GPU_FLOPS = 1.2e10, 3e13  # a second
STEP = 0.02  # seconds, at least, of an optimizer step


@dataclass(frozen=True)
class Need:
    """What the first attempt of a job is given."""

    memory: float  # bytes
    seconds: float

    def mem_mb(self, attempt: int) -> int:
        """Megabytes for an attempt, counted from 1."""
        return math.ceil(self.memory / MB) << attempt - 1

    def runtime(self, attempt: int) -> int:
        """Minutes for an attempt, counted from 1."""
        return math.ceil((START + self.seconds) / 60) << attempt - 1


def activations(model: Mapping[str, Any], tokens: int) -> float:
    """Bytes that a language model keeps for the backward pass over so many tokens, in float32.

    34·s·b·h a layer at two bytes a number, with attention that keeps no scores (Korthikanti et al.,
    arXiv 2205.05198, equation 2 without its last term), and three copies of the widest states.
    """
    width, layers = model["width"], model["layers"]
    return float(2.0 * tokens * width * (34 * layers + 12))


class Needs:
    """The needs of a study's jobs; `gpus` of a job that runs a model, 0 on a CPU core."""

    def __init__(self, study: LanguageRuns, gpus: int) -> None:
        self.study, self.gpus = study, gpus
        self.memory = TORCH + CUDA * gpus

    @cached_property
    def estimate(self) -> Estimate:
        """The plan's, with what finished runs took."""
        logs = ("train/{}/{}/{}-{}".format(*run) for run in self.study.trained)
        jobs = [Job("train", self.study.paths.log(log), pending=False) for log in logs]
        return Estimate(self.study, jobs, self._by_flops)

    def corpus(self, source: str) -> Need:
        """A job over the text of a source: what is held of it, and hashes of its documents."""
        size = self._bytes(source)
        return Need(_text(size) + HASHES * size, self._seconds("corpus", source))

    def pack(self, source: str) -> Need:
        """A job over a shard of a source: what is held of its text, and hashes of its rows."""
        size = self._bytes(source) / self.study.config.sources[source].shards
        rows = size / self.study.config.pool.length
        return Need(_text(size) + PACKED * rows, self._seconds("pack", source))

    def tokenizer(self) -> Need:
        """Training on a sample of text, all of it in memory."""
        sample = self.study.config.tokenizer.sample_bytes
        return Need(BARE + TOKENIZER_COPIES * sample, self._seconds("tokenizer"))

    def pooled(self) -> Need:
        """A job that goes through the pool, or through the text of any sources."""
        sources = self.study.sources
        seconds = sum(self._seconds("pack", source) for source in sources)
        held = max(_text(self._bytes(source)) for source in sources)
        return Need(held + SELECTED * self._rows, seconds)

    def items(self, task: str) -> Need:
        """The candidates of a test set, text and tokens, out of documents or records."""
        sources = self.study.task_sources(task)
        held = max((_text(self._bytes(source)) for source in sources), default=_text(TEXT))
        return Need(held + CANDIDATE * self._words(task), self._seconds("items", task))

    def overlap(self, source: str, task: str) -> Need:
        """A job over the text of a shard of a source: windows of a task's items."""
        return Need(BARE + WINDOW * self._words(task), self._seconds("overlap", source))

    def task(self, task: str) -> Need:
        """The candidates of a test set, and their windows."""
        return Need(BARE + (CANDIDATE + WINDOW) * self._words(task), self._seconds("task", task))

    def _words(self, task: str) -> float:
        """Words of a test set's candidates, at most: of whole texts, or of questions."""
        entry = self.study.config.tasks[task]
        length = self.study.config.pool.length
        held = SURPLUS * (entry.examples + entry.target_examples)
        return float(held * (length if entry.kind == "text" else min(length, QUESTION)))

    def train(self, scale: str, distribution: str) -> Need:
        """One run: weights, gradients and two moments in float32; 6·P·D operations."""
        found = self.study.scales[scale]
        states = (16.0 + 4 * len(self.study.config.checkpoints)) * found.parameters
        memory = states + activations(found.model, found.training["batch_tokens"])
        share = self.study.tokens(scale, distribution) / found.tokens
        if hours := found.execution.get("hours"):
            return Need(self.memory + memory, 3600 * hours)
        return Need(self.memory + memory, share * self._seconds("train", scale))

    def evaluate(self, scale: str) -> Need:
        """A run's losses on all tasks."""
        found = self.study.scales[scale]
        memory = 4.0 * found.parameters + activations(found.model, BATCH_TOKENS)
        return Need(self.memory + memory, self._seconds("evaluate", scale))

    def features(self, scale: str, candidates: str) -> Need:
        """Gradients of some candidates at a time, and the projections of all."""
        found = self.study.scales[scale]
        gradients = 4.0 * GRADIENTS * found.parameters + activations(found.model, BATCH_TOKENS)
        memory = self.memory + gradients + self._features(candidates)
        return Need(memory, self._seconds("features", scale, candidates))

    def candidate_losses(self, scale: str, distribution: str, candidates: str) -> Need:
        """Losses of the candidates under one model after another; features take longer."""
        models = len(self.study.models(scale, distribution))
        seconds = models * self._seconds("features", scale, candidates)
        return Need(self.evaluate(scale).memory, seconds)

    def score(self, candidates: str) -> Need:
        """A kernel of all features of one model after another, and its decomposition."""
        dimension = self.study.config.attribution.dimension
        features = self._features(candidates)
        operations = 2 * features / 4 * dimension + 25.0 * dimension**3
        models = self.study.config.attribution.models
        memory = TORCH + features + 3 * 8.0 * dimension**2
        return Need(memory, MARGIN * models * operations / CPU_FLOPS)

    def measure(self, model: OwnModel) -> Need:
        """A model that is there, in float32 beside what it is read from, on all tasks."""
        size = model.parameters or named(model.scale)
        return Need(self.memory + 8.0 * (UNSIZED if math.isnan(size) else size), UNKNOWN)

    def rivals(self) -> Need:
        """n-grams of one distribution after another."""
        config = self.study.config
        sizes = [config.distributions[name].size or 0 for name in self.study.grid]
        tokens = max(config.selection.size, *sizes) * config.pool.length
        rows = len(sizes) * sum(task.examples for task in config.tasks.values())
        counted = COUNTED * min(tokens, MOST_COUNTED) + LOSS_BYTES * rows * len(config.rivals)
        return Need(BARE + counted, MARGIN * len(sizes) * tokens / COUNT_RATE)

    def reading(self) -> Need:
        """A job over the losses of all runs."""
        rows = self.study.loss_rows
        return Need(BARE + LOSS_BYTES * rows, MARGIN * rows / LOSS_RATE)

    def _seconds(self, rule: str, *subject: str) -> float:
        """The plan's seconds of a job about a subject, and the margin."""
        log = self.study.paths.log("/".join((rule, *subject)))
        seconds = self.estimate.seconds(Job(rule, log, pending=True))
        return UNKNOWN if seconds is None else MARGIN * seconds

    def _by_flops(self, scale: str) -> float:
        found = self.study.scales[scale]
        rate = GPU_FLOPS * self.gpus if self.gpus else CPU_FLOPS
        return float(found.flops / rate + STEP * found.tokens / found.training["batch_tokens"])

    def _bytes(self, source: str) -> float:
        return text_bytes(self.study, source) or UNTOLD

    @property
    def _rows(self) -> float:
        """Examples in the pool."""
        return self.estimate.pool_examples or UNTOLD / self.study.config.pool.length

    def _features(self, candidates: str) -> float:
        """Bytes of the features of so many candidates, or of all."""
        rows = candidates_named(candidates)[0] or self._rows
        return 4.0 * self.study.config.attribution.dimension * rows


def _text(size: float) -> float:
    """Bytes of memory of a job that goes through so much text."""
    return BARE + TEXT_COPIES * min(size, TEXT)
