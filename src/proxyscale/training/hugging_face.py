"""Any causal language model of Hugging Face transformers, by its `model_type`: llama, gpt2, mpt, …

A scale says width, layers and context, the tokenizer the vocabulary; `model.config` says what it
likes of the rest, in the words of the model's own configuration. What is left unsaid follows:

    num_attention_heads   one for 16 of width, as gpt's
    num_key_value_heads   as many
    head_dim              width / heads
    intermediate_size     in its default's proportion to the default width, to the nearest 8
    tie_word_embeddings   as the configuration's default; under µP never

All else is the configuration's default, but for dropout, of which there is none, and special
tokens: none has a meaning of its own. Weights are drawn as the model's own class draws them, under
µP by `Gpt`'s rules.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from proxyscale.base.errors import UserError
from proxyscale.training import matmul, parametrization, rms_norm
from proxyscale.training.model import INITIAL_STD, LanguageModel, Undrawn

# Whose queries, keys, attention and readout µP's rules are told of below.
MUP = ("gpt2", "llama")
HEADS, PAIRS, TIED = "num_attention_heads", "num_key_value_heads", "tie_word_embeddings"
# What a scale says, by the names that configurations have for it.
SAID: Mapping[str, Sequence[str]] = {
    "vocabulary": ("vocab_size",),
    "width": ("hidden_size",),
    "layers": ("num_hidden_layers",),
    "context": ("max_position_embeddings", "max_seq_len", "seq_length"),
}
INNER = ("intermediate_size", "ffn_dim", "moe_intermediate_size")  # that grow with the width
UNSAID = ("pad_token_id", "bos_token_id", "eos_token_id")
RESIDUAL = ("o_proj", "down_proj", "c_proj")  # projections back to the residual stream
SCALE = 1 << 10  # of logits whose form is checked: a power of two is exact


def transformers() -> Any:
    """The library of that name. UserError if it is not installed."""
    try:
        return importlib.import_module("transformers")
    except ImportError:
        message = "models of Hugging Face need transformers, which is not installed"
        raise UserError(message, hint="pip install -c requirements.lock -e '.[models]'") from None


@functools.cache
def architecture(name: str) -> type[LanguageModel]:
    """The class of models of one type. UserError without transformers, or if it has none such."""
    there = transformers()
    causal = there.models.auto.modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    if name not in causal:
        message = f"no causal language model of transformers {there.__version__} is a {name!r}"
        raise UserError(message, value=name, allowed=sorted(causal))
    kinds = parametrization.PARAMETRIZATIONS if name in MUP else ("standard",)
    return type(name, (HuggingFace,), {"name": name, "parametrizations": kinds})


def configuration(spec: Mapping[str, Any], multiple: int = 1) -> Any:
    """The configuration of a model, or of one that is `multiple` times as wide.

    `spec`: architecture, config, vocabulary, width, layers, context, parametrization; or, of a
    model that is there, its whole configuration as `published`. UserError for what the
    configuration does not know, or what a scale says in words of its own.
    """
    kind = transformers().CONFIG_MAPPING[spec["architecture"]]
    if "published" in spec:
        return kind.from_dict(dict(spec["published"]))
    defaults = kind()
    words = _words(defaults, spec) | _unsaid(defaults)
    said = _said(defaults, spec, words)
    width = spec["width"]
    heads = said.get(_own(defaults, HEADS), max(1, width // 16))
    inner = {
        _own(defaults, key): 8 * max(1, round(default / defaults.hidden_size * width / 8))
        for key in INNER
        if isinstance(default := getattr(defaults, key, None), int)
    }
    fields = {field.name for field in dataclasses.fields(defaults)}
    follows = {HEADS: heads, PAIRS: heads, "head_dim": width // heads if heads else 0}
    words |= {own: v for k, v in follows.items() if (own := _own(defaults, k)) in fields} | inner
    if spec["parametrization"] == "mup":
        words[TIED] = False
    words |= said
    if multiple != 1:
        wider = {_own(defaults, key) for key in (*SAID["width"], HEADS, PAIRS, *INNER, "n_inner")}
        words |= {key: multiple * words[key] for key in wider if words.get(key)}
    try:
        return kind(**words)
    except Exception as error:  # whatever it is, transformers says it of these words
        told = str(error).strip().replace("\n", " ")
        raise UserError(f"transformers makes no {spec['architecture']} of it: {told}") from None


def _own(defaults: Any, key: str) -> str:
    """A configuration's own name for a key."""
    name: str = defaults.attribute_map.get(key, key)
    return name


