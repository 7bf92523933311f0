"""From losses and scores of image models to statistics: one row a number, with its interval.

- `lds`: Spearman over the truth's subsets between the reference's margins and the sums of scores,
  mean over test images; over all disjoint groups of so many models. `group` is the method and its
  number of models or subsets (`trak/8`, `lasso/256`), or `same-class`, left out where all subsets
  have as many images of each class: it is 0 by construction. `ceiling` is what a perfect predictor
  reaches given the reference's seed noise. Interval: bootstrap over subsets.
- `lds_ratio`: lds ÷ ceiling. `lds_over_models`: lds, its interval a jackknife over models.
- `retraining_agreement`: Spearman between two single retrainings on the same subsets.
- `scores_spearman`: between the scores of two scales (`proxy` and `reference`), over the pool's
  images, mean over test images; `scores_spearman_corrected`: as between noiseless scores.
- `accuracy`: top-1 of the models that TRAK reads; interval over models (Student).
- `r2`, `pearson`, `pearson_leave_one_out` at level `example`: margins of one test image at the
  small width and at the reference, over the training distributions of Figure 14, models averaged.

Relative compute is that of attribution, training included, against the reference with most models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import stats

from proxyscale.attribution import lds
from proxyscale.base import arrays, artifacts
from proxyscale.base.cost import trak_flops
from proxyscale.base.tables import where
from proxyscale.statistics.proxy_statistics import as_table
from proxyscale.vision.counterfactuals import counterfactual_rows
from proxyscale.vision.images import Images
from proxyscale.vision.score_matrices import Array, Scores
from proxyscale.vision.subsets import read_masks

SPLITS = 8  # of the models in halves
Row = dict[str, Any]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Inputs:
    """What the statistics are read out of. Paths by name; `scores` by scale, one an ensemble."""

    losses: pa.Table
    runs: pa.Table
    pool: Path
    tasks: Mapping[str, Path]
    truth: Sequence[Path]
    scores: Mapping[str, Sequence[Path]]
    datamodels: Mapping[str, Path]

    @cached_property
    def labels(self) -> Ids:
        return Images.open(self.pool).labels

    @cached_property
    def masks(self) -> tuple[Array, Ids]:
        """The truth's subsets [m, n] and the numbers of their draws."""
        return read_masks(self.truth, len(self.labels))

    def of(self, **values: Any) -> pa.Table:
        """The losses where columns have these values."""
        return where(self.losses, **values)


def summarize_images(inputs: Inputs, spec: Mapping[str, Any]) -> pa.Table:
    """The statistics table of a study of image models; `spec` as `ImageStudy.statistics` says."""
    rows: list[Row] = []
    for task in inputs.tasks:
        rows += _lds_rows(inputs, spec, task)
        rows += _agreement_rows(inputs, spec, task)
        rows += _accuracy_rows(inputs, spec, task)
    if spec["counterfactuals"]:
        rows += counterfactual_rows(inputs.losses, spec)
    return as_table(rows)


def widths(spec: Mapping[str, Any]) -> list[str]:
    """The scales, cheapest first."""
    scales = spec["scales"]
    return sorted(scales, key=lambda name: scales[name]["forward"])


def _scores(inputs: Inputs, spec: Mapping[str, Any], scale: str, task: str) -> Scores:
    return Scores.open(inputs.scores[scale], task, spec["attribution"]["trak"]["q"])


