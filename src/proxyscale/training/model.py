"""What a language model must be to be trained, measured, attributed through and saved here.

An architecture is a class that derives from `LanguageModel` and is registered:

    @architecture
    class Mine(LanguageModel):
        def __init__(self, spec: Mapping[str, Any], *, option: int = 1) -> None: ...

`spec` holds vocabulary, context, width, layers, parametrization and base_width; keyword-only
arguments are the keys of `model.options`. The name is the class's in lower case, words joined by
hyphens. Beside the parameters of a module, all that is asked of it stands in `LanguageModel`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from proxyscale.training import parametrization
from proxyscale.training.matmul import linear

# Standard deviation of embeddings, and of all matrices of the standard parametrization (Radford
# et al. 2019), at every width.
INITIAL_STD = 0.02


class Layout(NamedTuple):
    """What the tokens of a batch see, where that is not all that stand before them."""

    positions: Tensor  # [batch, length]
    mask: Tensor  # [batch, 1, length, length], added to the scores of attention: 0 or −∞


class LanguageModel(nn.Module):
    """A causal model of tokens: hidden states, and one matrix that reads logits out of them.

    `context`, `hidden`, `readout` and `hidden_matrices` are what an architecture says of itself;
    the loss is the cross-entropy of `hidden(tokens) @ readoutᵀ`, with `readout_bias` added where
    there is one. Examples of a batch must not see each other, nor a token the ones after it.
    """

    # µP is for architectures that follow its rules: initialization, readout, scale of attention.
    parametrizations: ClassVar[Sequence[str]] = ("standard",)
    # Whether `laid_out` is there: choices of one prompt are then measured as one sequence.
    lays_out: ClassVar[bool] = False
    # Packages beside torch that the architecture is made of, with their versions.
    versions: Mapping[str, str] = MappingProxyType({})
    # Width over base width, which µP's logits are divided by; parameters that lie in parts with
    # several processes have no shapes while they are whole.
    multiplier: float = 1.0

    def __init__(self, spec: Mapping[str, Any], **options: Any) -> None:
        super().__init__()
        self.context: int = spec["context"]  # tokens that attend to each other, at most

    def hidden(self, tokens: Tensor, at: Tensor | None = None) -> Tensor:
        """Token ids [batch, length] → states [batch, length, width]; `readout` gives the logits.

        With places `at` [n] in [batch · length]: the states there alone, [n, width]. What
        multiplies the logits is in the states already.
        """
        raise NotImplementedError

    def laid_out(self, tokens: Tensor, at: Tensor, layout: Layout) -> Tensor:
        """As `hidden`, at any places of tokens that stand and see as the layout has it."""
        raise NotImplementedError

    @property
    def readout(self) -> nn.Parameter:
        """The matrix [vocabulary, width] from hidden states to logits; it may be the embedding."""
        raise NotImplementedError

    @property
    def readout_bias(self) -> nn.Parameter | None:
        """What is added to the logits, [vocabulary]; most architectures have none."""
        return None

    def hidden_matrices(self) -> list[Tensor]:
        """The weights from width to width, which take the hidden learning rate."""
        raise NotImplementedError

    @torch.no_grad()
    def initialize(self, parametrization: str, generator: torch.Generator) -> None:
        """Draw the weights of linear maps and embeddings, on the CPU: every device starts alike.

        From N(0, 0.02²), linear maps under µP from N(0, 1 / fan-in); their biases are zero. Other
        parameters stay as they were constructed.
        """
        for module in self.modules():
            if isinstance(module, nn.Linear) and module.bias is not None:
                module.bias.zero_()
            if isinstance(module, nn.Embedding | nn.Linear):
                std = INITIAL_STD
                if parametrization == "mup" and isinstance(module, nn.Linear):
                    std = 1 / math.sqrt(module.in_features)
                module.weight.normal_(0, std, generator=generator)

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids [batch, length] → logits [batch, length, vocabulary]."""
        return linear(self.hidden(tokens), self.readout, self.readout_bias)

    @classmethod
    def count(cls, spec: Mapping[str, Any], **options: Any) -> int:
        """Parameters of the model that `spec` and `options` make; none of them is allocated."""
        with torch.device("meta"), Undrawn():
            model = cls(spec, **options)
        return sum(parameter.numel() for parameter in model.parameters())

    @classmethod
    def shapes(cls, spec: Mapping[str, Any], width: int, **options: Any) -> parametrization.Shapes:
        """Of all parameters, were the model of another width: every dimension is linear in it."""

        def make(width: int) -> LanguageModel:
            return cls({**spec, "width": width, "heads": 1}, **options)

        return parametrization.extrapolated(make, width)


class Undrawn(TorchFunctionMode):
    """Draws no normal numbers: for tensors without memory torch would import its compiler first."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if func in (Tensor.normal_, nn.init.normal_):
            return args[0] if args else named["tensor"]
        return func(*args, **named)
