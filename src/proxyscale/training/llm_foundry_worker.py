"""llm-foundry's side of the engine: run by the interpreter of its own environment.

python -m proxyscale.training.llm_foundry_worker CONFIG

Reads what `llm_foundry.train` left in a folder (CONFIG, pieces.npy, initial.safetensors), trains,
writes final.safetensors there. Says on standard output what a step lost, a line each:
`proxyscale {JSON}`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from composer.core import State
from composer.loggers import Logger, LoggerDestination
from composer.utils import dist
from llmfoundry import registry
from llmfoundry.command_utils import train
from llmfoundry.models.mpt import ComposerMPTCausalLM
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file
from streaming import MDSWriter
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from proxyscale.training.schedule import rate_factor


class Mpt(ComposerMPTCausalLM):  # type: ignore[misc]
    """MPT from given weights; `linear_bias: false` takes the biases of linear maps alone."""

    def __init__(self, weights: str, linear_bias: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not linear_bias:
            for module in self.modules():
                if isinstance(module, torch.nn.Linear):
                    module.register_parameter("bias", None)
        self.model.load_state_dict(load_file(weights))


class Steps(LoggerDestination):  # type: ignore[misc]
    """Sets every step's learning rates, as the native engine's schedule has them, tells its loss.

    Composer computes the next step's rate before it counts the last one: its own schedules lag.
    """

    def __init__(self, peaks: list[float], steps: int, warmup: int, final: float) -> None:
        self.peaks = peaks  # of the optimizer's groups; a checkpoint does not hold them
        self.terms = steps, warmup, final
        self.start = time.monotonic()

    def batch_start(self, state: State, logger: Logger) -> None:
        factor = rate_factor(int(state.timestamp.batch), *self.terms)
        for group, peak in zip(state.optimizers[0].param_groups, self.peaks, strict=True):
            group["initial_lr"], group["lr"] = peak, factor * peak

    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        loss = metrics.get("loss/train/total")
        if loss is not None and dist.get_global_rank() == 0:
            seconds = time.monotonic() - self.start
            said = {"step": step, "loss": float(loss), "seconds": seconds}
            print(f"proxyscale {json.dumps(said)}", flush=True)


def write_shards(folder: Path) -> None:
    """pieces.npy as MDS shards, in order."""
    pieces = np.load(folder / "pieces.npy", mmap_mode="r")
    with MDSWriter(out=str(folder / "shards"), columns={"tokens": "bytes"}) as writer:
        for piece in pieces:
            writer.write({"tokens": piece.tobytes()})


def write_tokenizer(folder: Path, vocabulary: int) -> None:
    """llm-foundry asks for a tokenizer, and takes nothing from it but which token is padding.

    Padding is never scored, so that its id must be none that the pieces hold.
    """
    words = Tokenizer(models.WordLevel({"padding": vocabulary}, unk_token="padding"))
    names = dict.fromkeys(("eos_token", "pad_token"), "padding")
    PreTrainedTokenizerFast(tokenizer_object=words, **names).save_pretrained(folder / "tokenizer")


def main(path: Path) -> None:
    """Train as CONFIG says."""
    registry.models.register("proxyscale", func=Mpt)
    registry.loggers.register("proxyscale", func=Steps)
    folder, config = path.parent, json.loads(path.read_text())
    if dist.get_local_rank() == 0 and not (folder / "shards" / "index.json").exists():
        write_shards(folder)
        write_tokenizer(folder, config["model"]["vocab_size"])
    trainer = train(OmegaConf.create(config))
    if dist.get_global_rank() == 0:
        trained = trainer.state.model
        weights = getattr(trained, "module", trained).model.state_dict()
        weights = {name: tensor.cpu().contiguous() for name, tensor in weights.items()}
        save_file(weights, folder / "final.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
