"""What the jobs of the paper's studies ask for, within bounds that follow from arithmetic.

On H100s: 80 GB, 989 TFLOP/s dense in bf16 and 67 in float32. Bounds are of what is asked, which is
twice the estimate in time. Every rule of the studies stands here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.paths import ROOT

from proxyscale.cli.load_study import load
from proxyscale.study.needs import Need
from proxyscale.study.validation import read_yaml

Range = tuple[float, float]
Bounds = tuple[float, float, float, Range]  # GPUs, GB of a GPU, GB of the host, hours
SMALL: Bounds = (0, 0, 8, (0, 1))  # reads tables and little text


@functools.cache
def study(name: str) -> Any:
    return load(read_yaml(ROOT / f"workflow/studies/{name}.yaml") | {"results": "unmade"})


# --- Language. One run is 6·P·D and attention's 6·L·context·width a token; states are 22 bytes a
# --- parameter on each of several GPUs, 18 on one; 32,768 tokens a micro batch in bf16 take
# --- 38·L·width bytes each; the host of n processes holds n·(4.5 GB + 16·P) and 12·P once.
TRAIN: dict[str, Bounds] = {
    # 6·37.5e6·0.84e9 = 1.9e17 at 376 TFLOP/s: 8 min, and 2 s in 100 for launches; the logits of
    # 2^28 numbers are 3.2 GB
    "37M": (1, 20, 8, (0.2, 1)),
    "57M": (1, 20, 8, (0.4, 2)),  # 4.0e17
    "80M": (1, 20, 9, (0.8, 3)),  # 8.2e17
    "125M": (1, 30, 10, (2, 6)),  # 2.0e18: 1.5 h, attention's 0.1 of it, launches
    "220M": (1, 40, 15, (5, 14)),  # 5.0e18: 3.7 h
    # 1.6e19 on 8: 1.5 h; 32,768·1024·38·24 = 31 GB and 7.8 of states; 8·(4.5 + 5.7) + 4.3 GB
    "350M": (8, 60, 110, (2, 6)),
    # 7.0e19 on 8: 6.5 h, attention's 0.7; 46 GB and 16.7 of states; 8·(4.5 + 12.2) + 9.1 GB
    "760M": (8, 78, 200, (8, 20)),
}
# 39 million tokens of six test sets: 2·P each, 5.9e16 at 760M, at 33 TFLOP/s in float32: 0.5 h
EVALUATE: Bounds = (1, 25, 16, (0.1, 3))


def language() -> Iterator[tuple[str, Need, Bounds]]:
    own = study("paper-language")
    needs = own.needs()
    for scale, bounds in TRAIN.items():
        for distribution in own.grid:
            yield f"train {scale}/{distribution}", needs.train(scale, distribution), bounds
        yield f"evaluate {scale}", needs.evaluate(scale), EVALUATE
    for scoring in own.scorings:
        found = scoring.scale, scoring.candidates
        # 1.25 million rows of 2,048 tokens: at 125M 1.8e12 FLOPs each at 376 TFLOP/s, and 1.5 GB of
        # traffic of gradients at 3.35 TB/s: 1.8 h; at 760M 1.0e13 and 9 GB: 10 h
        yield "feature_shard", needs.feature_shard(*found), (1, 80, 20, (2, 24))
        yield "features", needs.features(*found), (1, 80, 20, (0, 1))
        # three models' 2.5 TB read twice at 1 GB/s, and ΦᵀΦ of 2·n·k² = 3.8e16 at 33 TFLOP/s each
        yield "score", needs.score(scoring.candidates), (1, 80, 20, (6, 24))
    for task in own.config.tasks:
        # four times the examples asked for are encoded: 20,000·2,048 words of 160 bytes
        yield f"items {task}", needs.items(task), SMALL
        yield f"task {task}", needs.task(task), SMALL
        for source in own.sources:
            # a pack's words at 20 MB a second, windows of a task's items in memory
            yield f"overlap {source} {task}", needs.overlap(source, task), (0, 0, 8, (0, 4))
    for source in own.sources:
        # 800 GB at 50 MB a second, which one process puts together: 4.4 h; a hash of 100 bytes for
        # every KB, and 8 processes of 1 GB
        yield f"corpus {source}", needs.corpus(source), (0, 0, 95, (0.1, 12))
        # a shard of 12.5 GB at most, at 1.6 MB a second: 2.2 h
        yield f"pack {source}", needs.pack(source), (0, 0, 8, (1, 12))
    for name, entry in own.config.distributions.items():
        # 80 million candidates, 150 bytes each
        bounds: Bounds = (0, 0, 32, (0, 2))
        if entry.method in ("dsir", "classifier"):
            # 164 billion tokens, twice, at 0.65 million a second on each of 64 cores: 2.2 h; every
            # process holds 200 MB of texts and 5 million pairs of words of 180 bytes
            bounds = (0, 0, 96, (2, 12))
        yield f"select {name}", needs.select(name), bounds
    # two models of every scale, 2,000 candidates each
    yield "compare_scores", needs.compare_scores(), (1, 80, 20, (0, 1))
    yield "tokenizer", needs.tokenizer(), SMALL
    yield "pool", needs.pool(), SMALL
    # 10 million tokens of every distribution, at 0.5 million a second
    yield "rivals", needs.rivals(), SMALL
    for rule in ("collect", "statistics", "table", "figure", "report"):
        yield rule, needs.reading(), SMALL


# --- Vision. Three forward passes a step, in TF32 at 104 TFLOP/s for convolutions; states are 12
# --- bytes a parameter and network; activations of a batch of 512 take 12 bytes each.
# RN-8 on CIFAR: 3·71e9·50,000·30 = 3.2e17, 0.9 h a model, eight of them a job, sixteen on halves;
# 2.9 GB a state: 11 of them with what trains it, 37 GB, or one of each of sixteen models, twice as
# they are written, 92 GB. ImageNet's RN-4: 3·58e9·1.28e6·20 = 4.5e18 in bf16 at 226 TFLOP/s: 5.5 h.
TRAINED: Bounds = (1, 78, 100, (0.01, 30))
# eleven checkpoints of up to 8 models, 51,000 images each: a batch of gradients takes 5 ms, one
# image at a time from RN-1/2 on, 8·11·51,000·5 ms = 6.2 h; of ImageNet, a model a job, 1.28
# million images, 20 h; four times the forward pass and the projection come to it
SCORED: dict[str, Bounds] = {
    "paper-cifar10": (1, 20, 78, (0.1, 30)),
    "paper-cifar100": (1, 20, 78, (0.1, 30)),
    "paper-imagenet": (1, 20, 64, (1, 72)),
}


def vision(name: str) -> Iterator[tuple[str, Need, Bounds]]:
    own = study(name)
    needs = own.needs()
    for source in own.config.sources:
        # 224 × 224 pixels in 10 ms
        yield f"image_corpus {source}", needs.image_corpus(source), (0, 0, 8, (0, 12))
    # moments of 4,096 images at a time, in float64: three times 4.9 GB at 224 × 224
    yield "image_pool", needs.image_pool(), (0, 0, 20, (0, 4))
    for task in own.config.tasks:
        yield f"image_task {task}", needs.image_task(task), SMALL
    for distribution in own.config.distributions:
        # by features, 4,096 of them of 50,000 images in float64, thrice; by scores 8·1000·50,000
        gpus = float(own.drawn_by(distribution) == "features")
        bounds = (gpus, 20.0 * gpus, 24, (0, 1))
        yield f"subsets {distribution}", needs.subsets(distribution), bounds
    for ref in own.all_ensembles:
        yield f"train_ensemble {ref}", needs.train_ensemble(*ref), TRAINED
        for task in own.config.tasks:
            need = needs.evaluate_ensemble(*ref, task)
            yield f"evaluate_ensemble {ref}", need, (1, 32, 64, (0, 1))
        if ref.distribution == own.config.attribution.trak.distribution:
            yield f"score_ensemble {ref}", needs.score_ensemble(*ref), SCORED[name]
    for scale in own.regressed:
        # 1,024 halves of 50,000 images and seven times 20 penalties of 20, in float64; a solver of
        # 400 steps, for five folds: 4·1,024·50,000·400·2,000 = 1.6e14 at 30 GFLOP/s, and 50 ns for
        # each of 50,000·400 coefficients in every step: 2.1 h
        yield f"datamodels {scale}", needs.datamodels(scale), (0, 0, 8, (1, 6))
    # ranks of a thousand test images along the pool, by 17 means of each scale's models
    yield "image_statistics", needs.image_statistics(), (0, 0, 64, (0, 12))
    for rule in ("collect_ensembles", "image_table", "figure", "report"):
        yield rule, needs.reading(), SMALL


STUDIES: dict[str, Callable[[], Iterator[tuple[str, Need, Bounds]]]] = {
    "paper-language": language,
    **{name: functools.partial(vision, name) for name in SCORED},
}


@pytest.mark.parametrize("name", STUDIES)
def test_jobs_ask_for_what_arithmetic_says(name: str) -> None:
    for job, need, (gpus, on_gpu, memory, (least, most)) in STUDIES[name]():
        assert need.gpus == gpus, job
        assert bool(gpus) == (need.gpu_memory > 0), job
        assert need.gpu_memory <= 1e9 * on_gpu, (job, need.gpu_memory / 1e9)
        assert need.memory <= 1e9 * memory, (job, need.memory / 1e9)
        assert least <= need.seconds / 3600 <= most, (job, need.seconds / 3600)


@pytest.mark.parametrize("scale", ["350M", "760M"])
def test_llm_foundrys_runs_ask_for_no_less(scale: str) -> None:
    raw = read_yaml(ROOT / "workflow/studies/paper-language.yaml") | {"results": "unmade"}
    raw["scales"][scale]["engine"] = "llm-foundry"
    need = load(raw).needs().train(scale, "mix")
    gpus, _, memory, (least, most) = TRAIN[scale]
    assert need.gpus == gpus
    assert need.memory <= 1e9 * memory
    assert least <= need.seconds / 3600 <= most
