"""Architectures of transformers: made, trained, measured, featurized and exported like our own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support import tiny_run
from support.language_runs import shaken, write_task

from proxyscale.attribution.features import featurize, task_examples
from proxyscale.attribution.model_output import model_output
from proxyscale.attribution.projection import Projection
from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.training import evaluate, hugging_face, language_model, parametrization
from proxyscale.training.export import export, gpt2_weights

transformers = pytest.importorskip("transformers")

TRAINED = ("llama", "mistral", "qwen2", "gemma", "olmo2", "gpt_neox", "mpt", "phi", "gpt2")
CONFIG: dict[str, dict[str, Any]] = {
    "llama": {"num_key_value_heads": 1, "rms_norm_eps": 1e-5},
    "mpt": {"initializer_range": 0.05},
}


def spec(name: str, **changes: Any) -> dict[str, Any]:
    shape = {"vocabulary": tiny_run.VOCABULARY, "context": tiny_run.LENGTH, "width": 32}
    shape |= {"layers": 2, "parametrization": "standard", "base_width": 16}
    return {**shape, "architecture": name, "config": CONFIG.get(name, {}), **changes}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tiny_run.write_data(tmp_path_factory.mktemp("there"))
    write_task(root / "task", root / "pool.json")
    tiny_run.write_tokenizer(root / "tokenizer.json")
    return root


def gold(data: Path) -> list[dict[str, Any]]:
    rows = artifacts.read(data / "task" / "holdout.parquet", "task").to_pylist()
    return [row for row in rows if row["gold"]]


@torch.no_grad()
def losses_of(net: Any, data: Path) -> list[float]:
    """Mean loss of the gold choices' scored tokens by a model's own logits."""
    found = []
    for row in gold(data):
        tokens = torch.tensor(row["tokens"])
        logits, start = net(tokens[None, :-1]).logits[0], row["scored_from"]
        found.append(float(F.cross_entropy(logits[start - 1 :], tokens[start:])))
    return found


def assert_exported(run: Path, data: Path, out: Path, kind: str) -> None:
    """The export is of a class of that name, and loses what the run loses."""
    table = artifacts.read(data / "task" / "holdout.parquet", "task")
    measured = evaluate.losses(language_model.load(run), table)["loss"].to_numpy()
    export(out, run, data / "tokenizer.json")
    net, told = transformers.AutoModelForCausalLM.from_pretrained(out, output_loading_info=True)
    assert type(net).__name__ == kind
    assert not told["missing_keys"]
    assert not told["unexpected_keys"]
    assert (net.config.bos_token_id, net.config.eos_token_id) == (0, 0)
    assert np.abs(measured - losses_of(net, data)).max() < 1e-5


@pytest.mark.parametrize("name", TRAINED)
def test_a_model_of_transformers_takes_part(name: str, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    training = {**tiny_run.SPEC["training"], "learning_rate": 1e-2}
    told = {**tiny_run.SPEC, "model": spec(name), "training": training, "checkpoints": [0.5]}
    curve = tiny_run.trained(data, run, told)
    losses = curve[artifacts.read(run / "curve.parquet", "curve").column_names.index("loss")]
    assert losses[0] == pytest.approx(np.log(tiny_run.VOCABULARY), abs=0.5)
    assert losses[-1] < losses[0] - 0.5
    manifest = artifacts.read_json(run / "manifest.json")
    assert manifest["versions"]["transformers"] == transformers.__version__
    model = language_model.load(run)
    assert manifest["parameters"] == model.net.num_parameters()
    assert manifest["parameters"] == hugging_face.architecture(name).count(spec(name))
    before = language_model.load(run, 0.5)
    assert not torch.equal(before.readout, model.readout)
    kind = transformers.models.auto.modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[name]
    assert_exported(run, data, tmp_path / "hf", kind)
    featurize(
        tmp_path / "x", run, task_examples(data / "task", "holdout"), {"dimension": 64, "seed": 0}
    )
    assert_features(np.load(tmp_path / "x" / "features.npy"), model, data)


def assert_features(found: np.ndarray, model: Any, data: Path) -> None:
    """They are projections of the gradients that autograd takes of the class's own logits."""
    for index in (0, len(found) - 1):
        row = gold(data)[index]
        tokens = torch.tensor(row["tokens"])[None]
        scored = torch.arange(1, tokens.shape[1])[None] >= row["scored_from"]
        model.requires_grad_(True)
        output = model_output(model.net(tokens[:, :-1]).logits, tokens[:, 1:], scored).sum()
        gradients = torch.autograd.grad(output, list(model.parameters()))
        projection = Projection(64, 0)
        total = projection.start(1)
        for (name, _), gradient in zip(model.named_parameters(), gradients, strict=True):
            projection.add(total, name, gradient[None])
        expected = projection.finish(total)[0].numpy()
        assert np.abs(found[index] - expected).max() < 2e-5 * np.abs(expected).max()


