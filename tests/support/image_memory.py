"""The most memory that a process takes which scores so many random images by one model.

python -m support.image_memory FOLDER IMAGES TESTS: bytes, on standard output.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from proxyscale.vision import resnet, trak_scores
from proxyscale.vision.images import Images

MODEL: dict[str, Any] = {
    "blocks": [1],
    "channels": 2,
    "classes": 3,
    "colors": 1,
    "stem": "cifar",
    "parametrization": "mup",
    "base_channels": 4,
}
SPEC = {"checkpoints": None, "projection": 8, "ridge": 0.3, "seed": 0}


def images(count: int) -> Images:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, 4, 4, 1), dtype=np.uint8)
    return Images(pixels, rng.integers(0, 3, count), ["a", "b", "c"], [128.0], [70.0])


def main(folder: Path, count: int, tests: int) -> None:
    """Score them, and tell."""
    (state,) = resnet.unstack(resnet.build(MODEL, [0]).state_dict(), 1)
    state = {name: value + 0.1 * torch.rand(value.shape) for name, value in state.items()}
    ensemble = SimpleNamespace(runs=[0], epochs=[1], spec=MODEL, states=lambda epoch: [state])
    sizes = {"pool": count, "manifest.json": tests}
    trak_scores.Ensemble = lambda path: ensemble  # type: ignore[assignment, misc]
    trak_scores.Images = SimpleNamespace(open=lambda path: images(sizes[path.name]))  # type: ignore[assignment, misc]
    task = {"t": folder / "task"}
    trak_scores.score_ensemble(folder / "out", folder, folder / "pool", task, SPEC, title="t")
    print(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
