"""A tiny study of language models with every kind of job."""

from __future__ import annotations

from typing import Any

from support.workflow_run import study


def language_study() -> dict[str, Any]:
    """Two scales; selections by scores, mixtures, proxies that select."""
    config = study()
    config["scales"].pop("s")
    config["scales"]["ref"]["width"] = 8
    config["selection"] = {"size": 30, "candidates": 120}
    config["attribution"] = {"dimension": 16, "models": 1}
    config["distributions"] |= {
        "a": {"method": "source", "sources": "a", "candidates": 300},
        "dsdm": {"method": "dsdm", "task": "last", "scored_on": "mix", "scale": "xs"},
        "m": {"method": "dirichlet", "count": 4},
    }
    config["proxy_selection"] = {
        "tasks": ["last"],
        "proxies": ["xs"],
        "reference": "ref",
        "candidates": 120,
        "fractions": [0.25],
        "epochs": 1,
        "models": 1,
        "subset": 60,
        "seeds": 2,
    }
    return config


# Commands for people that read what such a study has made.
COMMANDS = [
    (
        *("export", "--run", "results/runs/ref/mix/0-0", "--out", "exported"),
        *("--tokenizer", "results/tokenizer/tokenizer.json"),
    ),
    ("propose", "results"),
    ("next", "results"),
]
