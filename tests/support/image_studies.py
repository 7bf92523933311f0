"""A tiny study of image models, with every kind of distribution and score."""

from __future__ import annotations

from typing import Any

ONE_CYCLE: dict[str, Any] = {
    "learning_rate": 0.1,
    "initial_learning_rate": 0.001,
    "warmup": 0.05,
    "decay": "linear",
    "momentum": 0.9,
    "weight_decay": 5e-4,
}


def image_study() -> dict[str, Any]:
    """Sixty digits, two widths; a job trains seconds."""
    removal = {"role": "counterfactual", "shares": [0.05, 0.1]}
    return {
        "study": "tiny-images",
        "results": "results",
        "seeds": 2,
        "sources": {"digits": {"digits": True, "images": 300, "holdout": 0.3}},
        "pool": {"source": "digits", "examples": 60, "balanced": True, "size": 8, "colors": 1},
        "tasks": {"digits": {"source": "digits", "examples": 20}},
        "model": {"family": "resnet", "blocks": [1, 1], "classes": 10, "base_channels": 8},
        "training": {"epochs": 4, "batch": 10, "checkpoints": [2]},
        "distributions": {
            "pool": {"method": "everything", "role": "proxy", "seeds": 4},
            "halves": {
                "method": "stratified",
                "role": "counterfactual",
                "draws": 6,
                "seeds": [10, 11],
                "scales": ["wide"],
            },
            "regressed": {
                "method": "stratified",
                "role": "proxy",
                "draws": 6,
                "seeds": 1,
                "scales": ["narrow"],
            },
            "helpful": {"method": "top-influence", **removal},
            "alike": {"method": "most-similar", **removal},
        },
        "groups": {"mild": ["alike", "helpful"]},
        "scales": {"narrow": {"channels": 2}, "wide": {"channels": 4}},
        "reference": "wide",
        "pack": 6,
        "attribution": {
            "truth": "halves",
            "trak": {"distribution": "pool", "models": [1, 4]},
            "datamodels": {"distribution": "regressed", "tests": 8},
            "resamples": 50,
        },
        "counterfactuals": {"task": "digits", "images": [0, 3], "proxy": "narrow"},
    }
