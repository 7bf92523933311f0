"""Tokens per second of training on one thread, beside Hugging Face's Trainer.

Same shape (GPT-2, untied head), same batch, same data, AdamW and gradient clipping, fp32. Trainer
is measured as it comes, with GPT-2's own dropout and GELU, and tuned to the same operations as
ours: no dropout, exact GELU, SDPA, fused AdamW. It needs `transformers` and `accelerate`. The limit
is (6·(P − embedding tables) + attention)·tokens/s over the core's fp32 rate at 1024 × 1024 products
by the faster of the libraries that torch brings.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import itertools
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import torch
from timing import Row, Work, compared, cpu_seconds, in_turns
from torch import Tensor

from proxyscale.training import gpt, language_model
from proxyscale.training.matmul import linear
from proxyscale.training.native import Run

SHAPES = {"20k": (8, 1), "0.1M": (32, 2), "1M": (128, 4), "10M": (384, 6)}
STEPS = {"20k": 60, "0.1M": 60, "1M": 30, "10M": 8}
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


def operations(model: gpt.Gpt) -> int:
    """Of a token's training: products with weights, and of attention the causal half."""
    tables = model.embedding.weight.numel() + model.positions.weight.numel()
    matrices = sum(p.numel() for p in model.parameters()) - tables
    attention = 2 * len(model.blocks) * model.readout.shape[1] * CONTEXT // 2
    return 6 * (matrices + attention)


def own(spec: dict[str, Any], data: Tensor) -> Work:
    """So many steps of this package, of a run that has begun."""
    run = Run({"model": spec, "training": TRAINING, "seed": 0}, 1000 * len(data))
    steps = itertools.count()

    def train() -> None:
        for pieces in data:
            run.step(next(steps), pieces)

    return train


def trainer(spec: dict[str, Any], data: Tensor, tuned: bool) -> Callable[[int], None]:
    """So many steps of Hugging Face's Trainer, which it is built for anew."""
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

    return fit


def measured(rounds: int) -> Iterator[Row]:
    """Tokens a second of every size; Trainer's are of a long run less a short one."""
    language_model.prepare_cpu(1)
    rate = gemm_rate()
    there = all(map(importlib.util.find_spec, ("transformers", "accelerate")))
    for name, shape in SHAPES.items():
        spec, steps = model_spec(*shape), STEPS[name]
        data = torch.randint(VOCABULARY, (steps, BATCH, CONTEXT))
        works: list[Work] = [own(spec, data)]
        for fit in [trainer(spec, data, tuned) for tuned in (False, True) if there]:
            works += [functools.partial(fit, 3 * steps), functools.partial(fit, steps)]
        ours, *each = in_turns(rounds, *works)
        # the best of each first: the least difference of two noisy numbers would flatter it
        theirs = [
            [(min(a) - min(b)) / 2] * rounds for a, b in zip(each[::2], each[1::2], strict=True)
        ]
        flops, tokens = operations(gpt.Gpt(spec)), steps * BATCH * CONTEXT
        peers = ["Trainer", "Trainer, tuned"][: len(theirs)]
        limit = functools.partial(lambda flops, speed: flops * speed / rate, flops)
        yield from compared(f"train GPT {name}", "tokens", tokens, [ours, *theirs], peers, limit)
