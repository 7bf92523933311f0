"""The language model: a GPT-2/MPT-like decoder, its initialization, its loss and its files.

Parameters, with biases and tied embeddings: V·d + ctx·d + L·(12d² + 13d) + 2d.
"""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import torch.nn.functional as F
from mup import MuReadout
from torch import Tensor, nn

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.training import parametrization
from proxyscale.training.matmul import Linear, linear, transposed_times

# Standard deviation of embeddings and positions (Radford et al. 2019), at every width.
EMBEDDING_STD = 0.02
# Logits are made in chunks of about this many elements: a core's cache, a part of a GPU's memory.
CHUNK = {"cpu": 1 << 19, "cuda": 1 << 28}
# Options of glibc's mallopt, from malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


class Block(nn.Module):
    """Pre-LayerNorm attention and MLP, each added to the residual stream."""

    def __init__(self, width: int, heads: int, ratio: int, bias: bool, scale: float) -> None:
        super().__init__()
        self.heads = heads
        self.scale = scale
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = Linear(width, 3 * width, bias=bias)
        self.out = Linear(width, width, bias=bias)
        self.mlp_norm = nn.LayerNorm(width)
        self.up = Linear(width, ratio * width, bias=bias)
        self.down = Linear(ratio * width, width, bias=bias)

    def forward(self, stream: Tensor, at: Tensor | None = None) -> Tensor:
        """[batch, length, width] → the same shape; [n, width] at places [n] of [batch · length]."""
        batch, length, width = stream.shape
        shape = (batch, length, 3, self.heads, width // self.heads)
        queries, keys, values = (
            self.qkv(self.attention_norm(stream)).view(shape).permute(2, 0, 3, 1, 4).unbind()
        )
        mixed = F.scaled_dot_product_attention(
            queries, keys, values, is_causal=True, scale=self.scale
        )
        mixed = mixed.transpose(1, 2).reshape(batch, length, width)
        if at is not None:
            stream, mixed = stream.flatten(0, 1)[at], mixed.flatten(0, 1)[at]
        stream = stream + self.out(mixed)
        added: Tensor = self.down(F.gelu(self.up(self.mlp_norm(stream))))
        return stream + added


class LanguageModel(nn.Module):
    """Learned positions, `layers` blocks, a final LayerNorm and a readout, tied or not.

    `spec`: vocabulary, context, width, layers, heads (None: one for 16 channels), mlp_ratio, bias
    (of linear maps; LayerNorms always have theirs), tied, parametrization (mup or standard),
    base_width. UserError if the width cannot be divided by the heads.
    """

    def __init__(self, spec: Mapping[str, Any]) -> None:
        super().__init__()
        width, heads = spec["width"], spec["heads"] or max(1, spec["width"] // 16)
        if width % heads:
            message = f"{heads} heads cannot share a width of {width}"
            raise UserError(message, where="heads", hint="choose a divisor of the width")
        scale = parametrization.attention_scale(width // heads, spec["parametrization"])
        self.context: int = spec["context"]
        self.embedding = nn.Embedding(spec["vocabulary"], width)
        self.positions = nn.Embedding(spec["context"], width)
        self.blocks = nn.ModuleList(
            Block(width, heads, spec["mlp_ratio"], spec["bias"], scale)
            for _ in range(spec["layers"])
        )
        self.norm = nn.LayerNorm(width)
        self.head = None if spec["tied"] else MuReadout(width, spec["vocabulary"], bias=False)

    @property
    def readout(self) -> Tensor:
        """The matrix [vocabulary, width] from hidden states to logits."""
        return self.embedding.weight if self.head is None else self.head.weight

    def hidden(self, tokens: Tensor, at: Tensor | None = None) -> Tensor:
        """Token ids [batch, length] → states [batch, length, width]; `readout` gives the logits.

        With places `at` [n] in [batch · length]: the states there alone, [n, width], for which the
        last block needs nothing but keys and values elsewhere. The readout's multiplier, 1 / width
        multiplier under µP, is already in the states.
        """
        stream = self.embedding(tokens) + self.positions.weight[: tokens.shape[1]]
        *blocks, last = self.blocks
        for block in blocks:
            stream = block(stream)
        stream = last(stream, at)
        states: Tensor = self.norm(stream)
        return states * (1 / parametrization.width_multiplier(self.readout))

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids [batch, length] → logits [batch, length, vocabulary]."""
        return linear(self.hidden(tokens), self.readout)

    def hidden_matrices(self) -> list[Tensor]:
        """The weights from width to width, which µP treats apart from all others."""
        linears = (module for module in self.blocks.modules() if isinstance(module, nn.Linear))
        return [linear.weight for linear in linears]


def build(spec: Mapping[str, Any], seed: int | None = None) -> LanguageModel:
    """A model with its µP shapes; initialized from `seed`, or left as it is to be loaded into."""
    model = LanguageModel(spec)
    parametrization.set_shapes(
        model,
        lambda width: LanguageModel({**spec, "width": width, "heads": 1}),
        spec["base_width"],
        spec["parametrization"],
    )
    if seed is not None:
        _initialize(model, spec["parametrization"], torch.Generator().manual_seed(seed))
    return model


@torch.no_grad()
def _initialize(model: LanguageModel, kind: str, generator: torch.Generator) -> None:
    """Draw all weights, on the CPU so that every device starts from the same.

    Standard: N(0, 0.02²), residual projections divided by √(2 layers) (Radford et al. 2019).
    µP: hidden matrices N(0, 1 / fan-in), residual projections and readout zero, so that the
    network starts as the same function at every width (Yang et al. 2022, Appendix D.2).
    """
    zero = kind == "mup"
    for module in model.modules():
        if isinstance(module, nn.Linear) and module.bias is not None:
            module.bias.zero_()
        if isinstance(module, nn.Embedding | nn.Linear):
            std = EMBEDDING_STD
            if zero and isinstance(module, nn.Linear):
                std = 1 / math.sqrt(module.in_features)
            module.weight.normal_(0, std, generator=generator)
    for block in model.blocks:
        assert isinstance(block, Block)
        for projection in (block.out, block.down):
            projection.weight.mul_(0 if zero else 1 / math.sqrt(2 * len(model.blocks)))
    if model.head is not None and zero:
        model.head.weight.zero_()


def chunk_rows(readout: Tensor) -> int:
    """How many rows of logits are made at once; never so few that the products get slow."""
    return max(128, CHUNK[readout.device.type] // len(readout))


class _CrossEntropy(torch.autograd.Function):
    """Summed cross-entropy whose gradients are formed while a chunk's logits are in the cache."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, readout: Tensor, targets: Tensor) -> Tensor:
        rows = chunk_rows(readout)
        total = torch.zeros((), device=states.device)
        states_gradient = torch.empty_like(states)
        readout_gradient: Tensor | float = 0.0
        for start in range(0, len(states), rows):
            chunk, gold = states[start : start + rows], targets[start : start + rows, None]
            gradient = torch.softmax(linear(chunk, readout).float(), dim=-1)
            chosen = gradient.gather(1, gold)
            total -= chosen.clamp_min(1e-38).log().sum()
            gradient.scatter_(1, gold, chosen - 1)
            states_gradient[start : start + rows] = linear(gradient, readout.t())
            readout_gradient = transposed_times(gradient, chunk) + readout_gradient
        ctx.save_for_backward(states_gradient, readout_gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, Tensor, None]:
        states_gradient, readout_gradient = ctx.saved_tensors
        return states_gradient * outer[0], readout_gradient * outer[0], None


def cross_entropy(states: Tensor, readout: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy in nats of targets [n] under logits = states [n, width] @ readoutᵀ.

    Never holds more than a chunk of logits. A target's loss saturates at 87 nats.
    """
    total: Tensor = _CrossEntropy.apply(states, readout, targets)  # type: ignore[no-untyped-call]
    return total / len(targets)


def save(model: LanguageModel, path: Path) -> None:
    """Write the weights as safetensors."""
    with artifacts.atomic(path) as temporary:
        safetensors.torch.save_file(model.state_dict(), temporary)


def load(run: Path) -> LanguageModel:
    """The trained model of a run folder, on the CPU, in evaluation mode."""
    manifest = artifacts.read_json(run / "manifest.json")
    model = build(manifest["model"])
    model.load_state_dict(safetensors.torch.load_file(run / "model.safetensors"))
    return model.eval()


def device() -> torch.device:
    """The accelerator if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def precision(wanted: str, where: torch.device) -> str:
    """`auto` made definite: bf16 with CUDA, fp32 elsewhere."""
    if wanted == "auto":
        return "bf16" if where.type == "cuda" else "fp32"
    return wanted


def autocast(name: str, where: torch.device) -> torch.autocast:
    """The context in which a model runs at a precision (fp32 or bf16)."""
    return torch.autocast(where.type, torch.bfloat16, enabled=name == "bf16")


def prepare_cpu(threads: int | None = None) -> None:
    """One thread unless told otherwise, and freed memory is kept for the next step.

    Tiny matrices gain from more processes, not from more threads. glibc would hand the logits'
    memory back to the kernel at every step and fault it in again: a tenth of the time at 0.3M
    parameters, a quarter at 20k.
    """
    if threads is not None or "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(threads or 1)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's alone
    if mallopt is not None:
        for option in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            mallopt(option, 1 << 28)
