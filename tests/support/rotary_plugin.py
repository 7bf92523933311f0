"""A plugin with an architecture of its own: rotary positions, RMSNorm, SwiGLU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from proxyscale.base.errors import UserError
from proxyscale.registry import architecture
from proxyscale.training.model import LanguageModel


class Norm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, stream: Tensor) -> Tensor:
        return stream * (stream.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * self.scale


def rotated(values: Tensor) -> Tensor:
    """[batch, heads, length, channels], every pair of channels turned by its position."""
    left, right = values.chunk(2, -1)
    steps = torch.arange(values.shape[2], device=values.device)[:, None]
    angles = steps * 100.0 ** (-torch.arange(left.shape[3], device=values.device) / left.shape[3])
    cos, sin = angles.cos().to(values), angles.sin().to(values)
    return torch.cat((left * cos - right * sin, right * cos + left * sin), -1)


class Block(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads, self.first, self.second = heads, Norm(width), Norm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
        self.gates, self.down = nn.Linear(width, 2 * hidden), nn.Linear(hidden, width)

    def forward(self, stream: Tensor) -> Tensor:
        parts = self.qkv(self.first(stream)).unflatten(2, (3, self.heads, -1))
        queries, keys, values = parts.permute(2, 0, 3, 1, 4)
        queries, keys = rotated(queries), rotated(keys)
        mixed = F.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        stream = stream + self.out(mixed.transpose(1, 2).flatten(2))
        gate, up = self.gates(self.second(stream)).chunk(2, -1)
        return stream + self.down(F.silu(gate) * up)


@architecture
class RotaryGlu(LanguageModel):
    """Llama's form, small."""

    def __init__(self, spec: dict, *, heads: int = 1, ratio: float = 2.0, tied: bool = False):
        super().__init__(spec)
        width = spec["width"]
        if width % heads:
            raise UserError(f"rotary-glu: {heads} heads cannot share a width of {width}")
        self.embedding = nn.Embedding(spec["vocabulary"], width)
        self.blocks = nn.ModuleList(
            Block(width, heads, round(ratio * width)) for _ in range(spec["layers"])
        )
        self.norm = Norm(width)
        self.head = nn.Linear(width, spec["vocabulary"], bias=False)
        if tied:
            self.head.weight = self.embedding.weight

    @property
    def readout(self) -> nn.Parameter:
        return self.head.weight

    def hidden(self, tokens: Tensor, at: Tensor | None = None) -> Tensor:
        stream = self.embedding(tokens)
        for block in self.blocks:
            stream = block(stream)
        states = self.norm(stream)
        return states if at is None else states.flatten(0, 1)[at]

    def hidden_matrices(self) -> list[Tensor]:
        return [m.weight for m in self.blocks.modules() if isinstance(m, nn.Linear)]
