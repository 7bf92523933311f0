"""The documents of a corpus, read a group at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq


def read_documents(
    corpus: Path, split: str, shard: int = 0, shards: int = 1
) -> Iterator[tuple[int, str]]:
    """Number and text of a split's documents, in bounded memory; of one part out of `shards`."""
    with pq.ParquetFile(corpus / "documents.parquet", buffer_size=1 << 20) as file:
        groups = file.num_row_groups
        for group in range(groups * shard // shards, groups * (shard + 1) // shards):
            table = file.read_row_group(group, columns=["document", "text", "split"])
            chosen = table.filter(pc.equal(table["split"], split))
            yield from zip(chosen["document"].to_pylist(), chosen["text"].to_pylist(), strict=True)
