"""The tokens of a run in the order in which they are to be seen, in the forms that trainers read.

    npy   a memory map, [pieces, context]
    bin   the same numbers without a header
    mds   a folder of shards with an index.json, which MosaicML's streaming and with it llm-foundry
          read: a sample a piece, its column `tokens` an array of fixed length

All little-endian. MDS is written here, as its own package brings clouds' clients along: a shard is
the number of its samples, where each begins and the last ends (uint32), the columns as JSON, and
the samples one after the other.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from proxyscale.base import arrays
from proxyscale.training.batches import Batches

SHARD = 1 << 26  # bytes of a shard of MDS, at most


def write_tokens(path: Path, form: str, kind: np.dtype[Any], batches: Batches) -> None:
    """Write the pieces of all steps, in order, as numbers of this kind."""
    if form == "mds":
        write_mds(path, kind, batches)
        return
    with path.open("wb") as file:
        if form == "npy":
            arrays.write_header(file, kind, (len(batches) * batches.batch, batches.context))
        _write(file, kind, batches, range(len(batches)))


def _write(file: BinaryIO, kind: np.dtype[Any], batches: Batches, steps: range) -> None:
    for step in steps:
        batches[step].astype(kind).tofile(file)


def write_mds(folder: Path, kind: np.dtype[Any], batches: Batches, limit: int = SHARD) -> None:
    """Write shards of at most `limit` bytes, if a step fits, and their index."""
    size = batches.context * kind.itemsize
    columns = {
        "column_encodings": [f"ndarray:{kind.name}:{batches.context}"],
        "column_names": ["tokens"],
        "column_sizes": [size],
        "compression": None,
        "format": "mds",
        "hashes": [],
        "size_limit": limit,
        "version": 2,
    }
    told = json.dumps(columns, sort_keys=True).encode()
    steps = max(1, limit // ((size + 4) * batches.batch))
    folder.mkdir()
    shards = []
    for number, first in enumerate(range(0, len(batches), steps)):
        last = min(first + steps, len(batches))
        samples = (last - first) * batches.batch
        name = f"shard.{number:05}.mds"
        begin = 4 * (samples + 2) + len(told)
        places = begin + size * np.arange(samples + 1, dtype="<u4")
        with (folder / name).open("wb") as file:
            np.array([samples], dtype="<u4").tofile(file)
            places.tofile(file)
            file.write(told)
            _write(file, kind, batches, range(first, last))
        raw = {"basename": name, "bytes": begin + samples * size, "hashes": {}}
        shards.append({**columns, "samples": samples, "raw_data": raw, "zip_data": None})
    (folder / "index.json").write_text(json.dumps({"version": 2, "shards": shards}, sort_keys=True))
