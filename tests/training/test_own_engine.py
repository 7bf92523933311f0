"""A trainer of one's own: it sees the run's tokens in order, and what it leaves is checked."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from support.paths import ROOT
from support.tiny_run import LENGTH, ROWS, SPEC, VOCABULARY, trained, write_data, write_tokenizer

from proxyscale import registry
from proxyscale.attribution.gradients import GradientComputer
from proxyscale.attribution.model_output import model_output
from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.data.pool import Pool
from proxyscale.training import evaluate, language_model, native
from proxyscale.training.batches import Batches, draw_ids
from proxyscale.training.export import export
from proxyscale.training.model import LanguageModel

TRAINERS = ROOT / "tests/trainers"
MODEL = {"parametrization": "standard", "width": 32, "heads": 2, "layers": 2}
SEEDS = range(4)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


def spec(command: str, seed: int = 0, steps: int = 60, **engine: Any) -> dict[str, Any]:
    """A run of a small GPT by a command; native's where there is none."""
    model = {**SPEC["model"], **MODEL}
    parameters = sum(p.numel() for p in language_model.build(model).parameters())
    own = {"command": command, "format": "npy", "parameters": parameters, "stamp": ""} | engine
    training = {**SPEC["training"], "tokens": steps * 128, "learning_rate": 1e-2}
    training |= {"hidden_learning_rate": 1e-2, "engine": own if command else "native"}
    return {**SPEC, "model": model, "training": training, "seed": seed}


def by(script: str, more: str = "") -> str:
    path = os.environ.get("PYTHONPATH", "")
    words = ["env", f"PYTHONPATH={path}", sys.executable, str(TRAINERS / script)]
    return f"{shlex.join(words)} --data {{data}} --spec {{spec}} --out {{out}} {more}"


def python(program: str) -> str:
    """A trainer that is a few lines of Python."""
    return f"{sys.executable} -c {shlex.quote(program)} {{data}} {{order}} {{spec}} {{out}}"


def loss(run: Path) -> float:
    """The mean loss of a trained run on rows that count upwards from every token."""
    start = np.arange(VOCABULARY)[:, None]
    rows = ((start + np.arange(LENGTH)) % VOCABULARY).tolist()
    size = len(rows)
    columns = {
        "example": list(range(size)),
        "choice": [0] * size,
        "gold": [True] * size,
        "tokens": rows,
        "scored_from": [1] * size,
        "prompt": ["a"] * size,
        "continuation": ["b"] * size,
    }
    artifacts.write(run.parent / "task" / "holdout.parquet", pa.table(columns), "task")
    artifacts.write_manifest(run.parent / "task" / "manifest.json", [])
    evaluate.evaluate(run / "losses", run, {"t": run.parent / "task"}, "t", "v")
    table = artifacts.read(run / "losses" / "t.parquet", "run_losses")
    return float(table["loss"].to_numpy().mean())


