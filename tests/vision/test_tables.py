"""Closed forms of cost against what torch counts."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from support.paths import ROOT
from torch.utils.flop_counter import FlopCounterMode

from proxyscale.base.cost import resnet_flops, resnet_parameters, trak_flops
from proxyscale.cli.load_study import load
from proxyscale.study.validation import read_yaml
from proxyscale.vision import resnet
from proxyscale.vision.study import ImageStudy
from proxyscale.vision.tables import write_table

CIFAR: dict[str, Any] = {
    "blocks": [2, 2, 2, 2],
    "channels": 8,
    "classes": 10,
    "colors": 3,
    "stem": "cifar",
}
IMAGENET = CIFAR | {"stem": "imagenet", "classes": 1000}
SMALL = CIFAR | {"blocks": [1, 1], "colors": 1, "channels": 3}


@pytest.mark.parametrize("spec", [CIFAR, IMAGENET, SMALL, CIFAR | {"blocks": [1, 3, 2]}])
@pytest.mark.parametrize("size", [8, 32, 33])
def test_resnets_are_counted(spec: dict[str, Any], size: int) -> None:
    model = resnet.ResNet(spec).eval()
    assert resnet_parameters(spec) == sum(p.numel() for p in model.parameters())
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(torch.zeros(1, spec["colors"], size, size))
    # torch counts a padded convolution's border as the rest
    assert resnet_flops(spec, size) == counter.get_total_flops()


def test_trak_is_dominated_by_gradients_or_by_inner_products() -> None:
    options = {"checkpoints": 1, "projection": None}
    assert trak_flops(1e9, 1, 100, 10, options) == pytest.approx(3e9 * 110, rel=1e-2)
    wide = trak_flops(0.0, 10**9, 100, 10, options)
    assert wide == pytest.approx(2e9 * 100 * 60, rel=1e-2)
    assert trak_flops(1e9, 10**6, 100, 10, options | {"checkpoints": 3}) == pytest.approx(
        3 * trak_flops(1e9, 10**6, 100, 10, options)
    )


# Table 15's columns. RN-8 for CIFAR is printed as 714,421,850, which no other width's form allows.
PRINTED = {
    "cifar": (
        44_622,
        176_402,
        701_466,
        2_797_610,
        11_173_962,
        44_662_922,
        178_585_866,
        714_211_850,
    ),
    "imagenet": (241_712, 831_096, 3_055_880, 11_689_512, 45_693_032, 180_645_096),
}


@pytest.mark.parametrize(("stem", "study"), [("cifar", "cifar10"), ("imagenet", "imagenet")])
def test_table_15_of_the_papers_studies_is_as_printed(
    stem: str, study: str, tmp_path: Path
) -> None:
    loaded = load(read_yaml(ROOT / f"workflow/studies/paper-{study}.yaml"))
    assert isinstance(loaded, ImageStudy)
    write_table(tmp_path / "tab15.csv", loaded.words("image_table", "tab15"))
    with (tmp_path / "tab15.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(int(row["parameters"]) for row in rows) == PRINTED[stem]
    notes = [row.get("note") for row in rows]
    assert [bool(note) for note in notes] == [stem == "cifar" and n == 7 for n in range(len(rows))]
    assert stem != "cifar" or "714,421,850" in str(notes[-1])


@pytest.mark.parametrize(
    ("study", "expected"),
    [
        ("cifar10", ("30", "512", "0.1", "0.001", "0.05", "linear", "0.0005")),
        ("imagenet", ("20", "512", "0.5", "0.005", "0.05", "cosine", "0.0005")),
    ],
)
def test_table_16_of_the_papers_studies_is_as_printed(
    study: str, expected: tuple[str, ...], tmp_path: Path
) -> None:
    loaded = load(read_yaml(ROOT / f"workflow/studies/paper-{study}.yaml"))
    assert isinstance(loaded, ImageStudy)
    write_table(tmp_path / "tab16.csv", loaded.words("image_table", "tab16"))
    keys = ("epochs", "batch", "learning_rate", "initial_learning_rate", "warmup", "decay")
    with (tmp_path / "tab16.csv").open() as file:
        for row in csv.DictReader(file):
            assert tuple(row[key] for key in (*keys, "weight_decay")) == expected
