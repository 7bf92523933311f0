"""A test set made as the workflow makes it: items encoded, searched for in the pool, chosen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxyscale.base import artifacts
from proxyscale.data.encoded_items import encode_items
from proxyscale.data.overlap_search import find_overlap
from proxyscale.data.tasks import build_task
from proxyscale.study import builtin_functions  # noqa: F401 (registers the kinds)


def build_test_set(
    out: Path, spec: Mapping[str, Any], corpora: Mapping[str, Path], tokenizer: Path, pool: Path
) -> None:
    """Make it in `out`; what it is made of lies below."""
    encode_items(out / "items", spec, corpora, tokenizer)
    found = []
    for source in artifacts.read_json(pool)["sources"]:
        for number, shard in enumerate(source["shards"]):
            found.append(out / "overlap" / f"{source['name']}@{number}" / "task.npy")
            pack = pool.parent / shard["folder"]
            find_overlap(found[-1], pack, out / "items", spec["overlap_window"])
    build_task(out, spec, out / "items", found)