def _words(defaults: Any, spec: Mapping[str, Any]) -> dict[str, Any]:
    """What the scale says, in the configuration's words."""
    words: dict[str, Any] = {}
    for ours, theirs in SAID.items():
        found = [key for key in theirs if hasattr(defaults, key)]
        if found:
            words[_own(defaults, found[0])] = spec[ours]
        elif ours != "context":  # positions that are computed may have no end
            message = f"the configuration of {spec['architecture']} has no {theirs[0]}"
            raise UserError(message, hint="it cannot be sized by a scale")
    return words


def _unsaid(defaults: Any) -> dict[str, None]:
    """Special tokens: the padding's embedding would not be trained."""
    return {key: None for key in UNSAID if hasattr(defaults, key)}


def _said(defaults: Any, spec: Mapping[str, Any], fixed: Mapping[str, Any]) -> dict[str, Any]:
    """What `config` says, in the configuration's own names. UserError for other keys."""
    base = {field.name for field in dataclasses.fields(transformers().PreTrainedConfig)}
    fields = {field.name for field in dataclasses.fields(defaults)} - base | {TIED}
    names = sorted((fields | set(defaults.attribute_map)) - set(UNSAID))
    said: dict[str, Any] = {}
    for key, value in spec["config"].items():
        own, where = _own(defaults, key), f"config.{key}"
        if own in fixed:
            ours = [w for w, theirs in SAID.items() if own in (_own(defaults, k) for k in theirs)]
            hint = f"say {ours[0]} of the scale" if ours else "no token is special here"
            raise UserError("is not to be said here", where=where, hint=hint)
        if key not in names:
            message = f"the configuration of {spec['architecture']} has no {key!r}"
            raise UserError(message, where=where, value=key, allowed=names)
        if "drop" in key and value:
            message = "there is no dropout here: an interrupted run could not go on as it was"
            raise UserError(message, where=where)
        said[own] = value
    if said.get(TIED) and spec["parametrization"] == "mup":
        message = "tied embeddings have no mup readout"
        raise UserError(message, where=f"config.{TIED}", hint=f"{TIED}: false")
    return said


