"""Studies of image models: their words, their ensembles and the slices of their jobs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.image_studies import image_study
from support.mistakes import REMOVE, spoil
from support.paths import ROOT

from proxyscale.base.errors import UserError
from proxyscale.cli.explain import explain, schema
from proxyscale.cli.load_study import load
from proxyscale.study.language_study import LanguageStudy
from proxyscale.study.validation import read_yaml
from proxyscale.vision.plan import told_images
from proxyscale.vision.study import ImageStudy

BAD = [
    ("model/family", "resnest", ["model.family: is 'resnest'", "did you mean 'resnet'?"]),
    ("model/width", 8, ["model.width: no such key", "blocks"]),
    ("tokenizer", {"train": "bpe"}, ["tokenizer: no such key"]),
    ("selection", {"size": 3}, ["selection: no such key"]),
    ("pool/length", 128, ["pool.length: no such key", "examples"]),
    ("pool/colors", 2, ["pool.colors: is 2", "1, 3"]),
    ("pool/source", "digit", ["pool.source: no source is named 'digit'", "'digits'"]),
    ("training/tokens", 10, ["training.tokens: no such key"]),
    ("training/warmup", 1, ["training.warmup: is 1"]),
    ("training/decay", "step", ["training.decay: is 'step'", "linear, cosine"]),
    ("training/checkpoints", [9], ["training.checkpoints: there are 4 epochs"]),
    ("training/augment", {"flip": True}, ["training.augment: give either pad or scale"]),
    ("scales/narrow/channels", REMOVE, ["scales.narrow.channels: this key is required"]),
    ("scales/narrow/depth", 3, ["scales.narrow.depth: no such key"]),
    ("scales/narrow/epochs", 1, ["scales.narrow.checkpoints: there are 1 epochs"]),
    ("reference", "narrow", ["reference: wide is wider than the reference narrow"]),
    ("sources/digits/digits", REMOVE, ["sources.digits", "digits, files, hub"]),
    ("sources/digits/files", "x", ["sources.digits: one key must say what kind"]),
    ("sources/digits/size", 8, ["sources.digits.size: digits has no option 'size'"]),
    ("sources/digits/target", 0.8, ["sources.digits: holdout and target are more"]),
    ("tasks/digits/source", "a", ["tasks.digits.source: no source is named 'a'"]),
    ("tasks/digits/kind", "text", ["tasks.digits.kind: no such key"]),
    ("distributions/pool/method", "all", ["distributions.pool.method: is 'all'", "everything"]),
    ("distributions/pool/role", "grid", ["distributions.pool.role: is 'grid'"]),
    ("distributions/pool/scales", ["big"], ["distributions.pool.scales: no scale is named"]),
    ("distributions/pool/draws", 2, ["distributions.pool.draws: all draws of everything"]),
    ("distributions/pool/shares", [0.1], ["distributions.pool.shares: everything has no shares"]),
    ("distributions/alike/shares", REMOVE, ["distributions.alike.shares: most-similar needs"]),
    ("distributions/alike/scales", ["wide"], ["distributions.alike.scales: Figure 14 needs it"]),
    ("distributions/halves/seeds", 1, ["distributions.halves.seeds: the noise ceiling"]),
    ("distributions/halves/draws", 3, ["attribution.truth: needs a stratified"]),
    ("distributions/halves/scales", ["narrow"], ["attribution.truth: halves is not trained"]),
    ("groups", {"mild": ["pool"]}, ["groups.mild: pool is everything"]),
    ("groups", {"mild": ["alik"]}, ["groups.mild: no distribution", "did you mean 'alike'?"]),
    ("attribution/truth", "thirds", ["attribution.truth: no distribution is named 'thirds'"]),
    ("attribution/trak/models", [5], ["attribution.trak.models: 5 models are asked for"]),
    ("attribution/trak/checkpoints", [3], ["attribution.trak.checkpoints: epoch 3", "2, 4"]),
    (
        "attribution/datamodels/distribution",
        "halves",
        ["attribution.datamodels.distribution: a regression on the very subsets"],
    ),
    ("counterfactuals", REMOVE, ["distributions.helpful: top-influence is for single test"]),
    ("counterfactuals/task", "t", ["counterfactuals.task: no task is named 't'"]),
    ("counterfactuals/proxy", "tiny", ["counterfactuals.proxy: no scale is named 'tiny'"]),
    ("pack", 0, ["pack: is 0"]),
]


@pytest.mark.parametrize(
    ("path", "value", "told"), BAD, ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_mistake_is_told(path: str, value: Any, told: list[str]) -> None:
    raw = image_study()
    spoil(raw, path, value)
    with pytest.raises(UserError) as caught:
        load(raw)
    for words in told:
        assert words in str(caught.value)


def test_the_family_decides_the_study(minimal: dict[str, Any]) -> None:
    assert isinstance(load(minimal), LanguageStudy)
    assert isinstance(load(image_study()), ImageStudy)


def test_another_draw_makes_another_ensemble_and_changes_none() -> None:
    raw = image_study()
    before = ImageStudy.load(raw)
    raw["distributions"]["halves"]["draws"] += 1
    after = ImageStudy.load(raw)
    old, new = (set(study.ensembles("halves")) for study in (before, after))
    assert old < new
    for ensemble in old:
        assert before.runs_of("halves", ensemble) == after.runs_of("halves", ensemble)
        assert before.spec("subsets", "halves", ensemble) == after.spec(
            "subsets", "halves", ensemble
        )
        for scale in before.scales_of("halves"):
            own = [
                study.spec("train_ensemble", scale, "halves", ensemble) for study in (before, after)
            ]
            assert own[0] == own[1]
    (added,) = new - old
    assert after.runs_of("halves", added) == [(6, 10), (6, 11)]


@pytest.mark.parametrize("pack", [1, 2, 5, 100])
def test_ensembles_share_out_the_runs(pack: int) -> None:
    study = ImageStudy.load(image_study() | {"pack": pack})
    for name in study.config.distributions:
        runs = [
            run for ensemble_id in study.ensembles(name) for run in study.runs_of(name, ensemble_id)
        ]
        draws, seeds = range(study.draws(name)), study.seeds(name)
        assert sorted(runs) == sorted((draw, seed) for draw in draws for seed in seeds)


def test_another_test_image_adds_draws() -> None:
    raw = image_study()
    study = ImageStudy.load(raw)
    assert study.draws("alike") == 4
    raw["counterfactuals"]["images"].append(7)
    assert ImageStudy.load(raw).draws("alike") == 6


def test_a_slice_holds_what_its_job_depends_on_and_no_more() -> None:
    raw = image_study()
    before = ImageStudy.load(raw)
    raw["scales"]["narrow"]["learning_rate"] = 0.05
    after = ImageStudy.load(raw)
    assert before.spec("train_ensemble", "wide", "pool", "0-0") == after.spec(
        "train_ensemble", "wide", "pool", "0-0"
    )
    assert before.spec("train_ensemble", "narrow", "pool", "0-0") != after.spec(
        "train_ensemble", "narrow", "pool", "0-0"
    )
    assert (
        json.loads(after.spec("train_ensemble", "narrow", "pool", "0-0"))["training"][
            "learning_rate"
        ]
        == 0.05
    )
    assert before.spec("subsets", "alike", "0-0") == after.spec("subsets", "alike", "0-0")


def test_the_plan_counts_runs() -> None:
    told = told_images(ImageStudy.load(image_study()))
    (halves,) = (line.split() for line in told.splitlines() if "halves" in line)
    assert halves[:4] == ["wide", "1,382", "halves", "12"]
    assert halves[4] == "120"  # half of 60 images, 4 epochs


def test_the_schema_is_up_to_date() -> None:
    written = (ROOT / "workflow/schemas/vision.schema.json").read_text()
    hint = "run: proxyscale schema --family resnet > workflow/schemas/vision.schema.json"
    assert written == schema("resnet"), hint


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("", "counterfactuals"),
        ("training.warmup", "share of the steps"),
        ("sources", "digits: scikit-learn's"),
        ("sources.files", "format"),
        ("scales.c2.channels", "64 is RN-1"),
        ("attribution.trak.ridge", "mean eigenvalue"),
    ],
)
def test_explain(key: str, told: str) -> None:
    assert told in explain(key, "resnet")


STUDIES = sorted((ROOT / "workflow/studies").glob("*.yaml"))
IMAGE_STUDIES = [path for path in STUDIES if "resnet" in path.read_text()]


@pytest.mark.parametrize("path", IMAGE_STUDIES, ids=lambda path: path.stem)
def test_studies_load_and_are_planned(path: Any) -> None:
    study = load(read_yaml(path))
    assert isinstance(study, ImageStudy)
    assert "?" not in told_images(study)
