"""Per-example gradients of a language model's output, layer by layer.

One backward pass over a batch makes the gradient of every layer's output at every position; a
layer's gradient for one example is the product of these with the layer's inputs (Goodfellow 2015,
1510.01799). So a batch costs one forward pass, half a backward pass and one product a layer, and
no more than one layer's gradients need be held at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from proxyscale.training import matmul
from proxyscale.training.language_model import LanguageModel


def model_output(logits: Tensor, true: Tensor, scored: Tensor) -> Tensor:
    """f: the mean over scored positions of log(p / (1 - p)), p of the true next token.

    `logits` [batch, positions, vocabulary], `true` i64 and `scored` bool [batch, positions]
    → [batch]. TRAK (2303.14186), section 3.3; for language models DsDm (2401.12926), section 2.2.
    """
    true = true.unsqueeze(2)
    others = logits.scatter(2, true, float("-inf")).logsumexp(2)
    margins = logits.gather(2, true).squeeze(2) - others
    return (margins * scored).sum(1) / scored.sum(1)


@torch.no_grad()
def output_gradient(logits: Tensor, true: Tensor, scored: Tensor) -> Tensor:
    """∂f/∂logits of `model_output`, in the memory of `logits`, which is overwritten.

    log(p / (1 - p)) = z_true - logsumexp of the other z: its gradient is 1 at the true token and
    minus the softmax over the others elsewhere.
    """
    true = true.unsqueeze(2)
    logits.scatter_(2, true, float("-inf"))
    torch.softmax(logits, 2, out=logits)
    logits.scatter_(2, true, -1.0)
    share = scored.to(logits.dtype) / scored.sum(1, keepdim=True)
    return logits.mul_(-share.unsqueeze(2))


class GradientComputer:
    """Per-example gradients of f with respect to all parameters of a language model.

    Takes the model over: puts it in evaluation mode and freezes its parameters.
    """

    def __init__(self, model: LanguageModel) -> None:
        self.model = model.eval().requires_grad_(False)
        self.names = {module: name for name, module in model.named_modules()}
        self.inputs: dict[nn.Module, Tensor] = {}
        self.outputs: dict[nn.Module, Tensor] = {}
        self.buffer = model.readout.new_empty(0)
        for module in model.modules():
            if isinstance(module, nn.Linear | nn.LayerNorm):
                module.register_forward_hook(self._record)
        model.embedding.register_forward_hook(self._start)

    def _record(self, module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        self.inputs[module], self.outputs[module] = inputs[0].detach(), output

    def _start(self, module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        # No parameter asks for its gradient: the graph has to begin at the embedded tokens.
        self._record(module, inputs, output.requires_grad_())

    def __call__(
        self, tokens: Tensor, true: Tensor, scored: Tensor
    ) -> Iterator[tuple[str, slice, Tensor]]:
        """(name, rows, gradient [rows, *shape]) of every parameter for some examples of the batch.

        Valid until the next is asked for. All [batch, pieces, n]: an example is one piece or
        several that do not attend to each other. `true` are the tokens that follow `tokens`,
        `scored` those whose prediction counts, at least one an example. A tied matrix comes twice,
        as readout and as embedding: its gradient is the sum.
        """
        batch = len(tokens)
        with torch.enable_grad():
            states = self.model.hidden(tokens.flatten(0, 1))
        readout, detached = self.model.readout, _by_example(states.detach(), batch)
        logits = matmul.linear(detached, readout)
        signal = output_gradient(logits, true.flatten(1), scored.flatten(1))
        backprop = matmul.linear(signal, readout.t())
        layers = list(self.outputs)
        backprops = torch.autograd.grad(
            states, [self.outputs[layer] for layer in layers], backprop.view_as(states)
        )
        name = "embedding" if self.model.head is None else "head"
        yield from self._products(f"{name}.weight", signal, detached)
        for layer, backprop in zip(layers, backprops, strict=True):
            yield from self._layer(layer, self.inputs[layer], backprop, batch)

    def _layer(
        self, layer: nn.Module, inputs: Tensor, backprop: Tensor, batch: int
    ) -> Iterator[tuple[str, slice, Tensor]]:
        name, signal, everyone = self.names[layer], _by_example(backprop, batch), slice(0, batch)
        if isinstance(layer, nn.Embedding):
            yield f"{name}.weight", everyone, self._embedding(inputs.view(batch, -1), signal)
            yield "positions.weight", everyone, self._positions(backprop, batch)
            return
        if isinstance(layer, nn.LayerNorm):
            normalized = F.layer_norm(inputs, layer.normalized_shape, eps=layer.eps)
            weight = (signal * _by_example(normalized, batch)).sum(1)
            yield f"{name}.weight", everyone, weight
        else:
            yield from self._products(f"{name}.weight", signal, _by_example(inputs, batch))
        if layer.bias is not None:
            yield f"{name}.bias", everyone, signal.sum(1)

    def _products(
        self, name: str, signal: Tensor, inputs: Tensor
    ) -> Iterator[tuple[str, slice, Tensor]]:
        """signalᵀ @ inputs of every example: one by one where a single product is worth its call.

        Its gradient is then read while it is in the cache.
        """
        if matmul.worth(signal[0].t(), inputs[0].t()):
            for row, (left, right) in enumerate(zip(signal, inputs, strict=True)):
                yield name, slice(row, row + 1), matmul.transposed_times(left, right)[None]
            return
        wide = signal.shape[2] > inputs.shape[2]
        left, right = (inputs, signal) if wide else (signal, inputs)
        out = self._room(len(left), left.shape[2], right.shape[2])
        torch.bmm(left.transpose(1, 2), right, out=out)
        yield name, slice(0, len(signal)), out.transpose(1, 2) if wide else out

    def _embedding(self, tokens: Tensor, signal: Tensor) -> Tensor:
        """Of [vocabulary, width], which lies in memory by columns, as the projection takes it."""
        batch, length, width = signal.shape
        out = self._room(batch, width, self.model.embedding.num_embeddings).zero_()
        places = tokens[:, None].expand(batch, width, length)
        return out.scatter_add_(2, places, signal.transpose(1, 2)).transpose(1, 2)

    def _positions(self, backprop: Tensor, batch: int) -> Tensor:
        summed = backprop.view(batch, -1, *backprop.shape[1:]).sum(1)
        return F.pad(summed, (0, 0, 0, self.model.context - summed.shape[1]))

    def _room(self, *shape: int) -> Tensor:
        """Uninitialized memory, one for all layers: fresh pages cost more than the products."""
        size, weight = math.prod(shape), self.model.readout
        if self.buffer.numel() < size:
            self.buffer = weight.new_empty(size)
        return self.buffer[:size].view(shape)


def _by_example(values: Tensor, batch: int) -> Tensor:
    """[batch · pieces, n, width] → [batch, pieces · n, width]."""
    return values.reshape(batch, -1, values.shape[-1])
