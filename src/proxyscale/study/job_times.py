"""How long every job takes: as it took, as its like took, or as is estimated.

A job's time is its own when it last ran, or that of its like; where nothing has run yet it follows
from a short calibration of training and from rates of reading and tokenizing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from statistics import mean

from proxyscale import registry
from proxyscale.base import artifacts, machine
from proxyscale.base.cost import row_bytes
from proxyscale.base.progress import Noted, noted_duration
from proxyscale.data.shards import LEAST
from proxyscale.study.input_checks import text_bytes
from proxyscale.study.job_graph import Job
from proxyscale.study.language_runs import LanguageRuns, candidates_named
from proxyscale.study.option_checks import corpus_kind

# CPU seconds and rates of one core (AVX-512, 2.x GHz), as the default study took, whose jobs are
# forked from a process that has loaded what they need.
START = {"corpus": 0.6, "pack": 0.6, "tokenizer": 0.1, "pool": 0.1, "items": 0.6, "select": 0.3}
START |= {"overlap": 0.3, "task": 0.6, "train": 0.1, "evaluate": 0.1, "features": 0.3}
START |= {"feature_shard": 0.3, "score": 0.5, "compare_scores": 5.0, "figure": 2.2}
START |= {"table": 0.2, "next_steps": 0.3, "proposal": 0.3}
OTHER = 1.5  # seconds of any other job
BYTES = {"corpus": 12e6, "pack": 1.1e6, "overlap": 20e6, "tokenizer": 0.5e6}  # of text, a second
PARSED = 0.45e6  # bytes a second of docstrings, which all of a package's code is searched for
MERGED = 50e6  # bytes a second that one process puts together of what several have read
READERS = 8  # processes that read a source: more would wait for it
STRIPPED = 1.4e6  # of code whose docstrings are cut out
HELD_OUT = 0.5e6  # bytes a second of held-out documents that a test set is made of
FORWARD = 0.3  # of a training step is the forward pass that measures a loss
FEATURES = 1.0  # a per-example gradient and its projection, in training steps of the same tokens
SCANNED = 6.5e5  # tokens a second whose words are counted by a selection that compares texts
COUNT_RATE = 5e5  # tokens a second whose n-grams are counted
KERNEL = 1.2e11  # FLOP/s of large matrices in float32, of which scores are made
LOSSES = {"statistics": 8e4, "collect": 3e5}  # losses a second
READ = 1e9  # bytes a second of features, from a file system
MODELLED = ("train", "evaluate", "features", "feature_shard", "candidate_losses")
# A calibration takes ten steps, all of a study together at most so many FLOPs: five seconds.
CALIBRATED = 6e10
# CPU seconds of Snakemake's own, as the default study took: to plan the graph, and of every job.
PLANNED, SCHEDULED = 7.0, 0.065


def scanned(study: LanguageRuns, distribution: str, pool: int) -> int:
    """Tokens that a distribution's method reads where it compares texts: its candidates, twice.

    `pool`: examples of the pool, for a method that has them all for candidates.
    """
    entry = study.config.distributions[distribution]
    if "target" not in registry.selection.needs(entry.method).reads:
        return 0
    rows = entry.candidates or study.config.selection.candidates or pool
    return 2 * rows * study.config.pool.length


def shared(study: LanguageRuns, distribution: str) -> int:
    """Processes that share a selection: where its method reads texts in parts, as many as the
    largest of its candidates' sources has shards."""
    entry = study.config.distributions[distribution]
    if not registry.selection.needs(entry.method).in_parts:
        return 1
    among = entry.candidate_sources or study.sources
    return max(study.config.sources[source].shards for source in among)


def corpus_rate(study: LanguageRuns, source: str) -> float:
    """Bytes a second that a source's documents are read at."""
    options = study.config.sources[source].options
    if options.get("part") == "docstrings":
        return PARSED
    return STRIPPED if options.get("strip_docstrings") else BYTES["corpus"]


