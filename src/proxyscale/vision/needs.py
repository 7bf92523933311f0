"""The needs of the jobs of a study of image models, by rule.

Time is what `job_times` expects of the device, with the margin; small jobs are given a minute more.
"""

from __future__ import annotations

from functools import cached_property

from proxyscale.base.cost import resnet_activations
from proxyscale.base.devices import Most
from proxyscale.study.needs import BARE, CONTEXT, CUDA, MARGIN, TORCH, Need, Needs
from proxyscale.vision.images import HELD, ROWS
from proxyscale.vision.job_times import SPLITS, UNTOLD, ImageTimes, copies
from proxyscale.vision.runs import ImageRuns
from proxyscale.vision.score_matrices import BLOCK

INDEX = 500.0  # bytes of memory of an image's row in an index, and of its hash
LAYER = 12.0  # bytes that the backward pass keeps of an activation: before the norm, after it, kept
WORKSPACE = 2e9  # bytes of a GPU that convolutions work in
MEASURED = 512  # images measured at a time
RANKING = 200.0  # bytes of memory of a number that is being ranked
MINUTE, TEN = 60 * MARGIN, 600 * MARGIN  # seconds that small jobs are given besides


class ImageNeeds(Needs):
    """The needs of the jobs of a study of image models."""

    study: ImageRuns

    @cached_property
    def times(self) -> ImageTimes:
        return ImageTimes(self.study, self.device(self.study.config.execution.device))

    def most_gpus(self) -> Most:
        named = self.study.config.execution.device
        return Most(float(self.device(named).gpu), "execution", named)

    def image_corpus(self, source: str) -> Need:
        """Decoding the images of a source, one after another."""
        images = self.study.images(source) or UNTOLD
        seconds = MARGIN * self.times.image_corpus(source)
        return Need(BARE + INDEX * images, seconds, disk=images * self.times.bytes)

    def image_pool(self) -> Need:
        """Choosing and copying images; the moments of some at a time."""
        pool, size = self.times.pool, self.times.bytes
        moments = 24.0 * min(ROWS, pool) * size
        seconds = MARGIN * self.times.image_pool()
        return Need(BARE + INDEX * pool + moments, seconds, disk=pool * size)

    def image_task(self, task: str) -> Need:
        """The same of a test set, and the hashes of the pool."""
        images = self.study.images(self.study.config.tasks[task].source) or UNTOLD
        tests, size = self.times.tests(task), self.times.bytes
        memory = BARE + INDEX * (self.times.pool + images)
        memory += min(ROWS, tests) * size
        seconds = MARGIN * self.times.image_task(task)
        return Need(memory, seconds, disk=tests * size, slack=MINUTE)

    def subsets(self, distribution: str) -> Need:
        """Drawing subsets: masks, and by scores or features of the reference's models."""
        pool, by = self.times.pool, self.study.drawn_by(distribution)
        held, seconds = 16.0 * pool, MARGIN * self.times.subsets(distribution)
        if by == "pool" or by == "task":
            return Need(BARE + held, seconds, slack=MINUTE)
        own = self.study.config.counterfactuals
        tests = self.times.tests(own.task) if own else 0.0
        if by == "scores":
            models = max(self.study.config.attribution.trak.models)
            return Need(BARE + held + 12.0 * (models + 1) * tests * pool, seconds, slack=TEN)
        scale = self.study.scales[self.study.config.reference]
        width = scale.model["channels"] * 2 ** (len(scale.model["blocks"]) - 1)
        memory = TORCH + held + 20.0 * width * (pool + tests) + 8.0 * tests * pool
        on_gpu = CONTEXT + WORKSPACE + 4.0 * scale.parameters + min(HELD, pool * self.times.bytes)
        return self._on_device(memory + 12.0 * scale.parameters, seconds, on_gpu)

    def train_ensemble(self, scale: str, distribution: str, ensemble: str) -> Need:
        """The runs of an ensemble, a stack at a time; what is kept waits in files meanwhile."""
        own, runs = self.study.scales[scale], self.study.runs_of(distribution, ensemble)
        training, stack = own.training, min(own.training["stack"], len(runs))
        kept = len(self.study.kept(scale, distribution))
        seen, size = self.times.seen(distribution) * training["epochs"], self.times.bytes
        held = resnet_activations(own.model, own.size)
        seconds = MARGIN * self.times.train_ensemble(scale, distribution, ensemble)
        states = 4.0 * own.parameters
        # a stack with its checkpoints, or an epoch of all runs, twice
        memory = TORCH + states * max(stack * (kept + 2), 2 * len(runs)) + 8.0 * seen * stack
        on_gpu = (
            CONTEXT
            + WORKSPACE
            + min(HELD, self.times.pool * size)
            + stack * (3 * states + training["batch"] * (held * LAYER + 8.0 * size))
        )
        disk = 2 * states * len(runs) * kept
        if not self.times.device.gpu:
            memory += stack * (2 * states + training["batch"] * held * LAYER)
        return self._on_device(memory, seconds, on_gpu, disk)

    def evaluate_ensemble(self, scale: str, distribution: str, ensemble: str, task: str) -> Need:
        """Losses of all runs of an ensemble on a test set."""
        own, runs = self.study.scales[scale], self.study.runs_of(distribution, ensemble)
        stack = min(own.training["stack"], len(runs))
        seconds = MARGIN * self.times.evaluate_ensemble(scale, distribution, ensemble, task)
        states = 4.0 * own.parameters
        # without gradients no more than a block's activations are held together
        held = stack * MEASURED * resnet_activations(own.model, own.size) * 4 / 2
        on_gpu = CONTEXT + WORKSPACE + stack * states + held
        disk = 40.0 * len(runs) * self.times.tests(task)
        memory = TORCH + states * (len(runs) + 3 * stack) + held * (not self.times.device.gpu)
        return self._on_device(memory, seconds, on_gpu, disk, MINUTE)

    def score_ensemble(self, scale: str, distribution: str, ensemble: str) -> Need:
        """Gradients of all images by every run and checkpoint, and the scores out of them."""
        own, runs = self.study.scales[scale], self.study.runs_of(distribution, ensemble)
        tests, pool = sum(map(self.times.tests, self.study.config.tasks)), self.times.pool
        p, k = own.parameters, self.study.config.attribution.trak.projection
        seconds = MARGIN * self.times.score_ensemble(scale, distribution, ensemble)
        # scores of all runs, of one as they are summed, logits of the pool for its residuals
        matrices = 4.0 * (tests + 1) * pool * (len(runs) + 3)
        matrices += 8.0 * pool * own.model["classes"]
        memory = TORCH + 12.0 * p * len(runs) + matrices
        held = resnet_activations(own.model, own.size)
        on_gpu = CONTEXT + WORKSPACE + copies(own) * (8.0 * p + held * LAYER)
        on_gpu += 3 * 8.0 * k * k + 24.0 * ROWS * k if k else 3 * 2.0**30
        on_gpu += min(HELD, pool * self.times.bytes) + 16.0 * tests * (k or 0)
        # projected gradients of the pool wait in a file meanwhile
        disk = 4.0 * (tests + 1) * pool * len(runs) + 4.0 * pool * (k or 0)
        return self._on_device(memory, seconds, on_gpu, disk)

    def datamodels(self, scale: str) -> Need:
        """A regression of every test image's outputs on the subsets."""
        own = self.study.config.attribution.datamodels
        assert own is not None
        subsets, pool = self.study.draws(own.distribution), self.times.pool
        inner = min(float(subsets), pool)
        memory = 8.0 * (5 * subsets * pool + 3 * inner**2 + 7 * self.times.columns * pool)
        return Need(TORCH + memory, MARGIN * self.times.datamodels(scale))

    def image_statistics(self) -> Need:
        """Scores of all scales side by side, some test images at a time; ranks along the pool."""
        tests, pool = max(map(self.times.tests, self.study.config.tasks)), self.times.pool
        own, scales = self.study.config.attribution, len(self.study.scales)
        held = BLOCK * (4.0 * scales * (1 + 2 * SPLITS) + 8.0 * max(own.trak.models) + RANKING)
        same = 8.0 * tests * pool  # which of the pool are of a test image's class
        masks = 16.0 * self.study.draws(own.truth) * pool
        memory = self.reading().memory + held + same + masks
        return Need(memory, MARGIN * self.times.image_statistics())

    def _on_device(
        self, memory: float, seconds: float, on_gpu: float, disk: float = 0.0, slack: float = 0.0
    ) -> Need:
        if not self.times.device.gpu:
            return Need(memory, seconds, disk=disk, slack=slack)
        return Need(memory + CUDA, seconds, 1.0, on_gpu, disk, slack=slack)