@pytest.fixture(scope="module")
def native_losses(data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    root = tmp_path_factory.mktemp("native")
    found = []
    for seed in SEEDS:
        trained(data, root / str(seed), spec("", seed))
        found.append(loss(root / str(seed)))
    return found


ACCELERATE = importlib.util.find_spec("accelerate") is not None


@pytest.mark.parametrize(
    "script",
    [
        "nano.py",
        pytest.param("hugging_face.py", marks=[pytest.mark.lm_eval]),
    ],
)
def test_two_real_trainers_lose_what_the_native_engine_loses(
    data: Path, tmp_path: Path, native_losses: list[float], script: str
) -> None:
    if script == "hugging_face.py" and not ACCELERATE:
        pytest.skip("transformers.Trainer needs accelerate")
    trained(data, tmp_path / "run", spec(by(script)))
    found, spread = loss(tmp_path / "run"), float(np.std(native_losses, ddof=1))
    print(f"{script}: {found:.4f}; native, by seed: {np.round(native_losses, 4)}")
    assert abs(found - np.mean(native_losses)) < 4 * spread
    facts = artifacts.read_json(tmp_path / "run/manifest.json")
    assert facts["tokens"] == 60 * 128
    assert any(name.startswith("trainer ") for name in facts["versions"])
    curve = artifacts.read(tmp_path / "run/curve.parquet", "curve")
    assert len(curve) == 60
    assert not (tmp_path / "run/engine").exists()


READ = """
import json, sys, numpy as np
data, order, spec, out = sys.argv[1:]
told = json.load(open(spec))
"""


@pytest.mark.parametrize("form", ["npy", "bin"])
def test_it_sees_the_batches_that_every_engine_sees(data: Path, tmp_path: Path, form: str) -> None:
    program = READ + (
        "d = told['data']; read = np.load if data.endswith('.npy') else "
        "lambda p: np.fromfile(p, d['dtype']).reshape(d['shape']);"
        f"np.save('{tmp_path}/seen.npy', read(data));"
        f"np.save('{tmp_path}/order.npy', np.load(order)); sys.exit(3)"
    )
    run = spec(python(program), format=form)
    with pytest.raises(UserError, match="the trainer ended with 3"):
        trained(data, tmp_path / "run", run)
    own = Batches(run, Pool.open(data / "pool.json"), draw_ids(data / "distribution.parquet", 0))
    wanted = np.concatenate([own[step] for step in range(len(own))])
    np.testing.assert_array_equal(np.load(tmp_path / "seen.npy"), wanted)
    np.testing.assert_array_equal(np.load(tmp_path / "order.npy"), own.order)
    assert len(own.order) > ROWS / 2


def left(
    folder: Path,
    spoil: Callable[[LanguageModel], Any] = lambda model: None,
    curve: str = "",
    **model: Any,
) -> str:
    """A trainer that leaves the scale's own weights, spoilt, and perhaps a curve."""
    folder.mkdir()
    made = language_model.build({**SPEC["model"], **MODEL, **model}, 0)
    spoil(made)
    language_model.save(language_model.weights(made), folder / "model.safetensors")
    if curve:
        (folder / "curve.csv").write_text(curve)
    return f"env DATA={{data}} cp -r {folder}/. {{out}}"


def has_no_number(model: LanguageModel) -> None:
    model.norm.weight.data[0] = float("nan")


def has_no_bias(model: LanguageModel) -> None:
    del model.norm.bias


def is_at_odds(model: LanguageModel) -> None:
    model.head.weight.data.normal_(0, 9)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"spoil": has_no_number}, "norm.weight has values that"),
        ({"spoil": has_no_bias}, "the weights left differ in norm.bias"),
        ({"mlp_ratio": 2}, r"the weight blocks.0.down.weight is \(32, 64\), not"),
        (
            {"curve": "step,tokens,loss\n9,99,1\n"},
            "the trainer saw 99 tokens, the run has 7,680",
        ),
        ({"spoil": is_at_odds}, "on what it saw last, a model"),
    ],
)
def test_what_it_leaves_is_checked(
    data: Path, tmp_path: Path, more: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError, match=told):
        trained(data, tmp_path / "run", spec(left(tmp_path / "left", **more)))
    assert not (tmp_path / "run/manifest.json").exists()


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("sh -c 'echo out of memory {data}; exit 1'", "its last words:\nout of memory"),
        ("true {data} {out}", "the trainer left no config.json and no model.safetensors"),
        ("trainz --data {data} --out {out}", "trainz cannot be run: No such file"),
    ],
)
def test_a_trainer_that_fails_is_a_clear_error(
    data: Path, tmp_path: Path, command: str, told: str
) -> None:
    with pytest.raises(UserError, match=told):
        trained(data, tmp_path / "run", spec(command))
    assert not (tmp_path / "run/manifest.json").exists()


def test_another_size_than_the_scales_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="parameters, the scale 999"):
        trained(data, tmp_path / "run", spec(left(tmp_path / "left"), parameters=999))


