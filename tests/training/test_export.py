"""Exported models lose the same in Hugging Face transformers, tokenizer included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.language_runs import shaken
from support.tiny_run import LENGTH, SPEC, VOCABULARY, write_tokenizer

from proxyscale.base import artifacts
from proxyscale.cli.main import main
from proxyscale.training import language_model

TEXT = "w3 w4 w5 w39"
MODELS: list[dict[str, Any]] = [
    {"layers": 2},
    {"layers": 2, "width": 48, "heads": 3, "bias": True},
    {"parametrization": "standard", "tied": True, "bias": True, "heads": 2},
    {"parametrization": "standard", "tied": False, "mlp_ratio": 3, "width": 24},
]


@pytest.fixture(params=MODELS, ids=lambda model: "-".join(map(str, model.values())))
def exported(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A run with weights that no symmetry hides, and beside it its export in `hf`."""
    spec = {**SPEC["model"], **request.param}
    language_model.save(language_model.weights(shaken(spec, 0.3)), tmp_path / "model.safetensors")
    artifacts.write_json(tmp_path / "manifest.json", {"model": spec})
    words = write_tokenizer(tmp_path / "tokenizer.json")
    flags = {"run": tmp_path, "tokenizer": words, "out": tmp_path / "hf"}
    assert main(["export", *(w for n, v in flags.items() for w in (f"--{n}", str(v)))]) == 0
    return tmp_path


def rows() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, VOCABULARY, (5, LENGTH)))


def own_losses(run: Path) -> list[float]:
    """Mean loss of each row."""
    logits = language_model.load(run)(rows()[:, :-1]).transpose(1, 2)
    return F.cross_entropy(logits, rows()[:, 1:], reduction="none").mean(1).tolist()


@torch.no_grad()
def test_losses_in_transformers_are_the_same(exported: Path) -> None:
    there = pytest.importorskip("transformers")
    folder = exported / "hf"
    model, told = there.AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not told["missing_keys"]
    losses = [model(row, labels=row).loss.item() for row in rows()[:, None]]
    assert losses == pytest.approx(own_losses(exported), abs=1e-5)
    words = there.AutoTokenizer.from_pretrained(folder)
    assert words(TEXT)["input_ids"] == [3, 4, 5, 39]
    assert words.eos_token_id == 0
    own = sum(p.numel() for p in language_model.load(exported).parameters())
    assert model.num_parameters() >= own


def test_losses_of_a_plain_gpt2_are_the_same(exported: Path) -> None:
    """GPT-2 in its own words: Conv1D, 1/√d, exact GELU (Radford et al. 2019)."""
    config = artifacts.foreign_json(exported / "hf/config.json")
    weights = language_model.safetensors.torch.load_file(exported / "hf/model.safetensors")
    d, heads = config["n_embd"], config["n_head"]

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.layer_norm(x, (d,), weights[f"{name}.weight"], weights[f"{name}.bias"])

    def conv(x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ weights[f"{name}.weight"] + weights[f"{name}.bias"]

    inputs = rows()[:, :-1]
    length = inputs.shape[1]
    x = weights["transformer.wte.weight"][inputs] + weights["transformer.wpe.weight"][:length]
    hidden = torch.ones(length, length).triu(1).bool()
    for number in range(config["n_layer"]):
        stem = f"transformer.h.{number}"
        parts = conv(norm(x, f"{stem}.ln_1"), f"{stem}.attn.c_attn").split(d, dim=2)
        q, k, v = (p.view(len(x), length, heads, -1).transpose(1, 2) for p in parts)
        logits = (q @ k.transpose(2, 3) / (d // heads) ** 0.5).masked_fill(hidden, -torch.inf)
        mixed = (logits.softmax(-1) @ v).transpose(1, 2).reshape(x.shape)
        x = x + conv(mixed, f"{stem}.attn.c_proj")
        x = x + conv(
            F.gelu(conv(norm(x, f"{stem}.ln_2"), f"{stem}.mlp.c_fc")), f"{stem}.mlp.c_proj"
        )
    head = "transformer.wte" if config["tie_word_embeddings"] else "lm_head"
    logits = (norm(x, "transformer.ln_f") @ weights[f"{head}.weight"].T).transpose(1, 2)
    losses = F.cross_entropy(logits, rows()[:, 1:], reduction="none").mean(1)
    assert losses.tolist() == pytest.approx(own_losses(exported), abs=1e-4)


def test_nothing_is_overwritten(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--run", str(exported), "--tokenizer", str(exported / "tokenizer.json")]
    assert main(["export", *flags, "--out", str(exported / "hf")]) == 2
    assert "is there already" in capsys.readouterr().err
