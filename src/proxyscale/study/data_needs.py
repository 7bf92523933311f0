"""The needs of a language study's jobs on text: those that run no model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from functools import cached_property

from proxyscale.data.encoded_items import SURPLUS
from proxyscale.study import demands
from proxyscale.study.hardware import Device
from proxyscale.study.input_checks import text_bytes
from proxyscale.study.job_graph import Job
from proxyscale.study.job_times import (
    COUNT_RATE,
    MERGED,
    SCANNED,
    Estimate,
    readers,
    scanned,
    shared,
)
from proxyscale.study.language_runs import LanguageRuns, candidates_named
from proxyscale.study.needs import BARE, LOSS_BYTES, MARGIN, MB, UNKNOWN, Need, Needs
from proxyscale.study.plan import PACKED, select_memory

TEXT_COPIES, TOKENIZER_COPIES = 12, 100  # bytes of memory per byte of text that is held
TEXT = 64 * MB  # bytes of text held at a time: a group of documents, or one that is large
READER = 250 * MB  # bytes of a process that reads, with the hub's client in it
HASHES = 0.1  # bytes of memory per byte of a corpus: a hash of every document, of a KB or more
# Memory of a token whose n-grams are counted, as many as are at most.
COUNTED, MOST_COUNTED = 200, 1e7
CANDIDATE, WINDOW = 60, 100  # bytes of memory per word of a test set: as it is encoded, as sought
UNTOLD = 1e9  # bytes of a source whose size cannot be told beforehand
QUESTION = 256  # words of a question with what is given with it, at most


class DataNeeds(Needs):
    """The needs of the jobs that make and select data, and what all jobs' needs are told from."""

    study: LanguageRuns

    @property
    @abstractmethod
    def _main(self) -> Device:
        """The device of what is about no single scale."""

    @abstractmethod
    def _by_flops(self, scale: str) -> float:
        """Seconds of a run that nothing has been measured of."""

    @cached_property
    def estimate(self) -> Estimate:
        """The plan's, with what finished runs took."""
        logs = ("train/{}/{}/{}-{}".format(*run) for run in self.study.trained)
        jobs = [Job("train", self.study.paths.log(log), pending=False) for log in logs]
        return Estimate(self.study, jobs, self._by_flops, wall=self._main.gpu)

    def learn(self, jobs: Iterable[Job]) -> None:
        self.estimate = Estimate(self.study, jobs, self._by_flops, wall=self._main.gpu)

    def corpus(self, source: str) -> Need:
        """A job over the text of a source: what is held of it, and hashes of its documents.

        Each of several processes holds as much, and the time on the clock is a share of theirs.
        What they read stays on the disk until it is put together: less than is packed of it later.
        """
        size, cores = self._bytes(source), readers(self.study, source)
        memory, seconds = _text(size) + HASHES * size, self._seconds("corpus", source)
        if cores > 1:
            memory += cores * (READER + _text(size) - BARE)
            if not self.estimate.wall:
                seconds = max(seconds / cores, MARGIN * size / MERGED)
        return Need(memory, seconds, disk=size, cores=cores)

    def pack(self, source: str) -> Need:
        """A job over a shard of a source: what is held of its text, and hashes of its rows."""
        size = self._bytes(source) / self.study.config.sources[source].shards
        rows = size / self.study.config.pool.length
        disk = 5.0 * size  # four bytes a token at most, and a hash of every word
        return Need(_text(size) + PACKED * rows, self._seconds("pack", source), disk=disk)

    def tokenizer(self) -> Need:
        """Training on a sample of text, all of it in memory."""
        sample = self.study.config.tokenizer.sample_bytes
        return Need(BARE + TOKENIZER_COPIES * sample, self._seconds("tokenizer"))

    def pool(self) -> Need:
        """A job that goes through the pool's manifests."""
        return Need(BARE, MARGIN * 60)

    def select(self, distribution: str) -> Need:
        """Candidates' ids and scores in memory; their text too is read where it is compared, by
        processes that share it."""
        entry, pool = self.study.config.distributions[distribution], round(self._rows)
        rows = entry.candidates or self.study.config.selection.candidates or pool
        size = (entry.size or self.study.config.selection.size) * self.study.draws(distribution)
        tokens, cores = scanned(self.study, distribution, pool), shared(self.study, distribution)
        held = max(_text(self._bytes(source)) for source in self.study.sources)
        memory = held + select_memory(self.study, distribution, pool)
        seconds = MARGIN * (tokens / SCANNED / cores + 1e-5 * (rows + size))
        return Need(memory, seconds, disk=12.0 * size, cores=cores)

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

    def rivals(self) -> Need:
        """n-grams of one distribution after another."""
        config = self.study.config
        sizes = [config.distributions[name].size or 0 for name in self.study.grid]
        tokens = min(MOST_COUNTED, max(config.selection.size, *sizes) * config.pool.length)
        rows = len(sizes) * sum(task.examples for task in config.tasks.values())
        counted = COUNTED * tokens + LOSS_BYTES * rows * len(config.rivals)
        return Need(BARE + counted, MARGIN * len(sizes) * tokens / COUNT_RATE)

    def _seconds(self, rule: str, *subject: str) -> float:
        """The plan's seconds of a job about a subject, and the margin."""
        log = self.study.paths.log("/".join((rule, *subject)))
        seconds = self.estimate.seconds(Job(rule, log, pending=True))
        return UNKNOWN if seconds is None else MARGIN * seconds

    def _bytes(self, source: str) -> float:
        return text_bytes(self.study, source) or UNTOLD

    @property
    def _rows(self) -> float:
        """Examples in the pool, at most; of text alone, a fifth more than are expected."""
        most = self.estimate.pool_examples or UNTOLD / self.study.config.pool.length
        expected = [demands.expected_rows(self.study, source) for source in self.study.sources]
        known = [rows for rows in expected if rows is not None]
        return most if len(known) < len(expected) else min(most, 1.2 * sum(known) + 1)

    def _candidates(self, candidates: str) -> float:
        """So many candidates, or all of their sources."""
        return candidates_named(candidates)[0] or self._rows


def _text(size: float) -> float:
    """Bytes of memory of a job that goes through so much text."""
    return BARE + TEXT_COPIES * min(size, TEXT)
