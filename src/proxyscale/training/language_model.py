"""Language models of any architecture: made, saved and loaded; their loss; where they run."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from proxyscale import registry
from proxyscale.base import artifacts, devices, seals
from proxyscale.base.errors import UserError
from proxyscale.training import gpt, hugging_face, parametrization  # noqa: F401 (gpt registers)
from proxyscale.training.matmul import linear, transposed_times
from proxyscale.training.model import LanguageModel

# Logits are made in chunks of about this many elements: a core's cache, a part of a GPU's memory.
CHUNK = {"cpu": 1 << 19, "cuda": 1 << 28}
MODEL, KEPT = "model.safetensors", "kept.safetensors"  # of a run
# Options of glibc's mallopt, from malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def build(spec: Mapping[str, Any], seed: int | None = None) -> LanguageModel:
    """A model with its µP shapes; initialized from `seed`, or left as it is to be loaded into.

    `spec`: as the architecture reads it (see `LanguageModel` and `Gpt`), `architecture` (if it is
    not gpt) and its `options`, or its `config` if it is one of transformers. UserError for what the
    architecture is not known to be or to do.
    """
    kind = architecture(spec)
    options, wanted = spec.get("options", {}), spec["parametrization"]
    if wanted not in kind.parametrizations:
        message = f"{spec.get('architecture', kind.__name__)} has no parametrization {wanted!r}"
        raise UserError(message, value=wanted, allowed=kind.parametrizations)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed or 0)  # for what an architecture draws in its constructor
        model: LanguageModel = kind(spec, **options)
    parametrization.set_shapes(
        model, lambda width: kind.shapes(spec, width, **options), spec["base_width"], wanted
    )
    model.multiplier = parametrization.width_multiplier(model.readout)
    if seed is not None:
        model.initialize(wanted, torch.Generator().manual_seed(seed))
    return model


def architecture(spec: Mapping[str, Any]) -> type[LanguageModel]:
    """The class that makes a model: a registered one, or one of transformers. UserError if none."""
    name = spec.get("architecture", registry.DEFAULT_ARCHITECTURE)
    kind: type[LanguageModel] = (
        hugging_face.architecture(name) if "config" in spec else registry.architecture[name]
    )
    return kind


def chunk_rows(readout: Tensor) -> int:
    """How many rows of logits are made at once; never so few that the products get slow."""
    return max(128, CHUNK[readout.device.type] // len(readout))


class _CrossEntropy(torch.autograd.Function):
    """Summed cross-entropy whose gradients are formed while a chunk's logits are in the cache."""

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, readout: Tensor, targets: Tensor, bias: Tensor | None
    ) -> Tensor:
        rows = chunk_rows(readout)
        total = torch.zeros((), device=states.device)
        states_gradient = torch.empty_like(states)
        readout_gradient: Tensor | float = 0.0
        bias_gradient = None if bias is None else torch.zeros_like(bias)
        for start in range(0, len(states), rows):
            chunk, gold = states[start : start + rows], targets[start : start + rows, None]
            gradient = torch.softmax(linear(chunk, readout, bias).float(), dim=-1)
            chosen = gradient.gather(1, gold)
            total -= chosen.clamp_min(1e-38).log().sum()
            gradient.scatter_(1, gold, chosen - 1)
            states_gradient[start : start + rows] = linear(gradient, readout.t())
            readout_gradient = transposed_times(gradient, chunk) + readout_gradient
            if bias_gradient is not None:
                bias_gradient += gradient.sum(0)
        ctx.save_for_backward(states_gradient, readout_gradient, bias_gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        states, readout, bias = ctx.saved_tensors
        to_bias = None if bias is None else bias * outer[0]
        return states * outer[0], readout * outer[0], None, to_bias


def cross_entropy(
    states: Tensor, readout: Tensor, targets: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Mean cross-entropy in nats of targets [n] under logits = states [n, width] @ readoutᵀ + bias.

    Never holds more than a chunk of logits. A target's loss saturates at 87 nats.
    """
    total: Tensor = _CrossEntropy.apply(states, readout, targets, bias)  # type: ignore[no-untyped-call]
    return total / len(targets)


def weights(model: LanguageModel) -> dict[str, Tensor]:
    """All tensors by name; one that has two names, such as a tied matrix, by its first."""
    first: dict[int, str] = {}
    found = model.state_dict(keep_vars=True)
    for name, tensor in found.items():
        first.setdefault(id(tensor), name)
    return {name: found[name].detach() for name in first.values()}


def save(found: Mapping[str, Tensor], path: Path) -> None:
    """Write weights as safetensors."""
    with artifacts.atomic(path) as temporary:
        safetensors.torch.save_file(dict(found), temporary, seals.HEADER)


def load(run: Path, share: float | None = None) -> LanguageModel:
    """The trained model of a run folder, on the CPU, in evaluation mode.

    `share`: as it was after this share of its steps, if that was kept. UserError if the
    architecture's parameters are not those that were trained; and if a trainer of one's own left a
    model of transformers that is not what `LanguageModel` has to be.
    """
    manifest = artifacts.read_json(run / "manifest.json")
    if "published" in manifest:
        return _left(run, manifest)
    model = build(manifest["model"])
    if share is None:
        trained = safetensors.torch.load_file(seals.verified(run / MODEL))
    else:
        with safetensors.safe_open(seals.verified(run / KEPT), "pt") as file:
            mine = [name for name in file.keys() if name.startswith(f"{share:g}/")]  # noqa: SIM118
            trained = {name.partition("/")[2]: file.get_tensor(name) for name in mine}
    return _filled(model, trained, run)


def _left(run: Path, manifest: Mapping[str, Any]) -> LanguageModel:
    """The model of transformers that a trainer of one's own left in a run folder."""
    config = manifest["published"]
    said = {"architecture": config["model_type"], "config": {}, "context": manifest["context"]}
    model = build({**said, "published": config, "parametrization": "standard", "base_width": 1})
    assert isinstance(model, hugging_face.HuggingFace)
    trained = safetensors.torch.load_file(seals.verified(run / MODEL))
    _filled(model, {f"net.{name}": tensor.float() for name, tensor in trained.items()}, run)
    model.check()
    return model


def _filled(model: LanguageModel, trained: Mapping[str, Tensor], run: Path) -> LanguageModel:
    """The model with these weights, in evaluation mode. UserError if they are not all of its."""
    if odd := sorted(weights(model).keys() ^ trained.keys()):
        message = f"the architecture and its trained weights differ in {', '.join(odd)}"
        raise UserError(message, where=str(run))
    model.load_state_dict(trained, strict=False)
    return model.eval()


def device() -> torch.device:
    """The accelerator if there is one, else the CPU. UserError if a job's own is not seen."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if devices.given():
        message = "this job was given a GPU, and torch sees none"
        raise UserError(message, hint="a torch for CUDA and its driver, or `device: cpu`")
    return torch.device("cpu")


def device_name() -> str:
    """What runs here, as its maker calls it; `cpu` for any of these."""
    return torch.cuda.get_device_name() if device().type == "cuda" else "cpu"


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
