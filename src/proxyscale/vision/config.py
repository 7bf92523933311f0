"""The words of a study of image models (`model.family: resnet`), typed as those of `config`.

Pool, task, distribution, scale and run mean what they mean for text; an example is an image.
"""

from __future__ import annotations

import typing
from typing import Annotated, Literal

from pydantic import Field, create_model

from proxyscale.study.config import StudyConfig
from proxyscale.study.config_models import DEVICE, DeviceName
from proxyscale.study.config_types import (
    NUMBER,
    UNIQUE,
    Count,
    Few,
    Name,
    NonNegative,
    Open,
    Positive,
    Seed,
    Seeds,
    Share,
    Strict,
    optional,
)

Method = Literal[
    "everything",
    "stratified",
    "random",
    "top-influence",
    "bottom-influence",
    "most-similar",
    "least-similar",
    "same-class",
]
# Methods that leave out a part of the pool, for one test image after another (paper, Fig 14).
REMOVALS = typing.get_args(Method)[2:]
SCORED = ("top-influence", "bottom-influence")
SIMILAR = ("most-similar", "least-similar")
Part = Annotated[float, NUMBER, Field(ge=0, le=1)]


class ImageSource(Open):
    """An image corpus: one key names its kind (`digits`, `files`, `hub`, a plugin's)."""

    holdout: Part = Field(0.2, description="share of the images that are only ever measured")
    target: Part = Field(0.0, description="share of the images that selection may look at")
    images: Count | None = Field(None, description="read no more images than this")


class ImagePool(Strict):
    """The candidate images: those that no test set may hold."""

    source: str = Field(description="the source whose pool split it is")
    examples: Count | None = Field(None, description="images; null is all that there are")
    balanced: bool = Field(False, description="as many images of every class")
    size: Annotated[int, NUMBER, Field(gt=0, le=10_000)] = Field(
        32, description="height and width of all images, in pixels"
    )
    colors: Annotated[Literal[1, 3], NUMBER] = Field(3, description="1 is grey")


class ImageTask(Strict):
    """A test set: images of a source that are not in the pool."""

    source: str = Field(description="the source whose holdout split it is")
    examples: Count | None = Field(None, description="holdout images; null is all that there are")
    target_examples: Annotated[int, NUMBER, Field(ge=0, le=10**15)] | None = Field(
        0, description="target images; null is all that there are"
    )


class ImageDistribution(Strict):
    """A training distribution: the pool or a part of it, in one or several draws."""

    method: Method = Field(description="everything, stratified, or what is left out")
    role: Literal["proxy", "counterfactual"] = Field(
        description="`proxy` models are attributed through, `counterfactual` ones are foretold"
    )
    fraction: Annotated[float, NUMBER, Field(gt=0, lt=1)] = Field(
        0.5, description="stratified: the share of every class that a subset holds"
    )
    draws: Few = Field(1, description="stratified: the number of subsets")
    shares: list[Annotated[float, NUMBER, Field(gt=0, lt=1)]] = Field(
        default_factory=list,
        description="removals: the shares of the pool that are left out (same-class: of the class)",
    )
    seeds: Seeds | None = Field(None, description="models of every draw, if not the study's")
    scales: Annotated[list[str], Field(min_length=1)] | None = Field(
        None, description="scales that train it; null is all of them"
    )


class ImageModel(Strict):
    """The architecture that all scales share: ResNet-18 or a smaller one of its form."""

    family: Literal["resnet"] = Field(description="ResNets of basic blocks")
    blocks: Annotated[list[Few], Field(min_length=1)] = Field(
        [2, 2, 2, 2], description="blocks of every stage; the stages' widths double"
    )
    stem: Literal["cifar", "imagenet"] = Field(
        "cifar", description="cifar: 3×3 and no pooling; imagenet: 7×7, stride 2, pooling"
    )
    classes: Annotated[int, NUMBER, Field(ge=2, le=10**6)] = Field(
        10, description="classes of the pool"
    )
    parametrization: Literal["mup", "standard"] = Field(
        "mup", description="mup: hyperparameters hold across widths (Tensor Programs V)"
    )
    base_channels: Count = Field(
        64, description="the channels at which the learning rate is as written"
    )


class Augmentation(Strict):
    """How training images are varied: a padded crop or a resized one, and flips."""

    pad: Count | None = Field(None, description="pixels added on each side before a crop")
    scale: tuple[Positive, Positive] | None = Field(
        None, description="least and largest share of the area of a random resized crop"
    )
    flip: bool = Field(True, description="mirror half of the images")


class ImageTraining(Strict):
    """How models are trained: SGD, one cycle of the learning rate (paper, Table 16)."""

    epochs: Count = Field(30, description="passes over the distribution")
    batch: Count = Field(512, description="images in an optimizer step")
    learning_rate: Positive = Field(0.1, description="its maximum, at base_channels")
    initial_learning_rate: Positive = Field(0.001, description="where the warm-up begins")
    warmup: Share = Field(0.05, description="share of the steps in which it rises")
    decay: Literal["linear", "cosine"] = Field("linear", description="how it falls to zero")
    momentum: Share = Field(0.9, description="of SGD")
    weight_decay: NonNegative = Field(5e-4, description="added to the gradients")
    augment: Augmentation | None = Field(None, description="null leaves images as they are")
    checkpoints: list[Count] = Field(
        default_factory=list, description="epochs whose models are kept beside the last one's"
    )
    precision: Literal["fp32", "bf16"] = Field("fp32", description="one for a whole study")
    stack: Count = Field(16, description="networks that train as one program")


