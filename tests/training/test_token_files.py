"""Tokens as MDS: read back by the layout itself, and by MosaicML's streaming where it is there."""

from __future__ import annotations

import itertools
import json
import struct
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from proxyscale.training.batches import Batches
from proxyscale.training.token_files import write_mds

CONTEXT, BATCH, STEPS = 12, 3, 7


class Steps:
    """Batches of numbers that tell where they stand."""

    batch, context = BATCH, CONTEXT

    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, step: int) -> np.ndarray:
        size = BATCH * CONTEXT
        return np.arange(step * size, (step + 1) * size, dtype=np.uint32).reshape(BATCH, CONTEXT)


def written(folder: Path, kind: str, limit: int) -> np.ndarray:
    """What is written, [pieces, context]."""
    steps = Steps()
    write_mds(folder, np.dtype(kind), cast(Batches, steps), limit)
    return np.concatenate([steps[step] for step in range(STEPS)])


@pytest.mark.parametrize(("kind", "limit", "shards"), [("<u2", 200, 4), ("<u4", 1 << 26, 1)])
def test_shards_hold_every_piece_in_order(
    tmp_path: Path, kind: str, limit: int, shards: int
) -> None:
    wanted = written(tmp_path / "mds", kind, limit)
    index = json.loads((tmp_path / "mds/index.json").read_text())
    assert index["version"] == 2
    assert len(index["shards"]) == shards
    found = []
    for shard in index["shards"]:
        data = (tmp_path / "mds" / shard["raw_data"]["basename"]).read_bytes()
        assert len(data) == shard["raw_data"]["bytes"]
        (samples,) = struct.unpack_from("<I", data)
        assert samples == shard["samples"]
        ends = struct.unpack_from(f"<{samples + 1}I", data, 4)
        assert ends[-1] == len(data)
        for first, last in itertools.pairwise(ends):
            assert last - first == shard["column_sizes"][0]
            found.append(np.frombuffer(data[first:last], kind))
        told = json.loads(data[4 * (samples + 2) : ends[0]])
        assert told == {key: shard[key] for key in told}
        assert told["column_encodings"] == [f"ndarray:{np.dtype(kind).name}:{CONTEXT}"]
    np.testing.assert_array_equal(np.stack(found), wanted)


def test_streaming_reads_them(tmp_path: Path) -> None:
    streaming = pytest.importorskip("streaming", exc_type=ImportError)
    wanted = written(tmp_path / "mds", "<u2", 200)
    opened = streaming.LocalDataset(str(tmp_path / "mds"))
    assert len(opened) == len(wanted)
    for row, sample in zip(wanted, (opened[i] for i in range(len(opened))), strict=True):
        np.testing.assert_array_equal(sample["tokens"], row)
