"""What stands beside a run's weights: its curve, and a manifest of what it was and cost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from proxyscale.base import artifacts
from proxyscale.training import language_model
from proxyscale.training.curve import Curve


def write_records(
    out: Path,
    curve: Curve,
    precision: str,
    epochs: float,
    spec: Mapping[str, Any],
    inputs: Mapping[str, str],
    **versions: str,
) -> None:
    """Write curve.parquet and then manifest.json for the weights that are in `out`."""
    model = language_model.build(spec["model"])
    parameters = sum(parameter.numel() for parameter in model.parameters())
    tokens = curve.steps * spec["training"]["batch_tokens"]
    artifacts.write(out / "curve.parquet", curve.table(), "curve")
    write_manifest(
        out,
        spec,
        inputs,
        parameters=parameters,
        tokens=tokens,
        final_loss=curve.smoothed(curve.steps),
        epochs=epochs,
        precision=precision,
        device=language_model.device_name(),
        versions={
            "torch": torch.__version__,
            "numpy": np.__version__,
            **model.versions,
            **versions,
        },
    )


def write_manifest(
    out: Path,
    spec: Mapping[str, Any],
    inputs: Mapping[str, str],
    *,
    parameters: int,
    tokens: int,
    final_loss: float,
    epochs: float,
    **facts: Any,
) -> None:
    """Write the manifest of a run whose weights are in `out`: its spec, what it cost, `facts`."""
    kept = [out / language_model.KEPT] if spec.get("checkpoints") else []
    artifacts.write_manifest(
        out / "manifest.json",
        [out / language_model.MODEL, *kept],
        **spec,
        parameters=parameters,
        tokens=tokens,
        flops=6 * parameters * tokens,
        final_loss=round(final_loss, 4),
        epochs=round(epochs, 4),
        inputs=dict(inputs),
        **facts,
    )
