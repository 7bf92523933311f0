"""A run's model as a folder that Hugging Face transformers opens, with its tokenizer.

    AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)

A model of transformers is of its own class. `Gpt` is GPT-2 but for two multipliers, which go into
weights here: attention's into the queries (GPT-2 divides by √d), the readout's into the head.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from tokenizers import Tokenizer
from torch import Tensor

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.data.packing import END
from proxyscale.training import language_model, parametrization
from proxyscale.training.gpt import Gpt
from proxyscale.training.hugging_face import HuggingFace, save_pretrained

# GPT-2's names for the parts of a block; it keeps these matrices transposed.
LINEARS = {
    "qkv": "attn.c_attn",
    "out": "attn.c_proj",
    "up": "mlp.c_fc",
    "down": "mlp.c_proj",
}
NORMS = {"attention_norm": "ln_1", "mlp_norm": "ln_2"}


def export(out: Path, run: Path, tokenizer: Path) -> None:
    """Write a trained run's config.json, model.safetensors, tokenizer.json and its config.

    `tokenizer` is the study's tokenizer.json. UserError if `out` is there already, or if the run's
    architecture is a plugin's.
    """
    if out.exists():
        raise UserError("is there already", where=str(out), hint="name a new folder")
    manifest = artifacts.read_json(run / "manifest.json")
    model, spec = language_model.load(run), manifest["model"]
    if not isinstance(model, Gpt | HuggingFace):
        raise UserError(f"is a {spec['architecture']}, which has no form there", where=str(run))
    words, texts = artifacts.read_json(tokenizer), {}
    end = Tokenizer.from_str(json.dumps(words)).token_to_id(END)
    told = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END, "bos_token": END}
    limit = {"model_max_length": spec["context"]}
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=out.parent) as beside:
        folder = Path(beside) / out.name
        folder.mkdir()
        if isinstance(model, Gpt):
            weights = gpt2_weights(model, spec)
            safetensors.torch.save_file(weights, folder / "model.safetensors", {"format": "pt"})
            texts["config"] = gpt2_config(spec, end)
        else:
            save_pretrained(model, folder, end)
        for name, value in {"tokenizer": words, "tokenizer_config": told | limit, **texts}.items():
            text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
            (folder / f"{name}.json").write_text(text + "\n")
        folder.rename(out)


def gpt2_config(spec: Mapping[str, Any], end: int | None) -> dict[str, Any]:
    """GPT-2's configuration of a model; `end` is the token between two documents."""
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": spec["vocabulary"],
        "n_positions": spec["context"],
        "n_embd": spec["width"],
        "n_layer": spec["layers"],
        "n_head": spec["heads"],
        "n_inner": spec["mlp_ratio"] * spec["width"],
        "activation_function": "gelu",  # the exact one, as torch's default
        "tie_word_embeddings": spec["tied"],
        "attn_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "bos_token_id": end,
        "eos_token_id": end,
        "torch_dtype": "float32",
    }


@torch.no_grad()
def gpt2_weights(model: Gpt, spec: Mapping[str, Any]) -> dict[str, Tensor]:
    """The model's tensors by GPT-2's names, biases that it lacks as zeros."""
    found = {
        "transformer.wte.weight": model.embedding.weight,
        "transformer.wpe.weight": model.positions.weight,
        "transformer.ln_f.weight": model.norm.weight,
        "transformer.ln_f.bias": model.norm.bias,
    }
    head = spec["width"] // spec["heads"]
    stretch = parametrization.attention_scale(head, spec["parametrization"]) * math.sqrt(head)
    for number, block in enumerate(model.blocks):
        stem = f"transformer.h.{number}"
        for ours, theirs in NORMS.items():
            norm = block.get_submodule(ours)
            found |= {f"{stem}.{theirs}.{key}": value for key, value in norm.named_parameters()}
        for ours, theirs in LINEARS.items():
            linear = block.get_submodule(ours)
            own = dict(linear.named_parameters())
            weight = own["weight"].clone()
            bias = own["bias"].clone() if "bias" in own else torch.zeros(len(weight))
            if ours == "qkv":
                weight[: spec["width"]] *= stretch
                bias[: spec["width"]] *= stretch
            found |= {f"{stem}.{theirs}.weight": weight.T, f"{stem}.{theirs}.bias": bias}
    if model.head is not None:
        found["lm_head.weight"] = model.readout / model.multiplier
    return {name: tensor.detach().contiguous() for name, tensor in found.items()}
