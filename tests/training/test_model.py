"""An architecture of a plugin: trained, measured and featurized by the verbs that rules call."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from support import tiny_run
from support.language_runs import LENGTH, SPEC, write_pool, write_task
from support.paths import ROTARY

from proxyscale.attribution.model_output import model_output
from proxyscale.attribution.projection import Projection
from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.cli.main import main
from proxyscale.data.pool import Pool
from proxyscale.registry import architecture, load_plugins
from proxyscale.training import language_model
from proxyscale.training.export import export

SHAPE = ("vocabulary", "context", "width", "layers", "base_width")
MODEL: dict[str, Any] = {
    **{key: SPEC[key] for key in SHAPE},
    "parametrization": "standard",
    "architecture": "rotary-glu",
    "options": {"heads": 2, "tied": True},
}
TRAINING = {**tiny_run.SPEC["training"], "tokens": 60 * 128, "learning_rate": 1e-2}
RUN = {**tiny_run.SPEC, "model": MODEL, "training": TRAINING}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run of the plugin's, its losses and its features."""
    root = tmp_path_factory.mktemp("foreign")
    pool = write_pool(root)
    task = write_task(root / "task", pool)
    artifacts.write_manifest(task / "manifest.json", [task / "holdout.parquet"])
    examples = np.arange(len(Pool.open(pool)), dtype=np.uint32)
    draws = np.zeros(len(examples), np.uint16)
    table = pa.table({"draw": draws, "example": examples})
    artifacts.write(root / "distribution.parquet", table, "distribution")
    common = ["--plugin", str(ROTARY), "--title", "foreign"]
    named = {"pool": pool, "distribution": root / "distribution.parquet", "out": root / "run"}
    words = [word for name, path in named.items() for word in (f"--{name}", str(path))]
    told = ["--spec", json.dumps(RUN), "--execution", json.dumps(dict(tiny_run.native.PLAIN))]
    assert main(["train", *common, *words, *told]) == 0
    measured = ["--run", str(root / "run"), "--task", str(task), "--code", "1"]
    losses = ["--spec", '{"precision": "fp32"}', "--out", str(root / "losses")]
    assert main(["evaluate", *common, *measured, *losses]) == 0
    how = {"candidates": 40, "dimension": 64, "seed": 0, "uncovered": "autograd"}
    out = ["--out", str(root / "features" / "pool" / "manifest.json")]
    more = ["--pool", str(pool), "--spec", json.dumps(how), *out]
    assert main(["features", *common, *measured, *more]) == 0
    return root


def test_it_trains_by_the_native_loop(files: Path) -> None:
    curve = artifacts.read(files / "run" / "curve.parquet", "curve")["loss"].to_pylist()
    assert curve[0] == pytest.approx(math.log(SPEC["vocabulary"]), abs=0.2)
    assert curve[-1] < curve[0] - 1
    manifest = artifacts.read_json(files / "run" / "manifest.json")
    assert manifest["model"] == MODEL
    # Two heads of the same matrix: the embedding counts once.
    width, hidden = SPEC["width"], 2 * SPEC["width"]
    block = 4 * width * width + width + 3 * width * hidden + 2 * hidden + width + 2 * width
    assert manifest["parameters"] == SPEC["vocabulary"] * width + block + width


def test_it_is_measured(files: Path) -> None:
    net = language_model.load(files / "run").requires_grad_(False)
    rows = artifacts.read(files / "task" / "holdout.parquet", "task").to_pylist()
    found = artifacts.read(files / "losses" / "task.parquet", "run_losses")["loss"].to_numpy()
    for loss, row in zip(found, [row for row in rows if row["gold"]], strict=True):
        tokens = torch.tensor(row["tokens"])[None]
        nats = torch.log_softmax(net(tokens[:, :-1])[0], 1)
        expected = -nats.gather(1, tokens[0, 1:, None])[row["scored_from"] - 1 :].mean()
        assert loss == pytest.approx(float(expected), rel=1e-4)


def test_its_features_are_projected_gradients(files: Path) -> None:
    net = language_model.load(files / "run")
    folder = files / "features" / "pool"
    found, ids = np.load(folder / "features.npy"), np.load(folder / "ids.npy")
    rows = Pool.open(files / "pool" / "manifest.json").rows(ids)
    projection = Projection(64, 0)
    for index in (0, 17, len(found) - 1):
        row = torch.from_numpy(rows[index].astype(np.int64))[None]
        scored = torch.ones(1, LENGTH - 1, dtype=torch.bool)
        output = model_output(net(row[:, :-1]), row[:, 1:], scored).sum()
        gradients = torch.autograd.grad(output, list(net.parameters()))
        total = projection.start(1)
        for (name, _), gradient in zip(net.named_parameters(), gradients, strict=True):
            projection.add(total, name, gradient[None])
        expected = projection.finish(total)[0].numpy()
        assert np.allclose(found[index], expected, atol=2e-5 * np.abs(expected).max())


def test_no_other_form_of_it_is_made_up(files: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a rotary-glu, which has no form there"):
        export(tmp_path / "out", files / "run", files / "tokenizer.json")


def test_a_seed_decides_all_weights_and_the_callers_numbers_stay() -> None:
    load_plugins([ROTARY])
    torch.manual_seed(7)
    before = torch.get_rng_state()
    one, same, other = (language_model.build(MODEL, seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    for name, weight in one.items():
        assert torch.equal(weight, same[name])
        if "scale" not in name and "bias" not in name:
            assert not torch.equal(weight, other[name]), name


def test_parameters_are_counted_without_making_any() -> None:
    load_plugins([ROTARY])
    kind = architecture["rotary-glu"]
    assert kind.count(MODEL, heads=2) == sum(
        parameter.numel() for parameter in kind(MODEL, heads=2).parameters()
    )
    huge = {**MODEL, "width": 1 << 20, "layers": 2}
    assert kind.count(huge) > 1e13


def test_a_parametrization_that_it_lacks_is_refused() -> None:
    load_plugins([ROTARY])
    with pytest.raises(UserError, match="rotary-glu has no parametrization 'mup'"):
        language_model.build({**MODEL, "parametrization": "mup"})


def test_weights_of_another_shape_of_model_are_refused(files: Path, tmp_path: Path) -> None:
    manifest = artifacts.read_json(files / "run" / "manifest.json")
    changed = {**MODEL, "options": {"heads": 2, "tied": False}}
    artifacts.write_json(tmp_path / "manifest.json", {**manifest, "model": changed})
    (tmp_path / "model.safetensors").symlink_to(files / "run" / "model.safetensors")
    with pytest.raises(UserError, match=r"differ in head\.weight"):
        language_model.load(tmp_path)
