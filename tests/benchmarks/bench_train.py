"""Tokens per second of training on one thread, beside Hugging Face's Trainer.

python tests/benchmarks/bench_train.py [--steps 60] [--rounds 3]

Same shape (GPT-2, untied head), same batch, same data, AdamW and gradient clipping, fp32, CPU
seconds. Trainer is measured as it comes, with GPT-2's own dropout and GELU, and tuned to the same
operations as ours: no dropout, exact GELU, SDPA, fused AdamW. It needs `transformers` and
`accelerate`; without them its columns stay empty. `limit` is the share of what the core can do:
(6·(P − embedding tables) + attention)·tokens/s over its fp32 rate at 1024 × 1024 products by the
faster of the libraries that torch brings; `step` is what a step takes.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from proxyscale.training import gpt, language_model
from proxyscale.training.matmul import linear
from proxyscale.training.native import Run

SHAPES = {"20k": (8, 1), "0.1M": (32, 2), "0.3M": (64, 3), "1M": (128, 4)}
VOCABULARY, CONTEXT, BATCH = 1024, 128, 4
TRAINING = {
    "batch_tokens": BATCH * CONTEXT,
    "learning_rate": 1e-3,
    "hidden_learning_rate": 1e-3,
    "weight_decay": 0.0,
    "betas": [0.9, 0.95],
    "eps": 1e-8,
    "clip": 1.0,
    "warmup": 0.05,
    "final_learning_rate": 0.1,
    "precision": "fp32",
}


# What makes Trainer do the operations that ours does.
TUNED = {
    "activation_function": "gelu",
    "attn_implementation": "sdpa",
    "resid_pdrop": 0.0,
    "embd_pdrop": 0.0,
    "attn_pdrop": 0.0,
    "use_cache": False,
}


def model_spec(width: int, layers: int) -> dict[str, Any]:
    """The default study's model at a size."""
    return {
        "vocabulary": VOCABULARY,
        "context": CONTEXT,
        "width": width,
        "layers": layers,
        "heads": None,
        "mlp_ratio": 4,
        "bias": False,
        "tied": False,
        "parametrization": "mup",
        "base_width": 32,
    }


def gemm_rate() -> float:
    """FLOP/s of a large fp32 product on one thread, by the faster library: the best of ten."""
    a, b = torch.randn(2, 1024, 1024)
    works = (lambda: a @ b.T, lambda: linear(a, b))
    return 2 * 1024**3 / min(cpu_seconds(work) for work in works for _ in range(10))


def cpu_name() -> str:
    """The processor as its maker calls it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def operations(model: gpt.Gpt) -> int:
    """Of a token's training: products with weights, and of attention the causal half."""
    tables = model.embedding.weight.numel() + model.positions.weight.numel()
    matrices = sum(p.numel() for p in model.parameters()) - tables
    attention = 2 * len(model.blocks) * model.readout.shape[1] * CONTEXT // 2
    return 6 * (matrices + attention)


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def own(spec: dict[str, Any], data: Tensor) -> float:
    """Seconds per step of this package, after as many steps to warm up."""
    run = Run({"model": spec, "training": TRAINING, "seed": 0}, 2 * len(data))

    def steps(first: int) -> None:
        for step, pieces in enumerate(data, first):
            run.step(step, pieces)

    steps(0)
    return cpu_seconds(lambda: steps(len(data))) / len(data)


def trainers(spec: dict[str, Any], data: Tensor, rounds: int, tuned: bool) -> float:
    """Seconds per step of Hugging Face's Trainer: the best of long runs minus that of short ones.

    The best are taken first: the least difference of two noisy numbers would flatter it.
    """
    from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments, logging

    logging.set_verbosity_error()
    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=CONTEXT,
        n_embd=spec["width"],
        n_layer=spec["layers"],
        n_head=max(1, spec["width"] // 16),
        tie_word_embeddings=False,
        **(TUNED if tuned else {}),
    )
    rows = [{"input_ids": row, "labels": row} for row in data.flatten(0, 1)]

    def fit(steps: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                output_dir=folder,
                max_steps=steps,
                per_device_train_batch_size=BATCH,
                learning_rate=1e-3,
                max_grad_norm=1.0,
                **({"optim": "adamw_torch_fused"} if tuned else {}),
                lr_scheduler_type="cosine",
                save_strategy="no",
                logging_strategy="no",
                report_to=[],
                disable_tqdm=True,
                use_cpu=True,
            )
            with contextlib.redirect_stdout(None):
                Trainer(GPT2LMHeadModel(config), arguments, train_dataset=rows).train()

    fit(2)

    def best(steps: int) -> float:
        return min(cpu_seconds(lambda: fit(steps)) for _ in range(rounds))

    return (best(3 * len(data)) - best(len(data))) / (2 * len(data))


def main() -> None:
    """Print the table: the best of some rounds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    language_model.prepare_cpu(1)
    peers = all(map(importlib.util.find_spec, ("transformers", "accelerate")))
    if not peers:
        print("transformers and accelerate are not installed: no comparison with Trainer")
    rate = gemm_rate()
    data = torch.randint(VOCABULARY, (arguments.steps, BATCH, CONTEXT))
    print(f"{cpu_name()}: {rate / 1e9:.0f} GFLOP/s in fp32 on one thread")
    print("size  parameters     step     tok/s       limit  Trainer tok/s  ratio    tuned/s  ratio")
    for name, shape in SHAPES.items():
        spec = model_spec(*shape)
        model = gpt.Gpt(spec)
        parameters = sum(p.numel() for p in model.parameters())
        seconds = min(own(spec, data) for _ in range(arguments.rounds))
        speed = BATCH * CONTEXT / seconds
        line = f"{name:<5} {parameters:>10,} {1e3 * seconds:>6.2f}ms {speed:>9,.0f}"
        line += f" {operations(model) * speed / rate:>11.0%}"
        if peers:
            for width, tuned in ((14, False), (10, True)):
                theirs = trainers(spec, data, arguments.rounds, tuned)
                line += f" {BATCH * CONTEXT / theirs:>{width},.0f} {theirs / seconds:>6.2f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
