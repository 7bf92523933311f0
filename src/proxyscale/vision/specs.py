"""What each job of a study of image models depends on: one function a rule, with its name."""

from __future__ import annotations

from typing import Any

from proxyscale import registry
from proxyscale.study.option_checks import corpus_kind
from proxyscale.study.study import Words
from proxyscale.vision.config import REMOVALS, ImageTraining
from proxyscale.vision.corpora import image_corpus as corpora
from proxyscale.vision.runs import ImageRuns, Width

MODEL = ("channels", "blocks", "stem", "parametrization")


def image_corpus(study: ImageRuns, source: str) -> Words:
    """A source: its kind, options and splits, and the form of all images."""
    entry, pool = study.config.sources[source], study.config.pool
    own = {name: getattr(entry, name) for name in type(entry).model_fields}
    kind = corpus_kind(entry, corpora)
    common = {"size": pool.size, "colors": pool.colors, "seed": study.config.seed}
    return {"kind": kind, "options": entry.options, **own, **common}


def image_pool(study: ImageRuns) -> Words:
    """Which images of the source are candidates."""
    own = study.config.pool.model_dump(include={"examples", "balanced"})
    return {**own, "seed": study.config.seed}


def image_task(study: ImageRuns, task: str) -> Words:
    """How many images a test set has."""
    own = study.config.tasks[task].model_dump(include={"examples", "target_examples"})
    return {**own, "seed": study.config.seed}


def subsets(study: ImageRuns, distribution: str, ensemble: str) -> Words:
    """The draws of one ensemble."""
    entry, seed = study.config.distributions[distribution], study.config.seed
    draws = sorted({draw for draw, _ in study.runs_of(distribution, ensemble)})
    spec = {"name": distribution, "method": entry.method, "draws": draws, "seed": seed}
    if entry.method == "stratified":
        spec["fraction"] = entry.fraction
    if entry.method in REMOVALS:
        assert study.config.counterfactuals is not None
        spec |= {"shares": entry.shares, "images": study.config.counterfactuals.images}
    return spec


def train_ensemble(study: ImageRuns, scale: str, distribution: str, ensemble: str) -> Words:
    """The runs of an ensemble: their scale's model and training with nothing left to default.

    A model that nobody reads is not kept.
    """
    own = study.scales[scale]
    training = {**own.training, "checkpoints": study.kept(scale, distribution)[:-1]}
    runs = study.runs_of(distribution, ensemble)
    return {"model": own.model, "training": training, "runs": runs}


def score_ensemble(study: ImageRuns) -> Words:
    """How gradients become scores."""
    options = study.config.attribution.trak
    own = options.model_dump(include={"checkpoints", "projection", "ridge"})
    return {**own, "seed": study.config.seed}


def datamodels(study: ImageRuns) -> Words:
    """Which regressions are made."""
    own = study.config.attribution.datamodels
    assert own is not None
    return own.model_dump(include={"methods", "subsets", "tests"})


def collect_ensembles(study: ImageRuns) -> Words:
    """Every ensemble, with what its models are and cost."""
    ensembles = [
        {
            "scale": ref.scale,
            "distribution": ref.distribution,
            "ensemble": ref.ensemble,
            "role": study.config.distributions[ref.distribution].role,
            "parameters": study.scales[ref.scale].parameters,
            "flops": 3 * study.scales[ref.scale].forward_flops,
        }
        for ref in study.all_ensembles
    ]
    return {"ensembles": ensembles, "tasks": list(study.config.tasks)}


def image_statistics(study: ImageRuns) -> Words:
    """Which scores foretell what, and at what cost."""
    own = study.config.attribution
    scales = {
        name: {"forward": s.forward_flops, "parameters": s.parameters, "epochs": _kept(study, s)}
        for name, s in study.scales.items()
    }
    return {
        "attribution": own.model_dump(),
        "reference": study.config.reference,
        "scales": scales,
        "groups": study.config.groups,
        "confidence": study.config.confidence,
        **_counterfactuals(study),
    }


def _counterfactuals(study: ImageRuns) -> dict[str, Any]:
    """The words of Figure 14: test images, the two widths, the shares that are left out."""
    own, entries = study.config.counterfactuals, study.config.distributions
    return {
        "counterfactuals": own and own.model_dump() | {"large": study.large},
        "removals": [[name, entry.shares] for name, entry in entries.items() if entry.shares],
    }


def _kept(study: ImageRuns, scale: Width) -> int:
    """Checkpoints that a scale's scores are averaged over."""
    chosen = study.config.attribution.trak.checkpoints
    return len(chosen or {*scale.training["checkpoints"], scale.training["epochs"]})


def figure(study: ImageRuns, name: str) -> Words:
    """A figure: the reference, its style, and the test images or groups that it is of."""
    spec: dict[str, Any] = {
        "figure": name,
        "reference": study.config.reference,
        "style": study.config.figures.style.get(name, {}),
    }
    reads = registry.figure[name].reads
    if "images" in reads:
        spec["targets"] = study.config.figures.targets
        spec["task"] = next(iter(study.config.tasks))
        spec["q"] = study.config.attribution.trak.q
    if "losses" in reads:
        spec |= {"groups": study.config.groups, **_counterfactuals(study)}
    return spec


def report(study: ImageRuns) -> Words:
    """What the report shows, and the config as it was written."""
    return {
        "study": study.config.study,
        "config": study.config.model_dump(mode="json", exclude_unset=True),
        "order": {},
        "confidence": study.config.confidence,
        "reference": study.config.reference,
        "style": study.config.figures.style.get("lds_fig6", {}),
        "texts": study.config.report.texts,
    }


def image_table(study: ImageRuns, name: str) -> Words:
    """A table of architectures or hyperparameters."""
    rows = [
        {
            "scale": name,
            **{key: s.model[key] for key in MODEL},
            "parameters": s.parameters,
            "flops": s.forward_flops,
            **{key: s.training[key] for key in ImageTraining.model_fields if key != "stack"},
        }
        for name, s in study.scales.items()
    ]
    return {"table": name, "scales": rows}
