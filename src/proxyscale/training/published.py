"""Models of Hugging Face `transformers` that somebody trained, to be measured as they are."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from proxyscale.base import artifacts, seals
from proxyscale.base.errors import UserError
from proxyscale.data.model_files import WEIGHTS
from proxyscale.training import hf_olmo, language_model
from proxyscale.training.hugging_face import transformers

CONTEXTS = ("n_positions", "max_position_embeddings", "n_ctx", "max_seq_len", "max_sequence_length")
DEFAULT_CONTEXT = 2048
LOGITS = {"cpu": 1 << 25, "cuda": 1 << 28}  # elements of logits that are made at once
PROBE = 8  # tokens by which it is seen whether a model is causal
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
SHOWN = 3


class Published:
    """A causal model of `transformers`, as `scorer.Scorer` wants it."""

    laid_out = None  # its positions and masks are its own affair

    def __init__(self, model: Any, context: int, device: torch.device) -> None:
        self.model, self.context, self.device = model.eval().to(device), context, device
        self.vocabulary: int = model.get_input_embeddings().weight.shape[0]
        named = inspect.signature(model.forward).parameters
        self.chosen = "logits_to_keep" in named
        self.fixed: dict[str, Any] = {"use_cache": False} if "use_cache" in named else {}

    @property
    def parameters(self) -> int:
        """All parameters, those that have two names once."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def logits(self, tokens: Tensor, at: Tensor) -> Iterator[Tensor]:
        """See `scorer.Scorer`: so many rows at a time that their logits fit."""
        length = tokens.shape[1]
        rows = max(1, LOGITS[self.device.type] // (length * self.vocabulary))
        for start in range(0, len(tokens), rows):
            own = at[(at >= start * length) & (at < (start + rows) * length)] - start * length
            if len(own):
                yield self._logits(tokens[start : start + rows], own // length, own % length)

    def _logits(self, tokens: Tensor, rows: Tensor, places: Tensor) -> Tensor:
        if not self.chosen:
            found: Tensor = self.model(input_ids=tokens, **self.fixed).logits[rows, places]
            return found.float()
        wanted, place = torch.unique(places, return_inverse=True)
        kept = self.model(input_ids=tokens, logits_to_keep=wanted, **self.fixed).logits
        return torch.Tensor.float(kept[rows, place])

    @torch.inference_mode()
    def check(self, where: str) -> None:
        """UserError if a weight is not finite, or if a token changes logits before it."""
        for name, weight in self.model.named_parameters():
            if not weight.isfinite().all():
                raise UserError(f"its weight {name} has values that are not finite", where=where)
        tokens = torch.arange(PROBE, device=self.device)[None] % self.vocabulary
        other = tokens.clone()
        other[0, -1] = (PROBE + 1) % self.vocabulary
        both = torch.cat([tokens, other])
        first, second = self.model(input_ids=both, **self.fixed).logits[:, :-1].float()
        if not torch.allclose(first, second, rtol=1e-2, atol=1e-2):
            message = "is no causal model: a token changes what is said before it"
            raise UserError(message, where=where)


def load(
    folder: Path,
    where: str,
    *,
    weights: str = "safetensors",
    precision: str = "fp32",
    context: int | None = None,
    device: torch.device,
) -> tuple[Published, list[str]]:
    """The model of a folder, and the names in its files that its class does not have.

    `where` is what it is called in mistakes. Code of the repository is never run, and a pickle
    (`weights: bin`) is read by `torch.load(weights_only=True)`. UserError if the files are none of
    a causal model that `transformers` knows, or lack some of its weights.
    """
    told = artifacts.foreign_json(folder / "config.json")
    if isinstance(told, dict) and told.get("model_type") == hf_olmo.MODEL_TYPE:
        model, report = _from_olmo(folder, told, weights, DTYPES[precision], where)
    else:
        _check_config(told, where)
        model, report = _from_files(folder, weights, DTYPES[precision], where)
    for kind, names in (("lacks", report["missing_keys"]), ("has misshapen", _mismatched(report))):
        if names:
            shown = ", ".join(sorted(map(str, names))[:SHOWN])
            message = f"{kind} weights of a {type(model).__name__}: {len(names)}, such as {shown}"
            raise UserError(message, where=where)
    own = _context(model.config)
    found = Published(model, min(context or own, own), device)
    found.check(where)
    return found, sorted(report["unexpected_keys"])


def reopened(run: Path, config: Mapping[str, Any], context: int, precision: str) -> Published:
    """The model of a run folder that a trainer of one's own left, by its `config`."""
    library = transformers()
    kind = library.CONFIG_MAPPING[config["model_type"]]
    model = library.AutoModelForCausalLM.from_config(kind.from_dict(dict(config)))
    found = safetensors.torch.load_file(seals.verified(run / language_model.MODEL))
    missing = model.load_state_dict(found, strict=False).missing_keys
    tied = {name for name in model.state_dict() if name not in own_names(model)}
    if odd := set(missing) - tied:
        raise UserError(f"lacks weights: {', '.join(sorted(odd))}", where=str(run))
    return Published(model.to(DTYPES[precision]), context, language_model.device())


def own_names(model: Any) -> set[str]:
    """Names of a model's tensors; one that has two names, such as a tied matrix, has its first."""
    first: dict[int, str] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        first.setdefault(id(tensor), name)
    return set(first.values())


def weights(model: Published) -> dict[str, Tensor]:
    """All tensors by name, each once, on the CPU."""
    found, own = model.model.state_dict(), own_names(model.model)
    return {name: found[name].detach().cpu().contiguous() for name in sorted(own)}


def _mismatched(report: Mapping[str, Any]) -> list[Any]:
    return list(report.get("mismatched_keys") or ())


def _check_config(told: Any, where: str) -> None:
    kind = told.get("model_type") if isinstance(told, dict) else None
    if kind in transformers().CONFIG_MAPPING:
        return
    if isinstance(told, dict) and told.get("auto_map"):
        message = f"its architecture {kind!r} is code of its own, which is never run"
        raise UserError(message, where=where, hint="a version in transformers' own form may exist")
    raise UserError(f"transformers knows no architecture {kind!r}", where=where)


def _from_files(
    folder: Path, weights: str, dtype: torch.dtype, where: str
) -> tuple[Any, dict[str, Any]]:
    library = transformers()
    library.utils.logging.disable_progress_bar()
    library.utils.logging.set_verbosity_error()  # what it would warn of is an error here, or told
    try:
        model, report = library.AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=weights == "safetensors",
            output_loading_info=True,
        )
    except Exception as error:  # as many kinds as there are architectures
        told = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(f"cannot be loaded: {told}", where=where) from None
    return model, report


def _from_olmo(
    folder: Path, told: Mapping[str, Any], weights: str, dtype: torch.dtype, where: str
) -> tuple[Any, dict[str, Any]]:
    """A model of hf_olmo in transformers' own class, and which weights it lacks."""
    library = transformers()
    try:
        found = hf_olmo.mapped(told, where)
    except KeyError as error:
        raise UserError(f"lacks {error}", where=f"{where}: config.json") from None
    config = library.CONFIG_MAPPING[found.kind](**found.config)
    with torch.device("meta"):
        model = library.AutoModelForCausalLM.from_config(config)
    own = {n: t.to(dtype) for n, t in hf_olmo.renamed(_read(folder, weights), found, where)}
    if config.tie_word_embeddings:
        own["lm_head.weight"] = own["model.embed_tokens.weight"]
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    report = {
        "missing_keys": shapes.keys() - own.keys(),
        "mismatched_keys": [n for n, t in own.items() if shapes.get(n, t.shape) != t.shape],
        "unexpected_keys": own.keys() - shapes.keys(),
    }
    if not any(report.values()):
        made = library.AutoModelForCausalLM.from_config(config).to(dtype)
        made.load_state_dict(own)
        return made, report
    return model, report


def _read(folder: Path, weights: str) -> dict[str, Tensor]:
    """All tensors of a model's files, whole or in shards."""
    found: dict[str, Tensor] = {}
    for pattern in WEIGHTS[weights][:2]:
        for file in sorted(folder.glob(pattern)):
            if weights == "bin":
                found |= torch.load(file, map_location="cpu", weights_only=True)
            else:
                found |= safetensors.torch.load_file(file)
    return found


def _context(config: Any) -> int:
    """Tokens that a model sees, at most: of a model that also sees images, its text's part."""
    own = config.get_text_config() if hasattr(config, "get_text_config") else config
    for name in CONTEXTS:
        value = getattr(own, name, None)
        if isinstance(value, int) and value > 0:
            return value
    return DEFAULT_CONTEXT
