"""OLMo checkpoints of hf_olmo lose in transformers' classes what OLMo's own words say they do."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from proxyscale.base.errors import UserError
from proxyscale.training import published

pytest.importorskip("transformers")

# As DataDecide's ladder has it, in small; OLMo-1's differs in its norms.
LADDER: dict[str, Any] = {
    "model_type": "hf_olmo",
    "architectures": ["OLMoForCausalLM"],
    "d_model": 32,
    "n_heads": 4,
    "n_layers": 2,
    "mlp_ratio": 6,
    "weight_tying": False,
    "alibi": False,
    "rope": True,
    "rope_theta": 500,
    "attention_layer_norm": False,
    "include_bias": False,
    "layer_norm_type": "rms",
    "layer_norm_with_affine": True,
    "layer_norm_eps": 1e-6,
    "bias_for_layer_norm": False,
    "activation_type": "swiglu",
    "block_type": "sequential",
    "max_sequence_length": 48,
    "vocab_size": 61,
    "embedding_size": 64,
}
OLMO = {"layer_norm_type": "default", "layer_norm_with_affine": False, "layer_norm_eps": 1e-5}
CASES: list[dict[str, Any]] = [
    {},
    {"n_kv_heads": 2},
    {"multi_query_attention": True, "weight_tying": True},
    OLMO,
    {**OLMO, "clip_qkv": 0.3, "mlp_hidden_size": 40, "weight_tying": True},
]


def weights(config: dict[str, Any]) -> dict[str, Tensor]:
    """Random weights under hf_olmo's names."""
    generator = torch.Generator().manual_seed(0)
    width, inner = config["d_model"], config.get("mlp_hidden_size", 6 * config["d_model"])
    groups = config.get("n_kv_heads", 1 if config.get("multi_query_attention") else 4)
    key = width // config["n_heads"] * groups

    def drawn(*shape: int) -> Tensor:
        return 0.3 * torch.randn(*shape, generator=generator)

    made = {"wte": drawn(64, width)}
    if not config["weight_tying"]:
        made["ff_out"] = drawn(64, width)
    norms = ["ln_f"]
    for block in (f"blocks.{n}" for n in range(config["n_layers"])):
        made[f"{block}.att_proj"] = drawn(width + 2 * key, width)
        made[f"{block}.attn_out"] = drawn(width, width)
        made[f"{block}.ff_proj"] = drawn(inner, width)
        made[f"{block}.ff_out"] = drawn(width, inner // 2)
        norms += [f"{block}.attn_norm", f"{block}.ff_norm"]
    if config["layer_norm_with_affine"]:
        made |= {name: 1 + drawn(width) for name in norms}
    return {f"model.transformer.{name}.weight": tensor for name, tensor in made.items()}


def forward(config: dict[str, Any], named: dict[str, Tensor], tokens: Tensor) -> Tensor:
    """Logits of one row, in the words of OLMo's paper (arXiv 2402.00838) and plain torch."""
    w = {name.removeprefix("model.transformer."): t.double() for name, t in named.items()}
    width, heads, length = config["d_model"], config["n_heads"], len(tokens)
    size = width // heads

    def norm(x: Tensor, name: str) -> Tensor:
        if config["layer_norm_type"] == "rms":
            scale = (x.square().mean(-1, keepdim=True) + config["layer_norm_eps"]).rsqrt()
            return x * scale * w[f"{name}.weight"]
        return (x - x.mean(-1, keepdim=True)) / (
            x.var(-1, keepdim=True, unbiased=False) + config["layer_norm_eps"]
        ).sqrt()

    def turned(x: Tensor) -> Tensor:
        """Pairs (i, i + size/2) of every head, turned by position · θ^(−2i/size)."""
        angle = torch.outer(
            torch.arange(length).double(),
            config["rope_theta"] ** (-torch.arange(0, size, 2).double() / size),
        )
        a, b = x[..., : size // 2], x[..., size // 2 :]
        return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)

    def split(x: Tensor) -> Tensor:
        return x.view(length, -1, size).transpose(0, 1)

    x = w["wte.weight"][tokens]
    ahead = torch.ones(length, length).triu(1).bool()
    for block in (f"blocks.{n}" for n in range(config["n_layers"])):
        fused = norm(x, f"{block}.attn_norm") @ w[f"{block}.att_proj.weight"].T
        if (limit := config.get("clip_qkv")) is not None:
            fused = fused.clamp(-limit, limit)
        rest = (fused.shape[1] - width) // 2
        q, k, v = (split(part) for part in fused.split([width, rest, rest], 1))
        mixed = []
        for head in range(heads):
            group = head * len(k) // heads
            scores = turned(q[head]) @ turned(k[group]).T / math.sqrt(size)
            mixed.append(scores.masked_fill(ahead, -math.inf).softmax(-1) @ v[group])
        x = x + torch.cat(mixed, 1) @ w[f"{block}.attn_out.weight"].T
        up, gate = (norm(x, f"{block}.ff_norm") @ w[f"{block}.ff_proj.weight"].T).chunk(2, 1)
        x = x + (F.silu(gate) * up) @ w[f"{block}.ff_out.weight"].T
    head = "wte" if config["weight_tying"] else "ff_out"
    return norm(x, "ln_f") @ w[f"{head}.weight"].T


def write(folder: Path, config: dict[str, Any], named: dict[str, Tensor]) -> Path:
    (folder / "config.json").write_text(json.dumps(config))
    save_file(named, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.mark.parametrize("changes", CASES, ids=lambda c: "-".join(map(str, c.values())) or "rms")
@torch.inference_mode()
def test_logits_are_those_of_an_independent_forward_pass(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    config = LADDER | changes
    named = weights(config)
    found, unread = published.load(
        write(tmp_path, config, named), "here", device=torch.device("cpu")
    )
    tokens = torch.randint(64, (40,), generator=torch.Generator().manual_seed(1))
    wanted = forward(config, named, tokens)
    got = torch.cat(list(found.logits(tokens[None], torch.arange(40))))
    torch.testing.assert_close(got.double(), wanted, rtol=0, atol=2e-5 * float(wanted.abs().max()))
    assert not unread
    assert found.context == 48
    assert found.parameters == sum(tensor.numel() for tensor in named.values())


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"alibi": True, "rope": False}, "rope: False"),
    ({"alibi": True}, "alibi: True"),
    ({"attention_layer_norm": True}, "attention_layer_norm: True"),
    ({"include_bias": True}, "include_bias: True"),
    ({"block_type": "llama"}, "block_type: 'llama'"),
    ({"norm_after": True}, "norm_after: True"),
    ({"scale_logits": True}, "scale_logits: True"),
    ({"activation_type": "gelu"}, "activation_type: 'gelu'"),
    ({"layer_norm_type": "default"}, "layer_norm_type: default, layer_norm_with_affine: True"),
    ({"bias_for_layer_norm": True}, "bias_for_layer_norm: True"),
    ({**OLMO, "layer_norm_eps": 1e-6}, "layer_norm_eps: 1e-06"),
    ({"clip_qkv": 8.0}, "clip_qkv: 8.0"),
    ({"n_kv_heads": 2, "multi_query_attention": True}, "contradict each other"),
    ({"n_kv_heads": 2}, "att_proj.weight has 96 rows, and 64 follow"),
]


@pytest.mark.parametrize(("changes", "told"), REFUSED, ids=[told for _, told in REFUSED])
def test_what_has_no_equal_is_refused_by_name(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    folder = write(tmp_path, LADDER | changes, weights(LADDER))
    with pytest.raises(UserError, match=told.replace("(", r"\(")):
        published.load(folder, "here", device=torch.device("cpu"))


def test_weights_that_nobody_knows_or_that_lack_are_refused(tmp_path: Path) -> None:
    named = weights(LADDER)
    more = {**named, "model.transformer.blocks.0.q_norm.weight": torch.ones(32)}
    with pytest.raises(UserError, match=r"blocks\.0\.q_norm\.weight is none"):
        published.load(write(tmp_path, LADDER, more), "here", device=torch.device("cpu"))
    del named["model.transformer.ln_f.weight"]
    with pytest.raises(UserError, match=r"lacks weights of a LlamaForCausalLM: 1"):
        published.load(write(tmp_path, LADDER, named), "here", device=torch.device("cpu"))