def readers(study: LanguageRuns, source: str) -> int:
    """Processes that read a source: as many as it has shards, and files to read them from."""
    entry = study.config.sources[source]
    kind, files = corpus_kind(entry), 1
    if kind == "hub":
        files = READERS  # of which nobody has asked the hub yet
    elif kind == "files":
        found = study.local_files.of(entry.options["files"])
        files = min(len(found), 1 + sum(one.st_size for one in found.values()) // LEAST)
    return min(entry.shards, files, READERS)


def read_seconds(study: LanguageRuns, source: str, clock: bool) -> float | None:
    """Seconds of reading a source: of CPUs, or on the clock."""
    size, several = text_bytes(study, source), readers(study, source)
    if size is None:
        return None
    reading, merging = size / corpus_rate(study, source), size / MERGED
    if several == 1:
        return reading
    return max(reading / several, merging) if clock else reading + merging


def counted(study: LanguageRuns) -> int:
    """Tokens whose n-grams the rivals of proxies count: those of every distribution."""
    config = study.config
    rows = sum(config.distributions[name].size or config.selection.size for name in study.grid)
    return rows * config.pool.length


def calibrated(study: LanguageRuns) -> list[str]:
    """The scales of which ten steps are taken, the cheapest first: what others take follows."""
    found, total = [], 0.0
    engines = {n: s for n, s in study.scales.items() if s.training["engine"] in registry.ENGINES}
    costs = {n: 60.0 * s.parameters * s.training["batch_tokens"] for n, s in engines.items()}
    for name in sorted(costs, key=lambda name: costs[name]):
        total += costs[name]
        if total > CALIBRATED:
            break
        found.append(name)
    return found


class Estimate:
    """Seconds of every job: measured where it has run, else estimated.

    CPU seconds, or with `wall` those on the clock: of what a GPU does the CPU knows little. `text`
    and `matrices` are what such work takes here, in the time that the rates above say.
    """

    def __init__(
        self,
        study: LanguageRuns,
        jobs: Iterable[Job],
        calibrate: Callable[[str], float | None],
        wall: bool = False,
        text: float = 1.0,
        matrices: float = 1.0,
    ) -> None:
        self.study = study
        self.jobs = list(jobs)
        self.calibrate = calibrate
        self.wall = wall
        self.text, self.matrices = text, matrices
        self.steps: dict[str, float | None] = {}  # training seconds by scale, as calibrated

    @cached_property
    def measured(self) -> dict[Job, float]:
        """Seconds of the jobs that have finished, from their logs."""
        known = {job: took for job, took in self._noted.items() if self._still(job)}
        return {job: took.seconds if self.wall else took.cpu for job, took in known.items()}

    @cached_property
    def _noted(self) -> dict[Job, Noted]:
        found = {job: noted_duration(Path(job.log)) for job in self.jobs}
        return {job: took for job, took in found.items() if took}

    def _still(self, job: Job) -> bool:
        """Whether a job that has run is as long as it was then: its scale is the same size."""
        scale = self.study.scales.get(self.subject(job))
        if job.rule != "train" or scale is None:
            return True
        folder = Path(job.log.replace("/logs/train/", "/runs/")).with_suffix("")
        if not (folder / "manifest.json").exists():
            return False
        facts = artifacts.read_json(folder / "manifest.json")
        tokens = self.study.tokens(scale.name, folder.parent.name)
        return (facts["parameters"], facts["tokens"]) == (scale.parameters, tokens)

    @cached_property
    def alike(self) -> dict[tuple[str, str], float]:
        """Mean seconds of finished jobs of one rule and one subject: of those on a machine such as
        this one, if there are any."""
        groups: dict[tuple[str, str], dict[bool, list[float]]] = {}
        for job, seconds in self.measured.items():
            own = self._noted[job].machine == machine.key()
            kinds = groups.setdefault((job.rule, self.subject(job)), {})
            kinds.setdefault(own, []).append(seconds)
        return {key: mean(kinds.get(True) or kinds[False]) for key, kinds in groups.items()}

    def subject(self, job: Job) -> str:
        """What a job is about: its source, task or scale."""
        parts = Path(job.log).relative_to(self.study.paths.log("").removesuffix(".log")).parts
        return parts[1].removesuffix(".log") if len(parts) > 1 else ""

    def seconds(self, job: Job) -> float | None:
        """One job's seconds; None where that cannot be told."""
        if job in self.measured:
            return self.measured[job]
        return self.alike.get((job.rule, self.subject(job)), self._estimated(job))

    def clock(self, job: Job, cores: int) -> float | None:
        """The same on the clock of a machine with so many cores, which one job alone shares."""
        seconds, subject = self.seconds(job), self.subject(job)
        if seconds is None or self.wall:
            return seconds
        sharing = {"corpus": readers, "select": shared}.get(job.rule)
        return seconds / min(cores, sharing(self.study, subject)) if sharing else seconds

    def _estimated(self, job: Job) -> float | None:
        study, subject = self.study, self.subject(job)
        start, text = self.text * START.get(job.rule, OTHER), self.text
        if job.rule == "corpus":
            reading = read_seconds(study, subject, self.wall)
            return None if reading is None else start + text * reading
        if job.rule in ("pack", "overlap"):
            size, shards = text_bytes(study, subject), study.config.sources[subject].shards
            return None if size is None else start + text * size / shards / BYTES[job.rule]
        if job.rule == "items":
            return start + text * self._held_out(subject) / HELD_OUT
        if job.rule == "rivals":
            return start + text * counted(study) / COUNT_RATE
        if job.rule in LOSSES:
            return start + text * study.loss_rows / LOSSES[job.rule]
        if job.rule == "tokenizer":
            trained = study.config.tokenizer.sample_bytes if study.tokenizer_sources() else 0
            return start + text * trained / BYTES["tokenizer"]
        if job.rule == "select":
            return start + text * scanned(study, subject, self.pool_examples or 0) / SCANNED
        if job.rule == "score":
            name, own = Path(job.log).parent.name, study.config.attribution
            return start + own.models * self._scored(self._candidates(name))
        if job.rule == "compare_scores":
            models = sum(map(len, study.side_by_side.values()))
            return start + models * self._scored(self._candidates(study.sample))
        if job.rule not in MODELLED:
            return start
        per_token = self.training(subject)
        if per_token is None:
            return None
        config = study.config
        tokens = float(study.scales[subject].tokens)
        *_, named, distribution, _ = Path(job.log).parts
        if job.rule == "train" and named == subject and distribution in config.distributions:
            tokens = study.tokens(subject, distribution)
        if job.rule == "evaluate":
            examples = sum(task.examples for task in config.tasks.values())
            models = 1 + len(config.checkpoints)
            tokens = FORWARD * models * examples * config.pool.length
        elif job.rule == "features":
            targets = sum(config.tasks[task].target_examples for task in study.scored_tasks)
            name = Path(job.log).stem
            count = 0 if study.feature_shards(name) else self._candidates(name)
            tokens = FEATURES * (count + targets) * config.pool.length
        elif job.rule == "feature_shard":
            name = Path(job.log).parent.name
            share = self._candidates(name) / len(study.feature_shards(name))
            tokens = FEATURES * share * config.pool.length
        elif job.rule == "candidate_losses":
            *_, distribution, name = Path(job.log).with_suffix("").parts
            models = len(study.models(subject, distribution))
            tokens = FORWARD * models * self._candidates(name) * config.pool.length
        return start + tokens * per_token

    def _scored(self, rows: int) -> float:
        """Seconds of one model's scores: features read twice, their kernel and its decomposition,
        of the candidates where these are fewer than dimensions."""
        own, k = self.study.config.attribution, self.study.config.attribution.dimension
        side = min(rows, k)
        products = (2.0 * rows * k * side + 25.0 * side**3) / KERNEL
        return 2 * row_bytes(k, own.keep) * rows / READ + self.matrices * products

    def _held_out(self, task: str) -> float:
        """Bytes of the documents that a test set is made of; none of records."""
        found = 0.0
        for source in self.study.task_sources(task):
            entry, size = self.study.config.sources[source], text_bytes(self.study, source)
            found += (entry.holdout + entry.target) * (size or 0)
        return found

    def _candidates(self, name: str) -> int:
        """So many candidates, or the pool."""
        return candidates_named(name)[0] or self.pool_examples or 0

    def training(self, scale: str) -> float | None:
        """Training seconds of a scale per token: of its finished runs, else calibrated."""
        if scale not in self.steps:
            known = self.alike.get(("train", scale))
            found = None if known is None else max(0.0, known - START["train"])
            self.steps[scale] = self.calibrate(scale) if found is None else found
        seconds = self.steps[scale]
        return None if seconds is None else seconds / self.study.scales[scale].tokens

    @cached_property
    def pool_examples(self) -> int | None:
        """Examples in the pool, or the most that it can have; None where that cannot be told."""
        if Path(self.study.paths.pool).exists():
            return int(artifacts.read_json(self.study.paths.pool)["rows"])
        sizes = [text_bytes(self.study, source) for source in self.study.sources]
        if None in sizes:
            return None
        return int(sum(size or 0 for size in sizes) // self.study.config.pool.length)