def _lds_rows(inputs: Inputs, spec: Mapping[str, Any], task: str) -> Iterator[Row]:
    own, reference = spec["attribution"], spec["reference"]
    outputs, draws, _ = lds.truth(inputs.of(scale=reference, distribution=own["truth"], task=task))
    masks, drawn = inputs.masks
    if not np.array_equal(draws, drawn):
        raise ValueError(f"draws {draws} were measured and {drawn} drawn")
    agreement = lds.retraining_agreement(outputs)
    ceiling = lds.ceiling(agreement, len(outputs))
    mean = outputs.mean(0)
    test_labels = Images.open(inputs.tasks[task] / "holdout/manifest.json").labels
    place = {"level": "distribution", "task": task, "reference": reference, "n": len(masks)}
    bootstrap = {"confidence": spec["confidence"], "resamples": own["resamples"]}

    def row(statistic: str, group: str, estimate: lds.Estimate, **more: Any) -> Row:
        return {**place, "statistic": statistic, "group": group, **estimate._asdict(), **more}

    yield {**place, "statistic": "retraining_agreement", "group": own["truth"], "value": agreement}
    baseline = lds.same_class(inputs.labels, test_labels)
    if np.ptp(masks @ baseline.T, axis=0).any():  # else every subset has as many of each class
        yield row("lds", "same-class", lds.lds(baseline, masks, mean, **bootstrap), ceiling=ceiling)
    compute = Compute(inputs, spec, task)
    for scale in widths(spec):
        for group, predicted, flops in _predictions(inputs, spec, scale, task, masks, compute):
            columns = np.arange(predicted.shape[1]) % mean.shape[1]
            estimate = lds.interval(predicted, mean[:, columns], **bootstrap)
            facts = {"proxy": scale, "compute_ratio": compute.reference / flops}
            yield row("lds", group, estimate, ceiling=ceiling, **facts)
            if ceiling > 0:
                shares = lds.Estimate(*(value / ceiling for value in estimate))
                yield row("lds_ratio", group, shares, **facts)
        most = max(own["trak"]["models"])
        if most > 2:
            scores = _scores(inputs, spec, scale, task)
            # Q is that of all of them; sums over subsets take the place of the scores
            weighed = masks * scores.weight(slice(most))
            each = np.stack([scores.summed(weighed, number).T for number in range(most)])
            estimate = lds.jackknife(each, np.eye(len(masks)), mean, confidence=spec["confidence"])
            ratio = compute.reference / compute.of(scale, most)
            facts = {"proxy": scale, "compute_ratio": ratio, "ceiling": ceiling}
            yield row("lds_over_models", f"trak/{most}", estimate, **facts)


def _predictions(
    inputs: Inputs,
    spec: Mapping[str, Any],
    scale: str,
    task: str,
    masks: Array,
    compute: Compute,
) -> Iterator[tuple[str, Array, float]]:
    """Each method's predicted outputs at a scale, and what they cost.

    They are [m, groups · tests] for TRAK, [m, first tests] for regression.
    """
    scores = _scores(inputs, spec, scale, task)
    for number in spec["attribution"]["trak"]["models"]:
        groups = [slice(i, i + number) for i in range(0, len(scores) - number + 1, number)]
        predicted = np.hstack([scores.sums(masks, group) for group in groups])
        yield f"trak/{number}", predicted, compute.of(scale, number)
    if scale in inputs.datamodels:
        folder = inputs.datamodels[scale]
        for name in sorted(artifacts.read_json(folder / "manifest.json")["files"]):
            path = folder / name
            if path.parent.name != task:
                continue
            method, _, subsets = path.stem.rpartition("-")
            predicted = masks @ arrays.read(path).T.astype(float)
            yield f"{method}/{subsets}", predicted, compute.of_subsets(scale, int(subsets))


class Compute:
    """FLOPs of attribution: of the models that are trained for it, and of their scores."""

    def __init__(self, inputs: Inputs, spec: Mapping[str, Any], task: str) -> None:
        self.inputs, self.spec = inputs, spec
        tests = len(Images.open(inputs.tasks[task] / "holdout/manifest.json"))
        self.images = len(inputs.labels), tests
        self.reference = self.of(spec["reference"], max(spec["attribution"]["trak"]["models"]))

    def of(self, scale: str, models: int) -> float:
        """FLOPs of training so many models and of their TRAK scores."""
        trak, facts = self.spec["attribution"]["trak"], self.spec["scales"][scale]
        options = {"checkpoints": facts["epochs"], "projection": trak["projection"]}
        scoring = trak_flops(facts["forward"], facts["parameters"], *self.images, options)
        return models * (self._training(scale, trak["distribution"]) + scoring)

    def of_subsets(self, scale: str, subsets: int) -> float:
        """FLOPs of training on so many subsets, all seeds; the regression is as nothing to it."""
        name = self.spec["attribution"]["datamodels"]["distribution"]
        runs = where(self.inputs.runs, scale=scale, distribution=name, draw=0)
        return subsets * len(runs) * self._training(scale, name)

    def _training(self, scale: str, distribution: str) -> float:
        runs = where(self.inputs.runs, scale=scale, distribution=distribution)
        return float(pc.mean(runs["flops"]).as_py())