def test_what_a_scale_leaves_unsaid_follows() -> None:
    def made(name: str, **config: Any) -> dict[str, Any]:
        told = hugging_face.configuration(spec(name, width=64, config=config)).to_dict()
        return {**told, **{key: told.get(key, "absent") for key in ("n_head", "n_heads")}}

    llama = made("llama")
    heads = [llama[f"num_{kind}_heads"] for kind in ("attention", "key_value")]
    assert (heads, llama["head_dim"]) == ([4, 4], 16)
    assert (llama["hidden_size"], llama["num_hidden_layers"]) == (64, 2)
    assert llama["intermediate_size"] == 176  # 64 · 11008 / 4096 = 172
    assert made("gemma")["head_dim"] == 16  # not its default, 256
    assert made("mistral")["num_key_value_heads"] == 4  # not its default, 8
    assert made("gemma")["pad_token_id"] is None  # or token 0 would not be trained
    assert made("gpt2")["n_head"] == made("mpt")["n_heads"] == 4
    assert made("gpt2", num_attention_heads=8)["n_head"] == 8
    own = made("llama", num_attention_heads=2, num_key_value_heads=1, intermediate_size=100)
    assert (own["head_dim"], own["num_key_value_heads"], own["intermediate_size"]) == (32, 1, 100)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("lama", {}, "did you mean 'llama'"),
    ("bert_generation", {}, "no causal|has no|logits|see those"),
    ("llama", {"config": {"num_heads": 2}}, "config.num_heads: .*has no 'num_heads'"),
    ("llama", {"config": {"hidden_size": 64}}, "config.hidden_size: .*\n.*say width of the scale"),
    ("gpt2", {"config": {"hidden_size": 64}}, "config.hidden_size: .*\n.*say width of the scale"),
    ("llama", {"config": {"pad_token_id": 0}}, "no token is special here"),
    ("gpt2", {"config": {"resid_pdrop": 0.1}}, "config.resid_pdrop: there is no dropout"),
    ("llama", {"config": {"num_attention_heads": 5}}, "makes no llama of it: .*heads"),
    ("llama", {"config": {"num_key_value_heads": "two"}}, "makes no llama of it"),
    ("gptj", {}, "gptj cannot be run as it is configured"),
    ("gemma2", {}, "gemma2's logits are not a matrix times its last hidden states"),
    ("mistral", {"parametrization": "mup"}, "has no parametrization 'mup'"),
    ("llama", {"parametrization": "mup", "config": {"tie_word_embeddings": True}}, "no mup"),
]


@pytest.mark.parametrize(("name", "changes", "told"), REFUSED)
def test_what_cannot_be_is_told(name: str, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        language_model.build(spec(name, **changes), 0)


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    hugging_face.architecture.cache_clear()
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r"need transformers.*\n.*pip install .*\[models\]"):
        language_model.build(spec("llama"))


def test_a_seed_decides_all_weights_and_the_callers_numbers_stay() -> None:
    torch.manual_seed(7)
    before, stds = torch.get_rng_state(), {}
    for kind in parametrization.PARAMETRIZATIONS:
        told = spec("llama", parametrization=kind, width=64)
        one, same, other = (language_model.build(told, seed).state_dict() for seed in (0, 0, 1))
        assert torch.equal(torch.get_rng_state(), before)
        assert all(torch.equal(one[name], same[name]) for name in one)
        embeddings = (found["net.model.embed_tokens.weight"] for found in (one, other))
        assert not torch.equal(*embeddings)
        stds[kind] = one["net.model.layers.0.self_attn.q_proj.weight"].std()
    assert stds["standard"] == pytest.approx(0.02, rel=0.05)  # Llama's initializer_range
    assert stds["mup"] == pytest.approx(1 / 8, rel=0.05)


# --- µP

MUP: dict[str, Any] = {"parametrization": "mup", "config": {}, "base_width": 64, "vocabulary": 32}
OUTPUTS = {"llama": ("o_proj", "down_proj", "model.norm"), "gpt2": ("c_proj", "ln_f")}
TRAINING = {"learning_rate": 1e-2, "hidden_learning_rate": 1e-2, "weight_decay": 0.0}
SEEDS = 3
TRAINING |= {"betas": [0.9, 0.95], "eps": 1e-8}


