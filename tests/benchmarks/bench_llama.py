"""Tokens per second of training a Llama on one thread, beside Hugging Face's Trainer.

The same class of transformers, shape, batch and data in both, AdamW and gradient clipping, fp32;
the median of a step, the later half of the steps counted.
Trainer as it comes, and tuned: without a cache of keys, and without its watch over losses. It needs
`transformers` and `accelerate`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import statistics
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import torch
from bench_train import BATCH, CONTEXT, TRAINING, VOCABULARY
from timing import Row, compared
from torch import Tensor

from proxyscale.training import hugging_face, language_model
from proxyscale.training.native import Run

STEPS = 60
SHAPES = {"0.1M": (40, 2), "1M": (128, 4)}
TUNED = {"logging_nan_inf_filter": False, "average_tokens_across_devices": False}


def model_spec(width: int, layers: int) -> dict[str, Any]:
    """A Llama of a size."""
    return {
        "architecture": "llama",
        "config": {},
        "vocabulary": VOCABULARY,
        "context": CONTEXT,
        "width": width,
        "layers": layers,
        "parametrization": "standard",
        "base_width": 32,
    }


def own(spec: dict[str, Any], data: Tensor) -> float:
    """CPU seconds of a step of this package, the median after half of them to warm up."""
    run, ends = Run({"model": spec, "training": TRAINING, "seed": 0}, len(data)), []
    for step, pieces in enumerate(data):
        run.step(step, pieces)
        ends.append(time.process_time())
    return median_step(ends)


def median_step(ends: list[float]) -> float:
    """The median of the later half of the times between ends of steps."""
    between = [after - before for before, after in itertools.pairwise(ends)]
    return statistics.median(between[len(between) // 2 :])


def trainers(spec: dict[str, Any], data: Tensor, tuned: bool) -> float:
    """CPU seconds of a step of Trainer, its own work between steps counted."""
    from transformers import LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

    ends: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(time.process_time())

    rows = [{"input_ids": row, "labels": row} for row in data.flatten(0, 1)]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(None):
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=len(data),
            per_device_train_batch_size=BATCH,
            learning_rate=1e-3,
            max_grad_norm=1.0,
            lr_scheduler_type="cosine",
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            **(TUNED if tuned else {}),
        )
        config = hugging_face.configuration(spec)
        config.use_cache = not tuned
        model = LlamaForCausalLM(config)
        Trainer(model, arguments, train_dataset=rows, callbacks=[Clock()]).train()
    return median_step(ends)


def measured(rounds: int) -> Iterator[Row]:
    """Tokens a second of every size."""
    if not all(map(importlib.util.find_spec, ("transformers", "accelerate"))):
        return
    from transformers import logging

    logging.set_verbosity_error()
    language_model.prepare_cpu(1)
    data = torch.randint(VOCABULARY, (STEPS, BATCH, CONTEXT))
    for name, shape in SHAPES.items():
        spec = model_spec(*shape)
        taken = [
            (own(spec, data), trainers(spec, data, False), trainers(spec, data, True))
            for _ in range(rounds)
        ]
        seconds = list(zip(*taken, strict=True))
        peers = ("Trainer", "Trainer, tuned")
        yield from compared(f"train Llama {name}", "tokens", BATCH * CONTEXT, seconds, peers)
