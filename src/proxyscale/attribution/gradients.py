"""Per-example gradients of a language model's output, layer by layer.

One backward pass over a batch makes the gradient of every layer's output at every position; a
layer's gradient for one example is the product of these with the layer's inputs (Goodfellow 2015,
1510.01799). So a batch costs one forward pass, half a backward pass and one product a layer, and
no more than one layer's gradients need be held at a time.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from proxyscale.attribution.model_output import model_output, output_gradient
from proxyscale.base.errors import UserError
from proxyscale.training import matmul
from proxyscale.training.gpt import Positions
from proxyscale.training.model import LanguageModel

RULED = (nn.Linear, matmul.TransposedLinear)  # beside embeddings and norms
# What becomes of parameters that no rule covers, unless that is an `error`.
UNCOVERED = {
    "autograd": "autograd makes their gradients, one example after another",
    "leave-out": "they are left out of the features",
}
# A rule may differ from autograd by so much of the sum of the examples' gradients.
TOLERANCE = 1e-3
# and so much of the largest: what a bias of keys has for a gradient is rounding alone.
ROUNDING = 1e-6


class Call(NamedTuple):
    """What went into a module and what came out, once in a forward pass."""

    module: nn.Module
    inputs: Tensor
    output: Tensor


class GradientComputer:
    """Per-example gradients of f with respect to all parameters of a language model.

    Those of linear maps, embeddings and norms follow from what goes into them and comes back to
    them, by a rule each. A rule is trusted with a parameter if it gives what autograd gives for the
    first batch: a module that is used in another way than its rule takes for granted is not
    covered by it. A parameter that no rule covers is an error that names it; `uncovered` says
    otherwise (see `UNCOVERED`). Takes the model over: puts it in evaluation mode and freezes its
    parameters.

    `precision` bf16: the passes and the products are made in it, logits and their gradient in
    float32; whether a rule is to be trusted is seen in float32.
    """

    def __init__(
        self, model: LanguageModel, uncovered: str = "error", precision: str = "fp32"
    ) -> None:
        self.half = precision == "bf16"
        self.model = model.eval().requires_grad_(False)
        self.uncovered = uncovered
        self.names = {id(parameter): name for name, parameter in model.named_parameters()}
        self.unruled: set[str] | None = None  # parameters that are left to autograd, once known
        self.calls: list[Call] | None = None  # where modules are listened to
        self.buffer = model.readout.new_empty(0, dtype=torch.uint8)
        for module in model.modules():
            if _has_rule(module) and id(module.weight) in self.names:
                module.register_forward_pre_hook(self._spread)
                module.register_forward_hook(self._record)

    def _spread(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        """Positions that all rows look up together, row by row: each has a gradient of its own."""
        alone = self.calls is not None and isinstance(module, nn.Embedding) and len(inputs) == 1
        if alone and inputs[0].dim() == 2 and len(inputs[0]) == 1:
            return (inputs[0].expand(self.rows, -1),)
        return None

    def _record(
        self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor
    ) -> Tensor | None:
        if self.calls is None or not inputs:
            return None
        # No parameter asks for its gradient: the graph has to begin at the embedded tokens.
        first = not output.requires_grad
        self.calls.append(Call(module, inputs[0].detach(), output.requires_grad_()))
        return output.clone() if first else None  # of which a model may change its copy in place

    def __call__(
        self, tokens: Tensor, true: Tensor, scored: Tensor
    ) -> Iterator[tuple[str, slice, Tensor]]:
        """(name, rows, gradient [rows, *shape]) of every parameter for some examples of the batch.

        Valid until the next is asked for. All [batch, pieces, n]: an example is one piece or
        several that do not attend to each other. `true` are the tokens that follow `tokens`,
        `scored` those whose prediction counts, at least one an example. A parameter may come more
        than once, such as a tied matrix as readout and as embedding: its gradient is the sum.
        """
        if self.unruled is None:
            half, self.half = self.half, False
            self.unruled = self._unruled(tokens, true, scored)
            self.half = half
            self._tell(sorted(self.unruled))
        for name, rows, gradient in self._by_rules(tokens, true, scored):
            if name not in self.unruled:
                yield name, rows, gradient
        if self.uncovered == "autograd":
            yield from self._by_autograd(tokens, true, scored)

    def _tell(self, names: list[str]) -> None:
        """Say which parameters no rule covers. UserError if there are to be none."""
        if not names:
            return
        listed = ", ".join(names)
        if self.uncovered == "error":
            hint = "attribution.uncovered: autograd, which is slow, or leave-out"
            raise UserError(f"no rule of gradients covers {listed}", hint=hint)
        sys.stderr.write(f"no rule of gradients covers {listed}: {UNCOVERED[self.uncovered]}\n")

    def _by_rules(
        self, tokens: Tensor, true: Tensor, scored: Tensor
    ) -> Iterator[tuple[str, slice, Tensor]]:
        """As `__call__`, of the parameters that have a rule."""
        batch, readout, self.calls = len(tokens), self.model.readout, []
        self.rows = tokens.shape[0] * tokens.shape[1]
        cast = torch.autocast(readout.device.type, torch.bfloat16, enabled=self.half)
        with torch.enable_grad(), cast:
            states = self.model.hidden(tokens.flatten(0, 1))
        calls, self.calls = self.calls, None
        detached = _by_example(states.detach(), batch)
        with cast:
            logits = matmul.linear(detached, readout, self.model.readout_bias).to(readout.dtype)
        signal = output_gradient(logits, true.flatten(1), scored.flatten(1))
        with cast:
            backprop = matmul.linear(signal, readout.t()).to(states.dtype)
        backprops = torch.autograd.grad(
            states, [call.output for call in calls], backprop.view_as(states), allow_unused=True
        )
        yield from self._products(self.names[id(readout)], signal, detached)
        if (bias := self.model.readout_bias) is not None:
            yield self.names[id(bias)], slice(0, batch), signal.sum(1)
        for call, backprop in zip(calls, backprops, strict=True):
            if backprop is not None and backprop[..., 0].numel() % batch == 0:
                yield from self._rule(call.module, call.inputs, backprop, batch)

    def _rule(
        self, module: Any, inputs: Tensor, backprop: Tensor, batch: int
    ) -> Iterator[tuple[str, slice, Tensor]]:
        name, signal, everyone = (
            self.names[id(module.weight)],
            _by_example(backprop, batch),
            slice(0, batch),
        )
        if isinstance(module, Positions):
            yield name, everyone, self._positions(backprop, batch, len(module.weight))
        elif isinstance(module, nn.Embedding):
            scaled = signal * getattr(module, "embed_scale", 1.0)  # Gemma's
            yield name, everyone, self._embedding(inputs.reshape(batch, -1), scaled, module)
        elif _is_norm(module):
            normalized = _by_example(_normalized(module, inputs), batch)
            yield name, everyone, (signal * normalized).sum(1)
        elif isinstance(module, matmul.TransposedLinear):
            yield from self._products(name, _by_example(inputs, batch), signal)
        else:
            yield from self._products(name, signal, _by_example(inputs, batch))
        bias = self.names.get(id(getattr(module, "bias", None)))
        if bias is not None:
            yield bias, everyone, signal.sum(1)

    def _outputs(self, tokens: Tensor, true: Tensor, scored: Tensor) -> Tensor:
        """f of every example, [batch]."""
        states = _by_example(self.model.hidden(tokens.flatten(0, 1)), len(tokens))
        logits = matmul.linear(states, self.model.readout, self.model.readout_bias)
        return model_output(logits, true.flatten(1), scored.flatten(1))

    def _unruled(self, tokens: Tensor, true: Tensor, scored: Tensor) -> set[str]:
        """Names of the parameters whose gradients autograd has to make.

        Every example has a weight of its own, lest one's gradient be taken for another's.
        """
        parameters = dict(self.model.named_parameters())
        weights = torch.linspace(1, 2, len(tokens)).to(self.model.readout)
        self.model.requires_grad_(True)
        with torch.enable_grad():
            total = weights @ self._outputs(tokens, true, scored)
        right = torch.autograd.grad(total, list(parameters.values()), materialize_grads=True)
        self.model.requires_grad_(False)
        wrong = {name: -gradient for name, gradient in zip(parameters, right, strict=True)}
        sizes = {name: float(gradient.norm()) for name, gradient in wrong.items()}
        for name, rows, gradient in self._by_rules(tokens, true, scored):
            weighted = gradient.flatten(1) * weights[rows, None]
            wrong[name] += weighted.sum(0).view_as(wrong[name])
            sizes[name] += float(weighted.norm(dim=1).sum())
        rounding = ROUNDING * max(sizes.values())
        return {
            name for name in wrong if not wrong[name].norm() <= TOLERANCE * sizes[name] + rounding
        }

    def _by_autograd(
        self, tokens: Tensor, true: Tensor, scored: Tensor
    ) -> Iterator[tuple[str, slice, Tensor]]:
        """As `__call__`, of the parameters that have no rule."""
        assert self.unruled is not None
        named = {n: p for n, p in self.model.named_parameters() if n in self.unruled}
        for row in range(len(tokens) if named else 0):
            rows = slice(row, row + 1)
            for parameter in named.values():
                parameter.requires_grad_(True)
            with torch.enable_grad():
                output = self._outputs(tokens[rows], true[rows], scored[rows]).sum()
            found = torch.autograd.grad(output, list(named.values()), materialize_grads=True)
            self.model.requires_grad_(False)
            for name, gradient in zip(named, found, strict=True):
                yield name, rows, gradient[None]

    def _products(
        self, name: str, signal: Tensor, inputs: Tensor
    ) -> Iterator[tuple[str, slice, Tensor]]:
        """signalᵀ @ inputs of every example: one by one where a single product is worth its call.

        Its gradient is then read while it is in the cache.
        """
        if self.half:
            signal, inputs = signal.bfloat16(), inputs.bfloat16()
        if matmul.worth(signal[0].t(), inputs[0].t()):
            for row, (left, right) in enumerate(zip(signal, inputs, strict=True)):
                yield name, slice(row, row + 1), matmul.transposed_times(left, right)[None]
            return
        wide = signal.shape[2] > inputs.shape[2]
        left, right = (inputs, signal) if wide else (signal, inputs)
        out = self._room(left.dtype, len(left), left.shape[2], right.shape[2])
        torch.bmm(left.transpose(1, 2), right, out=out)
        yield name, slice(0, len(signal)), out.transpose(1, 2) if wide else out

    def _embedding(self, tokens: Tensor, signal: Tensor, module: nn.Embedding) -> Tensor:
        """Of [vocabulary, width], which lies in memory by columns, as the projection takes it."""
        batch, length, width = signal.shape
        signal = signal.to(module.weight.dtype)
        out = self._room(signal.dtype, batch, width, module.num_embeddings).zero_()
        places = tokens[:, None].expand(batch, width, length)
        return out.scatter_add_(2, places, signal.transpose(1, 2)).transpose(1, 2)

    def _positions(self, backprop: Tensor, batch: int, length: int) -> Tensor:
        summed = backprop.view(batch, -1, *backprop.shape[1:]).sum(1)
        return F.pad(summed, (0, 0, 0, length - summed.shape[1]))

    def _room(self, kind: torch.dtype, *shape: int) -> Tensor:
        """Uninitialized memory, one for all layers: fresh pages cost more than the products."""
        size = math.prod(shape) * kind.itemsize
        if self.buffer.numel() < size:
            self.buffer = self.model.readout.new_empty(size, dtype=torch.uint8)
        return self.buffer[:size].view(kind).view(shape)


def _has_rule(module: nn.Module) -> bool:
    """Whether a module's kind has a rule; of embeddings, those that look up, and perhaps scale."""
    if isinstance(module, nn.Embedding):
        plain = type(module).forward is nn.Embedding.forward
        return plain or isinstance(module, Positions) or hasattr(module, "embed_scale")
    return isinstance(module, RULED) or _is_norm(module)


def _is_norm(module: nn.Module) -> bool:
    """Whether a module has one weight a channel, and perhaps a bias: LayerNorm, RMSNorm."""
    own = dict(module.named_parameters())
    return "weight" in own and own.keys() <= {"weight", "bias"} and own["weight"].dim() == 1


@torch.no_grad()
def _normalized(module: Any, inputs: Tensor) -> Tensor:
    """What a norm multiplies with its weight, of which its output is a linear function."""
    if isinstance(module, nn.LayerNorm):
        return F.layer_norm(inputs, module.normalized_shape, eps=module.eps)
    weight, outputs = module.weight.data, []
    for value in (1.0, 0.0):
        module.weight.data = torch.full_like(weight, value)
        outputs.append(module(inputs))
    module.weight.data = weight
    difference: Tensor = outputs[0] - outputs[1]
    return difference


def _by_example(values: Tensor, batch: int) -> Tensor:
    """[batch · pieces, n, width] → [batch, pieces · n, width]."""
    return values.reshape(batch, -1, values.shape[-1])