def _agreement_rows(inputs: Inputs, spec: Mapping[str, Any], task: str) -> Iterator[Row]:
    """How scores of two scales agree, for every pair; corrected where models can be halved."""
    most = max(spec["attribution"]["trak"]["models"])
    if most < 2:
        return
    rng = np.random.default_rng(0)
    splits = [rng.permutation(most) for _ in range(SPLITS)]
    halved = [(s[: most // 2], s[most // 2 : most // 2 * 2]) for s in splits]
    opened = {scale: _scores(inputs, spec, scale, task) for scale in widths(spec)}
    products: dict[tuple[str, str], list[Array]] = {}
    for block in next(iter(opened.values())).blocks():
        ranked = {name: _all_ranked(scores, most, halved, block) for name, scores in opened.items()}
        for pair in combinations_with_replacement(opened, 2):
            (whole, halves), (other, others) = (ranked[name] for name in pair)
            four = np.stack([(whole * other).sum(1), *_half_products(halves, others)])
            products.setdefault(pair, []).append(four)
    for (proxy, reference), found in products.items():
        place = {"level": "distribution", "group": f"trak/{most}", "task": task}
        place |= {"proxy": proxy, "reference": reference}
        raw, cross, left, right = np.hstack(found)
        yield {**place, "statistic": "scores_spearman", "n": len(raw), **_over_tests(raw, spec)}
        value = cross.mean() / np.sqrt(left.mean() * right.mean())
        error = _ratio_errors(cross, left, right, rng)
        reach = stats.norm.ppf((1 + spec["confidence"]) / 2) * error
        yield {
            **place,
            "statistic": "scores_spearman_corrected",
            "n": len(raw),
            "value": float(value),
            "low": float(value - reach),
            "high": float(value + reach),
        }


def _all_ranked(
    scores: Scores, most: int, halved: Sequence[Sequence[NDArray[np.int64]]], block: slice
) -> tuple[Array, list[list[Array]]]:
    """Ranks of scores of some test images: of all models' mean, of the halves' of each split."""
    each = scores.of(slice(most), block)

    def ranked(models: Any) -> Array:
        return _ranked(each[models].mean(0) * scores.weight(models))

    return ranked(slice(most)), [[ranked(list(half)) for half in pair] for pair in halved]


def _ranked(scores: Array) -> Array:
    """Ranks along the pool, centred and of length one: products of rows are Spearman's."""
    ranks = stats.rankdata(scores, axis=1)
    ranks -= ranks.mean(1, keepdims=True)
    unit: Array = (ranks / np.linalg.norm(ranks, axis=1, keepdims=True)).astype(np.float32)
    return unit


def _half_products(
    first: Sequence[Sequence[Array]], second: Sequence[Sequence[Array]]
) -> tuple[Array, Array, Array]:
    """Agreement across scales and within each, mean over splits: [tests] each.

    Across, a half is held against the other half's models, for models of two scales may share
    the order of their images.
    """
    cross, left, right = [], [], []
    for a, b in zip(first, second, strict=True):
        cross.append(((a[0] * b[1]).sum(1) + (a[1] * b[0]).sum(1)) / 2)
        left.append((a[0] * a[1]).sum(1))
        right.append((b[0] * b[1]).sum(1))
    return np.mean(cross, 0), np.mean(left, 0), np.mean(right, 0)


def _ratio_errors(cross: Array, left: Array, right: Array, rng: np.random.Generator) -> float:
    """Standard error of the corrected agreement, by bootstrap over test images."""
    picks = rng.integers(len(cross), size=(200, len(cross)))
    a, b, c = (values[picks].mean(1) for values in (cross, left, right))
    return float((a / np.sqrt(b * c)).std(ddof=1))


def _over_tests(values: Array, spec: Mapping[str, Any]) -> Row:
    """A mean over test images with its normal interval."""
    reach = stats.norm.ppf((1 + spec["confidence"]) / 2) * values.std(ddof=1) / len(values) ** 0.5
    mean = float(values.mean())
    return {"value": mean, "low": float(mean - reach), "high": float(mean + reach)}


def _accuracy_rows(inputs: Inputs, spec: Mapping[str, Any], task: str) -> Iterator[Row]:
    name = spec["attribution"]["trak"]["distribution"]
    flops = {
        scale: float(pc.mean(where(inputs.runs, scale=scale, distribution=name)["flops"]).as_py())
        for scale in widths(spec)
    }
    for scale in widths(spec):
        losses = inputs.of(scale=scale, distribution=name, task=task)
        correct = losses.select(["seed", "correct"]).group_by("seed", use_threads=False)
        shares = correct.aggregate([("correct", "mean")])["correct_mean"].to_numpy()
        row = {"statistic": "accuracy", "level": "distribution", "group": name, "task": task}
        row |= {"proxy": scale, "reference": spec["reference"], "value": float(shares.mean())}
        if len(shares) > 1:
            reach = stats.t.ppf((1 + spec["confidence"]) / 2, len(shares) - 1)
            reach *= shares.std(ddof=1) / np.sqrt(len(shares))
            row |= {"low": float(row["value"] - reach), "high": float(row["value"] + reach)}
        ratio = flops[spec["reference"]] / flops[scale]
        yield row | {"n": len(shares), "compute_ratio": ratio}
