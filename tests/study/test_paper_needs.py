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
    return load(read_yaml(ROOT / f"workflow/studies/{name}.yaml"))


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
        # a shard of 12.5 GB at most, at 1.6 MB a second: 2.2 h
        yield f"pack {source}", needs.pack(source), (0, 0, 8, (1, 12))
    for name, entry in own.config.distributions.items():
        if entry.method not in ("dsir", "classifier"):  # these read 164 billion tokens, twice
            # 80 million candidates, 150 bytes each
            yield f"select {name}", needs.select(name), (0, 0, 32, (0, 2))
    # two models of every scale, 2,000 candidates each
    yield "compare_scores", needs.compare_scores(), (1, 80, 20, (0, 1))
    yield "tokenizer", needs.tokenizer(), SMALL
    yield "pool", needs.pooled(), SMALL
    # 10 million tokens of every distribution, at 0.5 million a second
    yield "rivals", needs.rivals(), SMALL
    for rule in ("collect", "statistics", "table", "figure", "report"):
        yield rule, needs.reading(), SMALL


STUDIES: dict[str, Callable[[], Iterator[tuple[str, Need, Bounds]]]] = {"paper-language": language}


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
    raw = read_yaml(ROOT / "workflow/studies/paper-language.yaml")
    raw["scales"][scale]["engine"] = "llm-foundry"
    need = load(raw).needs().train(scale, "mix")
    gpus, _, memory, (least, most) = TRAIN[scale]
    assert need.gpus == gpus
    assert need.memory <= 1e9 * memory
    assert least <= need.seconds / 3600 <= most