class HuggingFace(LanguageModel):
    """A causal model of transformers, in evaluation mode: whatever it has of dropout is left out.

    `net` is the model, of its own class; linear maps are computed by `matmul`, and norms of Llama's
    form by `rms_norm`.
    """

    name: ClassVar[str]

    def __init__(self, spec: Mapping[str, Any]) -> None:
        super().__init__(spec)
        there = transformers()
        self.versions = {"transformers": there.__version__}
        config = configuration(spec)
        self.net: Any = there.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
        for module in self.net.modules():
            if type(module) is nn.Linear:
                module.__class__ = matmul.Linear
            elif type(module).__name__ == "Conv1D":
                module.__class__ = matmul.TransposedLinear
            elif not self.readout.is_meta and rms_norm.is_alike(module):
                module.__class__ = rms_norm.RMSNorm
        self.stretch = 1.0  # of what attention is scaled by
        if spec["parametrization"] == "mup":
            head = next(module.head_dim for module in self._attentions())
            self.stretch = parametrization.attention_scale(head, "mup") * math.sqrt(head)
            for module in self._attentions():
                module.scaling *= self.stretch

    def _attentions(self) -> Iterator[Any]:
        return (m for m in self.net.modules() if hasattr(m, "scaling") and hasattr(m, "head_dim"))

    @property
    def readout(self) -> nn.Parameter:
        matrix: nn.Parameter = self.net.get_output_embeddings().weight
        return matrix

    @property
    def readout_bias(self) -> nn.Parameter | None:
        return getattr(self.net.get_output_embeddings(), "bias", None)

    def hidden(self, tokens: Tensor, at: Tensor | None = None) -> Tensor:
        """See `LanguageModel`."""
        states: Tensor = self.net.base_model(tokens, use_cache=False).last_hidden_state
        if at is not None:
            states = states.flatten(0, 1)[at]
        return states if self.multiplier == 1 else states * (1 / self.multiplier)

    def hidden_matrices(self) -> list[Tensor]:
        """All matrices but the embeddings and the readout."""
        embeddings = (m.weight for m in self.net.modules() if isinstance(m, nn.Embedding))
        others = {id(self.readout), *map(id, embeddings)}
        return [p for p in self.net.parameters() if p.dim() > 1 and id(p) not in others]

    @classmethod
    def shapes(cls, spec: Mapping[str, Any], width: int, **options: Any) -> parametrization.Shapes:
        """What twice the width would double is in proportion to it."""
        one, two = (_meta_shapes(spec, multiple) for multiple in (1, 2))
        factor = width / spec["width"]
        return {
            name: [a if a == b else a * factor for a, b in zip(one[name], two[name], strict=True)]
            for name in one
        }

    @torch.no_grad()
    def initialize(self, parametrization: str, generator: torch.Generator) -> None:
        """Standard: as the constructor drew them, by the class's own rule. µP: see `Gpt`.

        Matrices from N(0, 1 / fan-in), embeddings from N(0, 0.02²), biases, residual projections
        and the readout zero. UserError for a model that this package would read wrongly.
        """
        self.check()
        if parametrization == "standard":
            return
        for name, module in self.net.named_modules():
            if not isinstance(module, nn.Embedding | nn.Linear | matmul.TransposedLinear):
                continue
            fan = module.weight.shape[not isinstance(module, matmul.TransposedLinear)]
            std = INITIAL_STD if isinstance(module, nn.Embedding) else 1 / math.sqrt(fan)
            module.weight.normal_(0, std, generator=generator)
            if name.endswith(RESIDUAL) or module.weight is self.readout:
                module.weight.zero_()
            bias = getattr(module, "bias", None)
            if bias is not None:
                bias.zero_()

    @torch.no_grad()
    def check(self) -> None:
        """UserError unless it is what `LanguageModel` has to be, and all of it is trained."""
        size = len(self.readout)
        tokens = torch.arange(2 * min(8, self.context)).view(2, -1) % size
        other = tokens.clone()
        other[0, -1], other[1] = (tokens[0, -1] + 1) % size, tokens[1].flip(0)
        self.readout.mul_(SCALE)
        try:
            logits = self.net(tokens, use_cache=False).logits
            states = self.net.base_model(tokens, use_cache=False).last_hidden_state
            later = self.net.base_model(other, use_cache=False).last_hidden_state
        except (RuntimeError, TypeError, AttributeError) as error:
            raise UserError(f"{self.name} cannot be run as it is configured: {error}") from None
        expected = matmul.linear(states, self.readout, self.readout_bias)
        self.readout.div_(SCALE)
        if not torch.allclose(logits, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max())):
            raise UserError(f"{self.name}'s logits are not a matrix times its last hidden states")
        if not torch.allclose(states[0, :-1], later[0, :-1], rtol=1e-3, atol=1e-4):
            raise UserError(f"tokens of {self.name} see those after them, or other examples")
        with torch.enable_grad():
            total = self(tokens).sum()
            found = torch.autograd.grad(total, list(self.parameters()), allow_unused=True)
        named = zip(self.named_parameters(), found, strict=True)
        if idle := [name for (name, _), gradient in named if gradient is None]:
            raise UserError(f"nothing trains these parameters of {self.name}: {', '.join(idle)}")


def _meta_shapes(spec: Mapping[str, Any], multiple: int) -> dict[str, list[int]]:
    with torch.device("meta"), Undrawn():
        net = transformers().AutoModelForCausalLM.from_config(configuration(spec, multiple))
    return {f"net.{name}": list(parameter.shape) for name, parameter in net.named_parameters()}


@torch.no_grad()
def save_pretrained(model: HuggingFace, folder: Path, end: int | None) -> None:
    """Write a model as its own class does, changing it: what multiplies goes into its weights.

    Attention's multiplier goes into the queries, the readout's into the head. `end` is the token
    between two documents.
    """
    if model.multiplier != 1:
        model.readout.div_(model.multiplier)
    for name, parameter in model.net.named_parameters():
        if ".q_proj." in name:
            parameter.mul_(model.stretch)
        elif ".c_attn." in name:
            parameter[..., : parameter.shape[-1] // 3].mul_(model.stretch)
    model.net.config.update({"bos_token_id": end, "eos_token_id": end})
    model.net.generation_config = type(model.net.generation_config).from_model_config(
        model.net.config
    )
    model.net.save_pretrained(folder)
