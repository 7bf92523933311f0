"""OLMo checkpoints of `hf_olmo` (OLMo-1's, DataDecide's) as models of transformers' own classes.

Their blocks are Llama's: rotary positions, SwiGLU, a norm before each part. Without weights in the
norms, which are LayerNorm's then, that is transformers' Olmo; with RMSNorm and a weight, its Llama.
What is anything else, as ALiBi, biases or norms of queries and keys are, is refused by its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from proxyscale.base.errors import UserError

MODEL_TYPE = "hf_olmo"
BLOCK = "model.transformer.blocks"
# theirs → ours, outside of the blocks and in each one; what is fused is cut along its rows
OUTSIDE = {
    "model.transformer.wte.weight": "model.embed_tokens.weight",
    "model.transformer.ff_out.weight": "lm_head.weight",
    "model.transformer.ln_f.weight": "model.norm.weight",
}
INSIDE: dict[str, tuple[str, ...]] = {
    "att_proj.weight": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attn_out.weight": ("self_attn.o_proj",),
    "ff_proj.weight": ("mlp.up_proj", "mlp.gate_proj"),
    "ff_out.weight": ("mlp.down_proj",),
    "attn_norm.weight": ("input_layernorm",),
    "ff_norm.weight": ("post_attention_layernorm",),
}
# What must hold, with what a config that does not say it means.
WANTED: dict[str, tuple[Any, Any]] = {
    "rope": (True, False),
    "alibi": (False, False),
    "activation_type": ("swiglu", "swiglu"),
    "block_type": ("sequential", "sequential"),
    "attention_layer_norm": (False, False),
    "embedding_layer_norm": (False, False),
    "include_bias": (False, True),
    "scale_logits": (False, False),
    "norm_after": (False, False),
}
OLMO_EPS = 1e-5  # that transformers' Olmo has and no config changes


class Mapped(NamedTuple):
    """A class of transformers, its config, and how the weights are cut."""

    kind: str
    config: dict[str, Any]
    cuts: Mapping[str, list[int]]  # rows of each part of what is fused


def mapped(told: Mapping[str, Any], where: str) -> Mapped:
    """What a config of `hf_olmo` is in transformers. UserErrors for what cannot be said there."""
    for name, (wanted, default) in WANTED.items():
        value = told.get(name, default)
        if value != wanted:
            message = f"hf_olmo with {name}: {value!r} has no equal in transformers"
            raise UserError(message, where=f"{where}: config.json", hint=f"only {wanted!r} has one")
    width, heads = told["d_model"], told["n_heads"]
    inner = told.get("mlp_hidden_size") or told.get("mlp_ratio", 4) * width
    groups = _groups(told, heads, where)
    config: dict[str, Any] = {
        "vocab_size": told.get("embedding_size", 50304) or told["vocab_size"],
        "hidden_size": width,
        "intermediate_size": inner // 2,
        "num_hidden_layers": told["n_layers"],
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
        "max_position_embeddings": told.get("max_sequence_length", 1024),
        "tie_word_embeddings": told.get("weight_tying", True),
        "rope_parameters": {"rope_type": "default", "rope_theta": told.get("rope_theta", 10_000)},
    }
    key = width // heads * groups
    cuts = {"att_proj.weight": [width, key, key], "ff_proj.weight": [inner // 2, inner // 2]}
    kind, own = _norms(told, where)
    return Mapped(kind, config | own, cuts)


def _groups(told: Mapping[str, Any], heads: int, where: str) -> int:
    """Heads of keys and values: as many as of queries, or fewer, which several of these share."""
    single, groups = told.get("multi_query_attention"), told.get("n_kv_heads")
    meant = {None: heads, False: heads, True: 1}[single]
    if groups is not None and single is not None and groups != meant:
        message = f"n_kv_heads: {groups} and multi_query_attention: {single} contradict each other"
        raise UserError(message, where=f"{where}: config.json")
    return int(groups or meant)


def _norms(told: Mapping[str, Any], where: str) -> tuple[str, dict[str, Any]]:
    """The class by the kind of norm, and what it needs for it."""
    kind, affine = told.get("layer_norm_type", "default"), told.get("layer_norm_with_affine", True)
    bias, eps = told.get("bias_for_layer_norm"), told.get("layer_norm_eps", 1e-5)
    clip = told.get("clip_qkv")
    if kind in ("default", "low_precision") and not affine and eps == OLMO_EPS:
        return "olmo", {"clip_qkv": clip}
    if kind == "rms" and affine and not bias and clip is None:
        return "llama", {"rms_norm_eps": eps}
    said = f"layer_norm_type: {kind}, layer_norm_with_affine: {affine}, bias_for_layer_norm: {bias}"
    said += f", layer_norm_eps: {eps:g}, clip_qkv: {clip}"
    hint = f"without affine, default norms of eps {OLMO_EPS:g} have one; with it, rms without bias"
    message = f"hf_olmo with {said} has no equal in transformers"
    raise UserError(message, where=f"{where}: config.json", hint=hint)


def renamed(
    weights: Mapping[str, Tensor], found: Mapped, where: str
) -> Iterator[tuple[str, Tensor]]:
    """The weights by transformers' names. UserError for one that has none."""
    for name, tensor in weights.items():
        block, _, own = name.removeprefix(f"{BLOCK}.").partition(".")
        if name in OUTSIDE:
            yield OUTSIDE[name], tensor
        elif name.startswith(f"{BLOCK}.") and own in INSIDE:
            parts = INSIDE[own]
            cut = found.cuts.get(own)
            if cut and sum(cut) != len(tensor):
                message = f"{name} has {len(tensor)} rows, and {sum(cut)} follow from the config"
                raise UserError(message, where=where)
            pieces = torch.split(tensor, cut) if cut else (tensor,)
            for part, piece in zip(parts, pieces, strict=True):
                yield f"model.layers.{block}.{part}.weight", piece.contiguous()
        else:
            raise UserError(f"a weight {name} is none of an hf_olmo that is known", where=where)
