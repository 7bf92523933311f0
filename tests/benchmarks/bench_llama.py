"""Tokens per second of training a Llama on one thread, beside Hugging Face's Trainer.

python tests/benchmarks/bench_llama.py [--steps 60] [--rounds 5]

The same class of transformers, shape, batch and data in both, AdamW and gradient clipping, fp32,
median CPU seconds of a step; ours and theirs take turns, and a ratio is the median of the rounds'.
Trainer as it comes, and tuned: without a cache of keys, and without its watch over losses. It needs
`transformers` and `accelerate`.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import itertools
import statistics
import tempfile
import time
from typing import Any

import torch
from bench_train import BATCH, CONTEXT, TRAINING, VOCABULARY
from torch import Tensor

from proxyscale.training import hugging_face, language_model
from proxyscale.training.native import Run

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


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if not all(map(importlib.util.find_spec, ("transformers", "accelerate"))):
        print("transformers and accelerate are not installed: no comparison with Trainer")
        return
    from transformers import logging

    logging.set_verbosity_error()
    language_model.prepare_cpu(1)
    data = torch.randint(VOCABULARY, (arguments.steps, BATCH, CONTEXT))
    print("size  parameters     step     tok/s  Trainer tok/s  ratio    tuned/s  ratio")
    for name, shape in SHAPES.items():
        spec = model_spec(*shape)
        parameters = hugging_face.architecture("llama").count(spec)
        rounds = [
            (own(spec, data), trainers(spec, data, False), trainers(spec, data, True))
            for _ in range(arguments.rounds)
        ]
        ours, plain, tuned = map(statistics.median, zip(*rounds, strict=True))
        tokens = BATCH * CONTEXT
        line = f"{name:<5} {parameters:>10,} {1e3 * ours:>6.2f}ms {tokens / ours:>9,.0f}"
        for place, width, theirs in ((1, 14, plain), (2, 10, tuned)):
            ratio = statistics.median(one[place] / one[0] for one in rounds)
            line += f" {tokens / theirs:>{width},.0f} {ratio:>6.2f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
