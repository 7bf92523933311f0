"""The needs of the jobs of a study of image models, by rule.

Operations: three forward passes for a step of training (forward, backward for inputs and weights).
Convolutions compute in TF32 on GPUs unless the study says bf16. Small networks leave a GPU waiting
for its next kernel: a step takes `STEP` at least, however small, and every activation passes
through its memory `PASSES` times.
"""

from __future__ import annotations

from functools import cached_property

from proxyscale.base.cost import resnet_activations
from proxyscale.base.devices import Most
from proxyscale.study.hardware import Device
from proxyscale.study.needs import BARE, CONTEXT, CUDA, MARGIN, TORCH, Need, Needs
from proxyscale.vision.images import HELD, ROWS
from proxyscale.vision.plan import pool_examples
from proxyscale.vision.runs import ImageRuns
from proxyscale.vision.score_matrices import BLOCK

DECODED = 2e-7  # seconds to decode, scale and write a pixel
INDEX = 500.0  # bytes of memory of an image's row in an index, and of its hash
UNTOLD = 1e6  # images of a source that does not say how many
STEP = 0.02  # seconds
GRADIENT = 0.005  # seconds, at least, of the gradients of a batch of images
PASSES = 16.0  # of activations through memory, in a step
LAYER = 12.0  # bytes that the backward pass keeps of an activation: before the norm, after it, kept
WORKSPACE = 2e9  # bytes of a GPU that convolutions work in
CONVOLVED = 0.6  # of what matrices sustain, convolutions of many channels do
MEASURED = 512  # images measured at a time
COPIES = 2**22  # parameters of all the copies of a network that share a batch
STACKED = 64  # copies, at most
SPLITS = 8  # halves of the models that scores are compared by
PENALTIES, ITERATIONS = 20, 250  # of a lasso's path, and of its solver
DOUBLE = 3e10  # FLOP/s of a core in float64
RANKING = 200.0  # bytes of memory of a number that is being ranked
RANKED = 1.2e-7  # seconds to rank a number among a million