def sizes(name: str, kind: str, width: int, seed: int) -> dict[str, float]:
    """Mean |activation| of what comes out of modules after three steps; "" are the logits."""
    tokens = torch.randint(32, (8, 17), generator=torch.Generator().manual_seed(seed))
    told = {**MUP, "width": width, "layers": 1, "parametrization": kind}
    model = language_model.build(spec(name, **told), seed)
    optimizer = parametrization.optimizer(model, model.hidden_matrices(), TRAINING)
    for _ in range(3):
        F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()).backward()
        optimizer.step()
        model.zero_grad()
    found: dict[str, float] = {}
    for module, part in model.named_modules():
        if module == "" or module.endswith(OUTPUTS[name]):
            part.register_forward_hook(
                lambda _, inputs, out, module=module: found.update(
                    {module: float(out.abs().mean())}
                )
            )
    with torch.no_grad():
        model(tokens[:, :-1])
    return found


def slopes(name: str, kind: str, widths: tuple[int, ...]) -> dict[str, float]:
    """Slope of log mean |activation| over log width, by module; each a mean of some seeds."""
    found = [[sizes(name, kind, width, seed) for seed in range(SEEDS)] for width in widths]
    means = {key: [np.mean([one[key] for one in both]) for both in found] for key in found[0][0]}
    return {key: np.polyfit(np.log2(widths), np.log2(row), 1)[0] for key, row in means.items()}


@pytest.mark.parametrize(("name", "matrices"), [("llama", 7), ("gpt2", 4)])
def test_multipliers_of_mup_follow_the_width(name: str, matrices: int) -> None:
    model = language_model.build(spec(name, **MUP, width=192), 0)
    hidden = set(map(id, model.hidden_matrices()))
    assert len(hidden) == 2 * matrices
    for key, parameter in model.named_parameters():
        assert parameter.infshape.ninf() == (2 if id(parameter) in hidden else 1), key
        assert parameter.infshape.width_mult() == 3, key
    rates = {
        id(parameter): group.rate
        for group in parametrization.optimizer(model, model.hidden_matrices(), TRAINING).groups
        for parameter in group.parameters
    }
    for key, parameter in model.named_parameters():
        assert rates[id(parameter)] == pytest.approx(
            1e-2 / (3 if id(parameter) in hidden else 1)
        ), key
        if key.endswith(("o_proj.weight", "down_proj.weight", "c_proj.weight")):
            assert not parameter.any(), key
    assert not model(torch.arange(32)[None, :16]).any()  # it starts as knowing nothing


@pytest.mark.parametrize("heads", [2, 12])
@pytest.mark.parametrize("name", OUTPUTS)
def test_the_export_of_a_mup_model_loses_the_same(
    name: str, heads: int, data: Path, tmp_path: Path
) -> None:
    told = {**MUP, "vocabulary": tiny_run.VOCABULARY, "config": {"num_attention_heads": heads}}
    made = spec(name, **told, width=192)
    language_model.save(
        language_model.weights(shaken(made, 0.1)), tmp_path / "run" / "model.safetensors"
    )
    artifacts.write_json(tmp_path / "run" / "manifest.json", {"model": made})
    kind = {"llama": "LlamaForCausalLM", "gpt2": "GPT2LMHeadModel"}[name]
    assert_exported(tmp_path / "run", data, tmp_path / "hf", kind)


def test_mup_of_gpt2_is_gpts(data: Path, tmp_path: Path) -> None:
    """The same weights in both, at another width than the base and another head than 16."""
    shape = {**tiny_run.SPEC["model"], "width": 96, "heads": 2, "bias": True, "layers": 2}
    own = language_model.build({**shape, "base_width": 32}, 0)
    told = {**MUP, "vocabulary": tiny_run.VOCABULARY, "base_width": 32}
    told["config"] = {"num_attention_heads": 2, "activation_function": "gelu"}
    theirs = language_model.build(spec("gpt2", **told, width=96), 0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in own.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        weights = gpt2_weights(own, {**shape, "parametrization": "standard"})
        weights["lm_head.weight"] = own.readout.detach()
        theirs.net.load_state_dict(weights)
    tokens = torch.randint(tiny_run.VOCABULARY, (3, tiny_run.LENGTH), generator=generator)
    torch.testing.assert_close(theirs(tokens), own(tokens), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", OUTPUTS)
def test_activations_keep_their_size_across_widths_under_mup(name: str) -> None:
    # Below 128 channels tokens overlap by chance, with gpt's own blocks, too.
    found = slopes(name, "mup", (128, 256, 512))
    assert len(found) == 4
    assert max(map(abs, found.values())) < 0.15, found
    grown = slopes(name, "standard", (128, 256))
    assert (
        min(slope for key, slope in grown.items() if "norm" not in key and "ln_f" not in key) > 0.3
    )
