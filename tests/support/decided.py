"""The record of a proposal, as a study writes it."""

from __future__ import annotations

from typing import Any


def proposal(trained: bool = True) -> dict[str, Any]:
    """Of three sources and four mixtures at `s`; trained there and, with two rivals, at `l`."""
    foretold = {"m0": 3.2, "m1": 3.0, "m2": 2.9, "m3": 3.1}
    promise = [
        {"scale": "s", "recipes": [_reached("proposal", None, [2.82])]},
        {
            "scale": "l",
            "recipes": [
                _reached("m2", 2.9, [2.6, 2.64]),
                _reached("natural", 3.05, [2.75, 2.71]),
                _reached("proposal", 2.8, [2.5, 2.54]),
                _reached("unknown", None, [2.9]),
            ],
        },
    ]
    return {
        "scale": "s",
        "weights": {"code": 0.5, "wiki": 0.4, "web": 0.1},
        "best_weights": {"code": 0.3, "wiki": 0.3, "web": 0.4},
        "low_shares": {"code": 0.0, "wiki": 0.0, "web": 0.1},
        "high_shares": {"code": 0.5, "wiki": 1.0, "web": 1.0},
        "best_trained": "m2",
        "predicted": 2.8,
        "low": 2.7,
        "high": 2.9,
        "left_out": [
            {"recipe": name, "foretold": value, "measured": value + 0.02}
            for name, value in foretold.items()
        ],
        "promise": promise if trained else [],
    }


def _reached(recipe: str, foretold: float | None, runs: list[float]) -> dict[str, Any]:
    mean = sum(runs) / len(runs)
    return {"recipe": recipe, "foretold": foretold, "runs": runs, "measured": mean}