class ImageNeeds(Needs):
    """The needs of the jobs of a study of image models."""

    study: ImageRuns

    @cached_property
    def _device(self) -> Device:
        return self.device(self.study.config.execution.device)

    def most_gpus(self) -> Most:
        named = self.study.config.execution.device
        return Most(float(self.device(named).gpu), "execution", named)

    def image_corpus(self, source: str) -> Need:
        """Decoding the images of a source, one after another."""
        images = self.study.config.sources[source].images or UNTOLD
        seconds = MARGIN * images * (1e-4 + DECODED * self._pixels)
        return Need(BARE + INDEX * images, seconds, disk=images * self._bytes)

    def image_pool(self) -> Need:
        """Choosing and copying images; the moments of some at a time."""
        moments = 24.0 * min(ROWS, self._pool) * self._bytes
        seconds = MARGIN * self._pool * self._bytes / 1e8
        return Need(BARE + INDEX * self._pool + moments, seconds, disk=self._pool * self._bytes)

    def image_task(self, task: str) -> Need:
        """The same of a test set, and the hashes of the pool."""
        source = self.study.config.sources[self.study.config.tasks[task].source]
        copied = min(ROWS, self._tests(task)) * self._bytes
        memory = BARE + INDEX * (self._pool + (source.images or UNTOLD)) + copied
        return Need(memory, MARGIN * 60, disk=self._tests(task) * self._bytes)

    def subsets(self, distribution: str) -> Need:
        """Drawing subsets: masks, and by scores or features of the reference's models."""
        held, by = 16.0 * self._pool, self.study.drawn_by(distribution)
        if by == "pool" or by == "task":
            return Need(BARE + held, MARGIN * 60)
        own = self.study.config.counterfactuals
        tests = self._tests(own.task) if own else 0.0
        if by == "scores":
            models = max(self.study.config.attribution.trak.models)
            return Need(BARE + held + 12.0 * (models + 1) * tests * self._pool, MARGIN * 600)
        scale = self.study.scales[self.study.config.reference]
        width = scale.model["channels"] * 2 ** (len(scale.model["blocks"]) - 1)
        memory = TORCH + held + 20.0 * width * (self._pool + tests) + 8.0 * tests * self._pool
        work = scale.forward_flops * (self._pool + tests) / self._rate("fp32")
        on_gpu = CONTEXT + WORKSPACE + 4.0 * scale.parameters + min(HELD, self._pool * self._bytes)
        return self._on_device(memory + 12.0 * scale.parameters, MARGIN * work, on_gpu)

    def train_ensemble(self, scale: str, distribution: str, ensemble: str) -> Need:
        """The runs of an ensemble, a stack at a time; what is kept waits in files meanwhile."""
        own, runs = self.study.scales[scale], self.study.runs_of(distribution, ensemble)
        training, stack = own.training, min(own.training["stack"], len(runs))
        kept = len(self.study.kept(scale, distribution))
        seen = self._seen(distribution) * training["epochs"]
        steps = seen / training["batch"] * -(-len(runs) // stack)
        held = resnet_activations(own.model, own.size)
        precision = training["precision"]
        work = len(runs) * 3 * own.forward_flops * seen / self._rate(precision)
        traffic = len(runs) * seen * held * PASSES * 4 / self._device.bandwidth
        seconds = MARGIN * (work + traffic + STEP * steps)
        states = 4.0 * own.parameters
        # a stack with its checkpoints, or an epoch of all runs, twice
        memory = TORCH + states * max(stack * (kept + 2), 2 * len(runs)) + 8.0 * seen * stack
        on_gpu = (
            CONTEXT
            + WORKSPACE
            + min(HELD, self._pool * self._bytes)
            + stack * (3 * states + training["batch"] * (held * LAYER + 8.0 * self._bytes))
        )
        disk = 2 * states * len(runs) * kept
        if not self._device.gpu:
            memory += stack * (2 * states + training["batch"] * held * LAYER)
        return self._on_device(memory, seconds, on_gpu, disk)

    def evaluate_ensemble(self, scale: str, distribution: str, ensemble: str, task: str) -> Need:
        """Losses of all runs of an ensemble on a test set."""
        own, runs = self.study.scales[scale], self.study.runs_of(distribution, ensemble)
        stack = min(own.training["stack"], len(runs))
        work = len(runs) * own.forward_flops * self._tests(task) / self._rate("fp32")
        states = 4.0 * own.parameters
        # without gradients no more than a block's activations are held together
        held = stack * MEASURED * resnet_activations(own.model, own.size) * 4 / 2
        on_gpu = CONTEXT + WORKSPACE + stack * states + held
        disk = 40.0 * len(runs) * self._tests(task)
        memory = TORCH + states * (len(runs) + 3 * stack) + held * (not self._device.gpu)
        return self._on_device(memory, MARGIN * (work + 60), on_gpu, disk)

    def score_ensemble(self, scale: str, distribution: str, ensemble: str) -> Need:
        """Gradients of all images by every run and checkpoint, and the scores out of them."""
        own, runs = self.study.scales[scale], self.study.runs_of(distribution, ensemble)
        options = self.study.config.attribution.trak
        kept = len(options.checkpoints or self.study.kept(scale, distribution))
        tests = sum(map(self._tests, self.study.config.tasks))
        images, p, k = self._pool + tests, own.parameters, options.projection
        copies = max(1, min(STACKED, COPIES // p))
        held = resnet_activations(own.model, own.size)
        each = 4 * own.forward_flops / self._rate("fp32")
        each += (held * PASSES * 4 + 12.0 * p) / self._device.bandwidth + GRADIENT / copies
        passes = 1.0 if k else self._pool * 4 * p / 2**30 / 2  # of blocks against each other
        rest = 4.0 * k * k * self._pool if k else 2.0 * p * self._pool**2
        seconds = len(runs) * kept * (images * each * max(1.0, passes) + rest / self._rate("fp32"))
        # scores of all runs, of one as they are summed, logits of the pool for its residuals
        matrices = 4.0 * (tests + 1) * self._pool * (len(runs) + 3)
        matrices += 8.0 * self._pool * own.model["classes"]
        memory = TORCH + 12.0 * p * len(runs) + matrices
        on_gpu = CONTEXT + WORKSPACE + copies * (8.0 * p + held * LAYER)
        on_gpu += 3 * 8.0 * k * k + 24.0 * ROWS * k if k else 3 * 2.0**30
        on_gpu += min(HELD, self._pool * self._bytes) + 16.0 * tests * (k or 0)
        # projected gradients of the pool wait in a file meanwhile
        disk = 4.0 * (tests + 1) * self._pool * len(runs) + 4.0 * self._pool * (k or 0)
        return self._on_device(memory, MARGIN * seconds, on_gpu, disk)

    def datamodels(self, scale: str) -> Need:
        """A regression of every test image's outputs on the subsets.

        A lasso takes all penalties of all images together, six times: of five folds and the whole.
        """
        own = self.study.config.attribution.datamodels
        assert own is not None
        subsets = self.study.draws(own.distribution)
        tests = own.tests or max(map(self._tests, self.study.config.tasks))
        inner = min(float(subsets), self._pool)
        columns = tests * (PENALTIES if "lasso" in own.methods else 1)
        memory = 8.0 * (5 * subsets * self._pool + 3 * inner**2 + 7 * columns * self._pool)
        work = 4.0 * inner * self._pool * columns * 6 * ITERATIONS
        seconds = len(own.methods) * max(1, len(own.subsets)) * work / DOUBLE
        return Need(TORCH + memory, MARGIN * seconds)

    def image_statistics(self) -> Need:
        """Scores of all scales side by side, some test images at a time; ranks along the pool."""
        tests = max(map(self._tests, self.study.config.tasks))
        own, scales = self.study.config.attribution, len(self.study.scales)
        held = BLOCK * (4.0 * scales * (1 + 2 * SPLITS) + 8.0 * max(own.trak.models) + RANKING)
        same = 8.0 * tests * self._pool  # which of the pool are of a test image's class
        masks = 16.0 * self.study.draws(own.truth) * self._pool
        ranked = scales * (1 + 2 * SPLITS) * tests * self._pool
        memory = self.reading().memory + held + same + masks
        return Need(memory, MARGIN * (RANKED * ranked + self.reading().seconds))

    def _on_device(self, memory: float, seconds: float, on_gpu: float, disk: float = 0.0) -> Need:
        if not self._device.gpu:
            return Need(memory, seconds, disk=disk)
        return Need(memory + CUDA, seconds, 1.0, on_gpu, disk)

    def _rate(self, precision: str) -> float:
        """FLOP/s of convolutions: on GPUs in TF32 where float32 is said, cuDNN's default."""
        named = "tf32" if precision == "fp32" and self._device.gpu else precision
        return self._device.rate(named) * (CONVOLVED if self._device.gpu else 1.0)

    @property
    def _pixels(self) -> int:
        return int(self.study.config.pool.size**2)

    @property
    def _bytes(self) -> float:
        """Of an image."""
        return float(self._pixels * self.study.config.pool.colors)

    @property
    def _pool(self) -> float:
        return float(pool_examples(self.study) or UNTOLD)

    def _tests(self, task: str) -> float:
        """Holdout images of a test set."""
        return float(self.study.tests(task) or UNTOLD)

    def _seen(self, distribution: str) -> float:
        """Images of an epoch, at most."""
        entry = self.study.config.distributions[distribution]
        return self._pool * (entry.fraction if entry.method == "stratified" else 1.0)