if typing.TYPE_CHECKING:

    class ImageScale(Strict):
        """A model width: its channels, and any key of `training`."""

        channels: Count
        epochs: Count | None = None
        checkpoints: list[Count] | None = None
        augment: Augmentation | None = None
else:
    ImageScale = create_model(
        "ImageScale",
        __base__=Strict,
        __doc__="A model width: its channels, and any key of `training`.",
        channels=(Count, Field(description="channels of the first stage; 64 is RN-1")),
        **optional(ImageTraining),
    )


class Trak(Strict):
    """Algorithm 2: scores from the gradients of trained models."""

    distribution: str = Field(description="the distribution whose models are read")
    models: Annotated[list[Count], Field(min_length=1)] = Field(
        [1, 2, 4, 8], description="numbers of models averaged, a line of Figure 6 each"
    )
    checkpoints: list[Count] | None = Field(
        None, description="epochs averaged; null is all that are kept"
    )
    projection: Count | None = Field(
        None, description="dimensions; null is exact, for pools of up to a few thousand images"
    )
    ridge: Positive = Field(0.3, description="penalty, in units of the mean eigenvalue")
    q: bool = Field(False, description="weight by 1 − p of the training image (TRAK's Q)")


class Datamodels(Strict):
    """Algorithm 1: scores from a regression of outputs on subsets."""

    distribution: str = Field(description="the distribution whose draws are regressed on")
    methods: Annotated[list[Literal["lasso", "ridge"]], Field(min_length=1), UNIQUE] = Field(
        ["lasso", "ridge"], description="penalties"
    )
    subsets: list[Count] = Field(
        default_factory=list, description="numbers of subsets; empty is all draws"
    )
    tests: Count | None = Field(
        None, description="the first so many test images; null is all (a lasso each takes time)"
    )


class Attribution(Strict):
    """Which scores are made, and what they are to foretell."""

    truth: str = Field(description="the distribution whose draws LDS is taken over")
    trak: Trak = Field(description="scores from gradients")
    datamodels: Datamodels | None = Field(None, description="scores from regression, if wanted")
    resamples: Count = Field(400, description="of the subsets, for intervals")


class Counterfactuals(Strict):
    """Figure 14: single test images under training distributions that leave something out."""

    task: str = Field(description="the task whose test images they are")
    images: Annotated[list[Annotated[int, NUMBER, Field(ge=0)]], Field(min_length=1), UNIQUE] = (
        Field([0, 1, 2], description="the test images")
    )
    proxy: str = Field(description="the small width of Figure 14")
    large: str | None = Field(
        None, description="the large width of Figure 14, if not the reference"
    )


class ImageFigures(Strict):
    """What figures show; a change here redraws figures and does nothing else."""

    targets: Annotated[
        list[Annotated[int, NUMBER, Field(ge=0)]], Field(min_length=3, max_length=3)
    ] = Field([0, 1, 2], description="test images of Figures 7, 22 and 23")
    style: dict[str, dict[str, typing.Any]] = Field(
        default_factory=dict, description="options of a figure by its name, e.g. lds_fig6"
    )


class ImageExecution(Strict):
    """How jobs are executed."""

    device: DeviceName = Field("auto", description=DEVICE)


class ImageConfig(StudyConfig):
    """A study: image corpora, test sets, distributions and widths, and how they meet."""

    study: Name = Field(description="the study's name")
    results: Annotated[str, Field(min_length=1)] = Field(
        description="the folder that everything is written to"
    )
    seed: Seed = Field(0, description="decides splits, samples and draws")
    seeds: Seeds = Field(2, description="training seeds of every run: their number, or a list")
    sources: dict[Name, ImageSource] = Field(description="the corpora", min_length=1)
    pool: ImagePool = Field(description="the candidate images")
    tasks: dict[Name, ImageTask] = Field(description="the test sets", min_length=1)
    distributions: dict[Name, ImageDistribution] = Field(
        description="what is trained on", min_length=1
    )
    groups: dict[Name, Annotated[list[str], Field(min_length=1), UNIQUE]] = Field(
        default_factory=dict, description="distributions of Figure 14 that get an R² of their own"
    )
    model: ImageModel = Field(description="what all widths share")
    training: ImageTraining = Field(
        default_factory=lambda: ImageTraining(), description="how all widths are trained"
    )
    execution: ImageExecution = Field(
        default_factory=ImageExecution, description="how jobs are executed"
    )
    scales: dict[Name, ImageScale] = Field(description="model widths", min_length=2)
    pack: Count = Field(
        16, description="draws, and seeds, at most, that a job trains: the grain of retraining"
    )
    attribution: Attribution = Field(description="scores and what they foretell")
    counterfactuals: Counterfactuals | None = Field(None, description="Figure 14, if wanted")
    figures: ImageFigures = Field(default_factory=ImageFigures, description="what figures show")
