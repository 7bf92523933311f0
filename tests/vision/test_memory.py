"""Memory of scores and of their statistics at scaled shapes, and what it comes to on ImageNet.

What grows with the pool is measured at two sizes of it: bytes an image more are the slope that is
asked for beforehand, or less.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.paths import ROOT

from proxyscale.base import arrays
from proxyscale.cli.load_study import load
from proxyscale.study.validation import read_yaml
from proxyscale.vision import needs, score_matrices, statistics
from proxyscale.vision.score_matrices import Scores

GB = 1e9


@pytest.fixture(scope="module")
def imagenet() -> Any:
    return load(read_yaml(ROOT / "workflow/studies/paper-imagenet.yaml") | {"results": "unmade"})


@pytest.mark.slow
def test_scores_grow_with_the_pool_as_they_are_foretold(tmp_path: Path, imagenet: Any) -> None:
    tests, sizes = 400, (3000, 12000)
    peaks = []
    for size in sizes:
        words = ["-m", "support.image_memory", str(tmp_path / str(size)), str(size), str(tests)]
        done = subprocess.run(
            [sys.executable, *words],
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}/src:{ROOT}/tests"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout))
    slope = (peaks[1] - peaks[0]) / (sizes[1] - sizes[0])
    # the scores of a model that is summed and of the one that comes to it, with what is read back
    foretold = 4.0 * (tests + 1) * (1 + 3)
    print(f"{slope:,.0f} bytes an image, {foretold:,.0f} foretold")
    assert 4 * tests < slope < 1.1 * foretold
    own = imagenet.needs()
    for ref in imagenet.all_ensembles:
        if ref.distribution == imagenet.config.attribution.trak.distribution:
            need = own.score_ensemble(*ref)
            assert need.memory < 64 * GB
            assert need.gpu_memory < 80 * GB


def peak(folder: Path, pool: int, tests: int, models: int, masks: int) -> int:
    """Bytes of arrays that statistics of two scales hold together."""
    rng = np.random.default_rng(0)
    for scale in "ab":
        alike = rng.normal(size=(tests, pool))
        scores = (alike + rng.normal(size=(models, tests, pool))).astype(np.float32)
        arrays.write(folder / f"{scale}{pool}" / "t.npy", scores)
        del scores, alike
    inputs: Any = SimpleNamespace(scores={scale: [folder / f"{scale}{pool}"] for scale in "ab"})
    trak = {"models": [models], "q": False}
    scales = {scale: {"forward": number} for number, scale in enumerate("ab")}
    spec = {"attribution": {"trak": trak}, "scales": scales, "confidence": 0.95}
    tracemalloc.start()
    rows = list(statistics._agreement_rows(inputs, spec, "t"))
    drawn = (rng.random((masks, pool)) < 0.5).astype(float)
    summed = Scores.open(inputs.scores["a"], "t", q=False).sums(drawn)
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert summed.shape == (masks, tests)
    assert len(rows) == 6  # of each pair, as they are and corrected
    return found


def test_statistics_hold_some_rows_of_scores_whatever_the_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, imagenet: Any
) -> None:
    block, tests, models, masks = 1 << 14, 24, 4, 8
    monkeypatch.setattr(score_matrices, "BLOCK", block)
    sizes = (1 << 12, 1 << 14)
    small, large = (peak(tmp_path, size, tests, models, masks) for size in sizes)
    slope = (large - small) / (sizes[1] - sizes[0])
    print(f"{slope:,.0f} bytes an image; {large / 1e6:.1f} MB of {sizes[1]} images")
    whole = 4.0 * models * tests  # of an image, were the scores of a scale held as they are
    assert slope < 16 * masks < whole
    held = block * (4.0 * 2 * (1 + 2 * needs.SPLITS) + 8.0 * models + needs.RANKING)
    assert large < held + 16.0 * masks * sizes[1] < 1.5 * large
    assert imagenet.needs().image_statistics().memory < 64 * GB
