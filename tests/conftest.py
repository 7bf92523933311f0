"""What several tests share."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from support.own_folders import guard

from proxyscale import registry

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


@pytest.fixture(scope="module", autouse=True)
def plugins_go() -> Iterator[None]:
    """What plugins of one file's tests have registered is unknown to the next file's."""
    yield
    for name in [name for name in sys.modules if name.startswith("proxyscale_plugin_")]:
        del sys.modules[name]
    kinds = registry.corpus, registry.task, registry.selection, registry.architecture
    for kind in (*kinds, registry.engine):
        for name, function in list(kind.functions.items()):
            if function.__module__.startswith("proxyscale_plugin_"):
                del kind.functions[name], kind.files[name]
                registry.selection.declared.pop(name, None)
    for name, entry in list(registry.figure.entries.items()):
        if entry.function.__module__.startswith("proxyscale_plugin_"):
            del registry.figure.entries[name]


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
