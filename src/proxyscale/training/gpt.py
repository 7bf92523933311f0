"""The architecture that models have unless the study says otherwise: a GPT-2/MPT-like decoder.

Parameters, with biases and tied embeddings: V·d + ctx·d + L·(12d² + 13d) + 2d.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from mup import MuReadout
from torch import Tensor, nn

from proxyscale.base.errors import UserError
from proxyscale.registry import architecture
from proxyscale.training import parametrization
from proxyscale.training.matmul import Linear
from proxyscale.training.model import LanguageModel, Layout


class Positions(nn.Embedding):
    """A learned vector for every position, added to the residual stream."""

    def forward(self, stream: Tensor, positions: Tensor | None = None) -> Tensor:
        """[batch, length, width] → the same shape; `positions` [batch, length] if not in order."""
        return stream + (
            self.weight[: stream.shape[1]] if positions is None else self.weight[positions]
        )


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

    def forward(
        self, stream: Tensor, at: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """[batch, length, width] → the same shape; [n, width] at places [n] of [batch · length].

        `mask`: as that of a `Layout`; without it each token sees those before it.
        """
        batch, length, width = stream.shape
        shape = (batch, length, 3, self.heads, width // self.heads)
        queries, keys, values = (
            self.qkv(self.attention_norm(stream)).view(shape).permute(2, 0, 3, 1, 4).unbind()
        )
        mixed = F.scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask, is_causal=mask is None, scale=self.scale
        )
        mixed = mixed.transpose(1, 2).reshape(batch, length, width)
        if at is not None:
            stream, mixed = stream.flatten(0, 1)[at], mixed.flatten(0, 1)[at]
        stream = stream + self.out(mixed)
        added: Tensor = self.down(F.gelu(self.up(self.mlp_norm(stream))))
        return stream + added


@architecture
class Gpt(LanguageModel):
    """Learned positions, `layers` blocks, a final LayerNorm and a readout, tied or not.

    `spec`: vocabulary, context, width, layers, heads (None: one for 16 channels), mlp_ratio, bias
    (of linear maps; LayerNorms always have theirs), tied, parametrization (mup or standard),
    base_width, perhaps initialization. UserError if the width cannot be divided by the heads.
    """

    parametrizations = parametrization.PARAMETRIZATIONS
    lays_out = True

    def __init__(self, spec: Mapping[str, Any]) -> None:
        super().__init__(spec)
        width, heads = spec["width"], spec["heads"] or max(1, spec["width"] // 16)
        if width % heads:
            message = f"{heads} heads cannot share a width of {width}"
            raise UserError(message, where="heads", hint="choose a divisor of the width")
        scale = parametrization.attention_scale(width // heads, spec["parametrization"])
        self.initialization: str = spec.get("initialization", "gpt2")
        self.embedding = nn.Embedding(spec["vocabulary"], width)
        self.positions = Positions(spec["context"], width)
        self.blocks = nn.ModuleList(
            Block(width, heads, spec["mlp_ratio"], spec["bias"], scale)
            for _ in range(spec["layers"])
        )
        self.norm = nn.LayerNorm(width)
        self.head = None if spec["tied"] else MuReadout(width, spec["vocabulary"], bias=False)

    @property
    def readout(self) -> nn.Parameter:
        matrix = self.embedding if self.head is None else self.head
        return cast(nn.Parameter, matrix.weight)

    def hidden(self, tokens: Tensor, at: Tensor | None = None) -> Tensor:
        """See `LanguageModel`; with `at`, the last block makes but keys and values elsewhere."""
        return self._hidden(tokens, at)

    def laid_out(self, tokens: Tensor, at: Tensor, layout: Layout) -> Tensor:
        """See `LanguageModel`."""
        return self._hidden(tokens, at, *layout)

    def _hidden(
        self,
        tokens: Tensor,
        at: Tensor | None,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        stream = self.positions(self.embedding(tokens), positions)
        *blocks, last = self.blocks
        for block in blocks:
            stream = block(stream, None, mask)
        stream = last(stream, at, mask)
        states: Tensor = self.norm(stream)
        return states * (1 / self.multiplier)

    def hidden_matrices(self) -> list[Tensor]:
        linears = (module for module in self.blocks.modules() if isinstance(module, nn.Linear))
        return [linear.weight for linear in linears]

    @torch.no_grad()
    def initialize(self, parametrization: str, generator: torch.Generator) -> None:
        """As any model's, but for residual projections and, under µP, the readout.

        Standard: residual projections are divided by √(2 layers) (Radford et al. 2019). µP: they
        and the readout are zero, so that the network starts as the same function at every width
        (Yang et al. 2022, Appendix D.2). `initialization: llm-foundry`: from N(0, 2 / fan-in), an
        embedding's fan-in being its width, and residual projections divided in the same way.
        """
        super().initialize(parametrization, generator)
        zero = parametrization == "mup"
        if self.initialization == "llm-foundry":
            for module in self.modules():
                if isinstance(module, nn.Embedding | nn.Linear):
                    std = math.sqrt(2 / module.weight.shape[1])
                    module.weight.normal_(0, std, generator=generator)
        for block in self.blocks:
            assert isinstance(block, Block)
            for projection in (block.out, block.down):
                projection.weight.mul_(0 if zero else 1 / math.sqrt(2 * len(self.blocks)))
        if self.head is not None and zero:
            self.head.weight.zero_()
