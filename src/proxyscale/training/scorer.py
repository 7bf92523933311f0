"""What tells logits of tokens, to be scored: a model of the package, or one of another make."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

from proxyscale.training import language_model
from proxyscale.training.matmul import linear
from proxyscale.training.model import LanguageModel, Layout


class Scorer(Protocol):
    """A model that tells logits at some places of a batch of tokens."""

    context: int  # tokens that it sees, at most
    device: torch.device

    @property
    def laid_out(self) -> Callable[[Tensor, Tensor, Layout], Iterator[Tensor]] | None:
        """As `logits`, at any places of tokens with a layout; None of a model that cannot."""

    def logits(self, tokens: Tensor, at: Tensor) -> Iterator[Tensor]:
        """Token ids [batch, length], padded on the right, and places [n] in [batch · length],
        ascending → the logits f32 [some, vocabulary] there, in this order."""


class Trained:
    """A model of the package."""

    def __init__(self, model: LanguageModel, precision: str = "fp32") -> None:
        self.model, self.precision = model, precision
        self.context, self.device = model.context, model.readout.device

    @property
    def laid_out(self) -> Callable[[Tensor, Tensor, Layout], Iterator[Tensor]] | None:
        """See `Scorer`."""
        model = self.model
        return (lambda *of: self._logits(model.laid_out, *of)) if model.lays_out else None

    def logits(self, tokens: Tensor, at: Tensor) -> Iterator[Tensor]:
        """See `Scorer`; a chunk at a time."""
        return self._logits(self.model.hidden, tokens, at)

    def _logits(self, hidden: Callable[..., Tensor], *of: Any) -> Iterator[Tensor]:
        cast = language_model.autocast(self.precision, self.device)
        with cast:
            states = hidden(*of)
        for chunk in states.split(language_model.chunk_rows(self.model.readout)):
            with cast:
                logits = linear(chunk, self.model.readout, self.model.readout_bias)
            yield logits.float()
