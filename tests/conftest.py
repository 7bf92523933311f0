"""What several tests share."""

from __future__ import annotations

import copy
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from support.own_folders import guard

sys.modules["torchvision"] = (
    None  # as training/parametrization.py has it, for who imports before it
)
guard()
settings.register_profile("patient", deadline=None)  # no test judges by time
settings.load_profile("patient")

MINIMAL: dict[str, Any] = {
    "study": "tiny",
    "results": "out",
    "sources": {
        "a": {"installed": "numpy", "part": "docstrings"},
        "b": {"files": "b/*.jsonl"},
    },
    "tokenizer": {"train": "bpe", "vocabulary": 300},
    "pool": {"length": 16},
    "tasks": {
        "t": {"kind": "text", "sources": ["a"]},
        "p": {
            "kind": "prompt",
            "records": {"files": "x.jsonl"},
            "prompt": "{q}",
            "continuation": "{a}",
        },
    },
    "selection": {"size": 50},
    "distributions": {
        "mix": {"method": "random"},
        "a": {"method": "source", "sources": "a"},
        "b": {"method": "source", "sources": "b"},
    },
    "training": {"batch_tokens": 64},
    "scales": {
        "small": {"width": 8, "layers": 1},
        "large": {"width": 32, "layers": 2},
    },
    "reference": "large",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that run the workflow come first: at the end none of them is left to one of several
    processes."""
    items.sort(key=lambda item: item.path.parent.name != "workflow")


@pytest.fixture
def minimal() -> dict[str, Any]:
    """A small valid study, the test's own to spoil."""
    return copy.deepcopy(MINIMAL)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data, where there is one."""
    root = os.environ.get("PROXYSCALE_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("PROXYSCALE_DATA names no folder")
    return Path(root)