def test_without_a_curve_its_end_is_measured_here(data: Path, tmp_path: Path) -> None:
    trained(data, tmp_path / "native", spec(""))
    copied = f"cp {tmp_path}/native/model.safetensors {{out}}/model.safetensors"
    trained(data, tmp_path / "run", spec(f"env DATA={{data}} {copied}"))
    curve = artifacts.read(tmp_path / "run/curve.parquet", "curve").to_pylist()
    assert [(row["step"], row["tokens"]) for row in curve] == [(60, 60 * 128)]
    wanted = artifacts.read_json(tmp_path / "native/manifest.json")["final_loss"]
    assert curve[0]["loss"] == pytest.approx(wanted, rel=0.5)
    assert loss(tmp_path / "run") == pytest.approx(loss(tmp_path / "native"), rel=1e-6)


def test_a_hugging_face_folder_is_measured_as_it_was_left(data: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder, model = tmp_path / "left", {**SPEC["model"], **MODEL}
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=LENGTH, tie_word_embeddings=True,
    )  # fmt: skip
    own = transformers.LlamaForCausalLM(config).eval()
    rows = torch.tensor([[(s + i) % VOCABULARY for i in range(LENGTH)] for s in range(VOCABULARY)])
    adam = torch.optim.Adam(own.parameters(), 1e-2)
    for _ in range(10):
        own(rows, labels=rows).loss.backward()
        adam.step()
        adam.zero_grad()
    own.save_pretrained(folder)
    size = sum(p.numel() for p in own.parameters())
    command = f"env DATA={{data}} cp -r {folder}/. {{out}}"
    trained(data, tmp_path / "run", spec(command, parameters=size))
    with torch.inference_mode():
        wanted = own(rows, labels=rows).loss.item()
    assert loss(tmp_path / "run") == pytest.approx(wanted, rel=1e-5)
    facts = artifacts.read_json(tmp_path / "run/manifest.json")
    assert facts["parameters"] == size
    assert facts["published"]["model_type"] == "llama"
    assert facts["model"] == json.loads(json.dumps(model))
    _reads_as_it_was_left(own, rows, tmp_path)


def _reads_as_it_was_left(own: Any, rows: torch.Tensor, folder: Path) -> None:
    """Gradients are taken of what a trainer left, and its export is what it was."""
    tokens, true = rows[:4, None, :-1], rows[:4, None, 1:]
    every = torch.ones_like(true, dtype=torch.bool)
    found: dict[str, torch.Tensor] = {}
    computer = GradientComputer(language_model.load(folder / "run"))
    for name, chosen, part in computer(tokens, true, every):
        found.setdefault(name, part.new_zeros(4, *part.shape[1:]))[chosen] += part
    assert set(found) == {f"net.{name}" for name, _ in own.named_parameters()}
    for row in range(4):
        own.zero_grad()
        model_output(own(tokens[row]).logits, true[row], every[row]).sum().backward()
        for name, parameter in own.named_parameters():
            gap = (found[f"net.{name}"][row] - parameter.grad).norm()
            assert gap <= 1e-4 * parameter.grad.norm(), name
    export(folder / "hf", folder / "run", write_tokenizer(folder / "tokenizer.json"))
    again = type(own).from_pretrained(folder / "hf")
    for name, parameter in again.named_parameters():
        assert torch.equal(parameter, own.get_parameter(name)), name


def test_an_engine_is_one_decorated_function(data: Path, tmp_path: Path) -> None:
    before = dict(registry.engine.functions)
    try:

        @registry.engine
        def twice_native(out: Path, *rest: Any) -> None:
            """Nothing of its own."""
            native.train(out, *rest)

        run = spec("")
        run["training"]["engine"] = "twice-native"
        trained(data, tmp_path / "run", run)
        assert (tmp_path / "run/manifest.json").exists()
    finally:
        registry.engine.functions = before
