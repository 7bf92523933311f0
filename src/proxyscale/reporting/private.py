"""What a page tells of the machine that it was made on: the config and notes, paths left out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

LEFT_OUT = "(left out)"
PLACES = {"files", "records", "table", "results", "plugins", "path", "folder"}  # keys of paths


def config_text(config: Mapping[str, Any], order: Mapping[str, list[str]], paths: bool) -> str:
    """The config as YAML, `study` first, the sections named in `order` in that order."""
    first = sorted(config, key=lambda key: key != "study")
    sections = {key: {name: config[key][name] for name in names} for key, names in order.items()}
    words = {key: sections.get(key, config[key]) for key in first}
    shown = words if paths else _masked(words)
    return str(yaml.safe_dump(shown, sort_keys=False, width=96, allow_unicode=True))


def _masked(value: Any) -> Any:
    """The same without paths: what stands under the keys of paths, and what holds a slash."""
    if isinstance(value, Mapping):
        return {k: LEFT_OUT if k in PLACES else _masked(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_masked(one) for one in value]
    return LEFT_OUT if isinstance(value, str) and re.search(r"[/\\]", value) else value


def without_paths(note: str) -> str:
    """A note with its words that are paths left out."""
    return re.sub(r"\S*[/\\]\S*|\S+\.(csv|tsv|json\w*|parquet|arrow|xlsx)\b\S*", LEFT_OUT, note)
