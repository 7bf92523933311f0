"""How long the jobs of a study of image models take: from counts and from how fast a device is.

On CPU cores a probe of the study's own shapes tells how fast that is; else the device's rates do,
as they do on GPUs. Small networks leave a GPU waiting for its next kernel: a step takes `STEP` at
least, however small, and every activation passes through its memory `PASSES` times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from proxyscale.base.cost import resnet_activations
from proxyscale.study.hardware import Device
from proxyscale.study.job_times import LOSSES
from proxyscale.vision.runs import ImageRuns, Width

DECODED = 2e-7  # seconds to decode, scale and write a pixel
COPIED = 1e8  # bytes of images a second that are chosen and copied
UNTOLD = 1e6  # images of a source that does not say how many
STEP = 0.02  # seconds
GRADIENT = 0.005  # seconds, at least, of the gradients of a batch of images
PASSES = 16.0  # of activations through memory, in a step
CONVOLVED = 0.6  # of what matrices sustain, convolutions of many channels do
FORWARD = 0.3  # of a step of training is the forward pass that measures, as measured on a CPU core
COPIES = 2**22  # parameters of all the copies of a network that share a batch
STACKED = 64  # copies, at most
SPLITS = 8  # halves of the models that scores are compared by
PENALTIES, FOLDS, ITERATIONS = 20, 5, 400  # of a lasso: its path, its choice, its solver
PASSED = 5e-8  # seconds of an iteration's passes over a coefficient, beside its products
DOUBLE = 3e10  # FLOP/s of a core in float64
INNER = 6e10  # FLOP/s of a core, of inner products of long gradients in float32
RANKED = 1.2e-7  # seconds to rank a number among a million
RESAMPLED = 5.5e-8  # to rank one of a resample

# CPU seconds of a job beside what grows with counts, of one forked from a process that has loaded
# what it needs, as the digits' study took.
START = {"image_corpus": 0.1, "image_pool": 0.1, "image_task": 0.1, "subsets": 0.1}
START |= {"train_ensemble": 0.3, "evaluate_ensemble": 0.25, "score_ensemble": 0.3}
START |= {"figure": 2.2, "image_table": 0.1, "collect_ensembles": 0.1}
OTHER = 1.5  # of any other job

# The probe takes at least so many steps of every scale that is cheap enough: of all of them at most
# so many FLOPs together, a few seconds.
STEPS, PROBED = 4, 4e10


class Speed(NamedTuple):
    """CPU seconds that a network of a scale takes."""

    trained: float  # for an image in training, as one of a stack
    gradient: float  # for the gradient of an image alone
    copied: float  # laying the copies side by side that take gradients together


class ImageTimes:
    """Seconds of a study's jobs by rule: expected ones, without a margin.

    `speed` of a scale, where it has been measured: then these are CPU seconds of one core.
    `matrices` is what products of large ones take here, in the time that `INNER` and `DOUBLE` say.
    """

    def __init__(
        self,
        study: ImageRuns,
        device: Device,
        speed: Callable[[str], Speed | None] = lambda scale: None,
        matrices: float = 1.0,
    ) -> None:
        self.study, self.device = study, device
        self.speed, self.matrices = speed, matrices

    def image_corpus(self, source: str) -> float:
        """Decoding the images of a source, one after another."""
        images = self.study.images(source) or UNTOLD
        return images * (1e-4 + DECODED * self.pixels)

    def image_pool(self) -> float:
        return self.pool * self.bytes / COPIED

    def image_task(self, task: str) -> float:
        return self.tests(task) * self.bytes / COPIED

    def subsets(self, distribution: str) -> float:
        """A number of the pool is ranked for every draw of an ensemble; features are made first."""
        draws = min(self.study.config.pack, self.study.draws(distribution))
        ranked, own = RANKED * draws * self.pool, self.study.config.counterfactuals
        by = self.study.drawn_by(distribution)
        tests = self.tests(own.task) if own else 0.0
        if by == "scores":
            models = max(self.study.config.attribution.trak.models)
            return ranked + models * tests * self.pool * 4 / COPIED
        if by == "features":
            reference = self.study.scales[self.study.config.reference]
            return ranked + (self.pool + tests) * self._forward(reference)
        return ranked

    def train_ensemble(self, scale: str, distribution: str, ensemble: str) -> float:
        """The runs of an ensemble, a stack at a time."""
        own, runs = self.study.scales[scale], self.study.runs_of(distribution, ensemble)
        seen = self.seen(distribution) * own.training["epochs"]
        if speed := self.speed(scale):
            return float(len(runs) * seen * speed.trained)
        steps = seen / own.training["batch"] * -(-len(runs) // own.training["stack"])
        work = 3 * own.forward_flops / self._rate(own.training["precision"])
        return float(len(runs) * seen * (work + self._traffic(own)) + STEP * steps)

    def evaluate_ensemble(self, scale: str, distribution: str, ensemble: str, task: str) -> float:
        """A forward pass of every image by every run, and a row of losses."""
        rows = len(self.study.runs_of(distribution, ensemble)) * self.tests(task)
        return rows * (self._forward(self.study.scales[scale]) + 1 / LOSSES["collect"])

    def score_ensemble(self, scale: str, distribution: str, ensemble: str) -> float:
        """Gradients of all images by every run and checkpoint, and the scores out of them."""
        own, runs = self.study.scales[scale], self.study.runs_of(distribution, ensemble)
        options = self.study.config.attribution.trak
        kept = len(options.checkpoints or self.study.kept(scale, distribution))
        tests = sum(map(self.tests, self.study.config.tasks))
        p, k = own.parameters, options.projection
        # of blocks against each other
        passes = 1.0 if k else max(1.0, self.pool * 4 * p / 2**30 / 2)
        rest = 4.0 * k * k * self.pool if k else 2.0 * p * self.pool * (self.pool + tests)
        rate = (DOUBLE if k else INNER) / self.matrices
        if self.device.gpu:
            rate = self._rate("fp32")
        speed = self.speed(scale)
        each = (self.pool + tests) * self._gradient(own) * passes + rest / rate
        each += speed.copied + FORWARD * speed.trained * self.pool if speed else 0.0
        return len(runs) * kept * each

    def datamodels(self, scale: str) -> float:
        """A regression of every test image's outputs on the subsets: a lasso takes all penalties of
        all images together for each fold, and the chosen one for the whole."""
        own = self.study.config.attribution.datamodels
        assert own is not None
        inner, columns = min(self.study.draws(own.distribution), self.pool), self.columns
        solved = (FOLDS + 1 / PENALTIES) * ITERATIONS * columns * self.pool
        double = DOUBLE / self.matrices
        took = {
            "lasso": solved * (4.0 * inner / double + PASSED),
            "ridge": 10.0 * inner**2 * self.pool / double,
        }
        return max(1, len(own.subsets)) * sum(took[name] for name in own.methods)

    def image_statistics(self) -> float:
        """Ranks along the pool, of every scale's models together and of their halves; ranks of
        subsets, predicted and true, at every resample."""
        tests = max(map(self.tests, self.study.config.tasks))
        ranked = len(self.study.scales) * (1 + 2 * SPLITS) * tests * self.pool
        seconds = RANKED * ranked + self.study.loss_rows / LOSSES["statistics"]
        if own := self.study.config.attribution:
            every = sum(map(self.tests, self.study.config.tasks))
            groups = sum(max(own.trak.models) // models for models in own.trak.models)
            subsets = own.resamples * self.study.draws(own.truth)
            seconds += RESAMPLED * 2 * subsets * len(self.study.scales) * groups * every
        return float(seconds)

    def collect_ensembles(self) -> float:
        return self.study.loss_rows / LOSSES["collect"]

    @property
    def columns(self) -> float:
        """Regressions that regression datamodels solve together."""
        own = self.study.config.attribution.datamodels
        assert own is not None
        tests = own.tests or max(map(self.tests, self.study.config.tasks))
        return tests * (PENALTIES if "lasso" in own.methods else 1)

    @property
    def pixels(self) -> int:
        return int(self.study.config.pool.size**2)

    @property
    def bytes(self) -> float:
        """Of an image."""
        return float(self.pixels * self.study.config.pool.colors)

    @property
    def pool(self) -> float:
        return float(self.study.pool_examples or UNTOLD)

    def tests(self, task: str) -> float:
        """Holdout images of a test set."""
        return float(self.study.tests(task) or UNTOLD)

    def seen(self, distribution: str) -> float:
        """Images of an epoch, at most."""
        entry = self.study.config.distributions[distribution]
        return self.pool * (entry.fraction if entry.method == "stratified" else 1.0)

    def _rate(self, precision: str) -> float:
        """FLOP/s of convolutions: on GPUs in TF32 where float32 is said, cuDNN's default."""
        named = "tf32" if precision == "fp32" and self.device.gpu else precision
        return self.device.rate(named) * (CONVOLVED if self.device.gpu else 1.0)

    def _traffic(self, scale: Width) -> float:
        """Seconds that an image's activations pass through memory, in a step."""
        held = resnet_activations(scale.model, scale.size)
        return held * PASSES * 4 / self.device.bandwidth

    def _forward(self, scale: Width) -> float:
        """Seconds of a forward pass of an image."""
        if speed := self.speed(scale.name):
            return FORWARD * speed.trained
        return scale.forward_flops / self._rate("fp32")

    def _gradient(self, scale: Width) -> float:
        """Seconds of an image's gradient, and its projection."""
        if speed := self.speed(scale.name):
            return speed.gradient
        each = 4 * scale.forward_flops / self._rate("fp32") + self._traffic(scale)
        each += 12.0 * scale.parameters / self.device.bandwidth
        return each + GRADIENT / copies(scale)


def copies(scale: Width) -> int:
    """Images whose gradients are taken together, each by a copy of the network."""
    return max(1, min(STACKED, COPIES // scale.parameters))


def probed(study: ImageRuns) -> list[str]:
    """The scales of which some steps are taken, the cheapest first."""
    found, total = [], 0.0
    for name, scale in study.scales.items():
        images = 3 * networks(study, name) * scale.training["batch"] + 4 * copies(scale)
        total += STEPS * images * scale.forward_flops
        if total > PROBED:
            break
        found.append(name)
    return found


def networks(study: ImageRuns, scale: str) -> int:
    """Networks of a scale that train side by side, at most."""
    runs = [len(study.runs_of(*ref[1:])) for ref in study.all_ensembles if ref.scale == scale]
    return min(int(study.scales[scale].training["stack"]), max(runs, default=1))
