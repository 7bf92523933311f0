"""Broken inputs of every kind: what is left of them is counted, or one line tells what is wrong."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import resource
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
import zstandard
from PIL import Image
from tokenizers import Tokenizer, models

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.data.records import read_files
from proxyscale.data.tokenizer import build_tokenizer
from proxyscale.study.scales import tokenizer_size
from proxyscale.tables.files import read_sheet
from proxyscale.vision.decoding import decode
from proxyscale.vision.readers import Columns, read_images

TIMES = 25  # a kind
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
}
ROWS = [{"text": f"row {i} é", "label": str(i % 3), "loss": i / 7} for i in range(40)]
CELLS = [list(ROWS[0]), *(list(map(str, row.values())) for row in ROWS)]


def arrow(suffix: str) -> bytes:
    sink, table = io.BytesIO(), pa.Table.from_pylist(ROWS)
    if suffix == "parquet":
        pq.write_table(table, sink)
    else:
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    return sink.getvalue()


def xlsx() -> bytes:
    book, sink = openpyxl.Workbook(), io.BytesIO()
    for row in CELLS:
        book.active.append(row)
    book.save(sink)
    return sink.getvalue()


def image(format: str) -> bytes:
    sink, pixels = io.BytesIO(), np.arange(3 * 24 * 24, dtype=np.uint8).reshape(24, 24, 3)
    Image.fromarray(pixels).save(sink, format)
    return sink.getvalue()


def npz() -> bytes:
    sink = io.BytesIO()
    pixels = np.arange(12 * 64, dtype=np.uint8).reshape(12, 8, 8)
    np.savez_compressed(sink, image=pixels, label=np.arange(12) % 3)
    return sink.getvalue()


def table() -> bytes:
    rows = {"image": [image("png")] * 8, "label": list(range(8))}
    sink = io.BytesIO()
    pq.write_table(pa.table(rows), sink)
    return sink.getvalue()


def tokens() -> bytes:
    words = {"<unk>": 0, "a": 1, "b": 2, "c": 3}
    return Tokenizer(models.WordLevel(words, unk_token="<unk>")).to_str().encode()


def sealed() -> bytes:
    path = Path("sealed.json")
    artifacts.write_json(path, {"rows": 3, "sources": [{"name": "a", "rows": 3}]})
    return path.read_bytes()


LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
TEXTS: dict[str, Callable[[], bytes]] = {
    "jsonl": lambda: LINES,
    "json": lambda: json.dumps(ROWS).encode(),
    "csv": lambda: "".join(",".join(row) + "\n" for row in CELLS).encode(),
    "tsv": lambda: "".join("\t".join(row) + "\n" for row in CELLS).encode(),
    "txt": lambda: LINES,
    "parquet": lambda: arrow("parquet"),
    "arrow": lambda: arrow("arrow"),
}
TABLES = {kind: TEXTS[kind] for kind in ("csv", "json", "jsonl", "parquet", "arrow")}
IMAGES = {kind: lambda kind=kind: image(kind) for kind in ("png", "jpeg", "bmp", "gif", "tiff")}


def records(path: Path) -> int:
    return sum(1 for _ in read_files(str(path)))


def rows(path: Path) -> int:
    return len(read_sheet(str(path)).frame)


def pictures(path: Path) -> int:
    found = 0
    for one in read_images(str(path), None, Columns("image", "label")):
        pixels = getattr(one, "image", None)
        try:
            found += pixels is not None and decode(pixels, 8, 3).size > 0
        except ValueError:
            continue  # the corpus counts it by its reason
    return found


def tokenizer(path: Path) -> int:
    size = int(tokenizer_size.__wrapped__(str(path)))
    build_tokenizer(path.with_name("built.json"), {}, {"file": str(path)})
    return size


def manifest(path: Path) -> int:
    return int(artifacts.read_json(path)["rows"])


Kind = tuple[Callable[[], bytes], Callable[[bytes], bytes], Callable[[Path], int]]
KINDS: dict[str, Kind] = {
    **{
        f"r.{kind}{suffix}": (make, pack, records)
        for kind, make in TEXTS.items()
        for suffix, pack in PACKED.items()
        if kind != "parquet" or not suffix
    },
    **{f"t.{k}{p}": (TABLES[k], pack, rows) for k in TABLES for p, pack in PACKED.items()},
    "t.xlsx": (xlsx, bytes, rows),
    **{f"i.{kind}": (make, bytes, pictures) for kind, make in IMAGES.items()},
    "i.npz": (npz, bytes, pictures),
    "i.parquet": (table, bytes, pictures),
    "tokenizer.json": (tokens, bytes, tokenizer),
    "manifest.json": (sealed, bytes, manifest),
}


def spoiled(whole: bytes, chance: np.random.Generator) -> bytes:
    """A file with some bits flipped, a part cut out, zeroed, doubled or made up."""
    data = bytearray(whole)
    for _ in range(int(chance.integers(1, 4))):
        start = int(chance.integers(len(data) + 1))
        stop = min(len(data), start + int(chance.integers(1, 60)))
        part = bytes(data[start:stop])
        noise = chance.bytes(len(part))
        flipped = bytes(byte ^ (1 << int(chance.integers(8))) for byte in part[:1]) + part[1:]
        kinds = [flipped, b"", bytes(len(part)), part * 3, noise, b"[" * 2000]
        data[start:stop] = kinds[int(chance.integers(len(kinds)))]
        if not chance.integers(6):
            del data[start:]
    return bytes(data)


def attack(name: str, times: int) -> int:
    """How many broken files were told in a line; what is neither that nor a count is raised."""
    make, pack, read = KINDS[name]
    whole, path, chance = make(), Path(name), np.random.default_rng(zlib.crc32(name.encode()))
    path.write_bytes(pack(whole))
    assert read(path) > 0
    told = 0
    for number in range(times):
        inside = number % 2 and pack is not bytes
        broken = pack(spoiled(whole, chance)) if inside else spoiled(pack(whole), chance)
        path.write_bytes(broken)
        try:
            assert read(path) >= 0
        except UserError as error:
            told += bool(error.message)
    return told


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", KINDS)
def test_broken_files_are_counted_or_told(name: str) -> None:
    attack(name, 4)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_many_broken_files_are_counted_or_told(name: str) -> None:
    assert attack(name, 4 * TIMES) > 0 or name.startswith(("r.", "i."))


def gzipped(part: bytes, times: int) -> bytes:
    return gzip.compress(part) * times


def huge_png(side: int = 60_000) -> bytes:
    """A picture of so many zeros, packed."""
    packer, row = zlib.compressobj(1), bytes(1 + side // 8)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    head = side.to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])

    def chunk(kind: bytes, body: bytes) -> bytes:
        sum_ = zlib.crc32(kind + body).to_bytes(4, "big")
        return len(body).to_bytes(4, "big") + kind + body + sum_

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def big_npz() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, shape in (("image", "(1, 100000, 100000)"), ("label", "(1,)")):
            head = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
            head = head.ljust(117) + "\n"
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00\x76\x00" + head.encode())
    return sink.getvalue()


PART = 10 << 20
BOMBS: dict[str, tuple[Callable[[], bytes], Callable[[Path], int], str]] = {
    "line.jsonl.gz": (lambda: gzipped(b"a" * PART, 1000), records, "a line above"),
    "one.json.gz": (lambda: gzipped(b"[" * PART, 1000), records, "a JSON file above"),
    "cell.csv.gz": (lambda: gzipped(b"a" * PART, 1000), records, "line above 256 MiB"),
    "table.csv.gz": (lambda: gzipped(b"a,b\n" * (PART // 4), 1000), rows, "GiB, unpacked"),
    "image.png": (huge_png, pictures, ""),
    "image.npz": (big_npz, pictures, "images of"),
}


@contextmanager
def memory(more: int) -> Iterator[None]:
    """This process may take so many bytes more of address space."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_told_in_bounded_memory(name: str) -> None:
    """10 GB of text in 10 MB, pictures of 60,000 by 60,000 pixels."""
    make, read, told = BOMBS[name]
    Path(name).write_bytes(make())
    with memory(6 << 30):
        if not told:
            assert read(Path(name)) == 0
            return
        with pytest.raises(UserError, match=told):
            read(Path(name))
