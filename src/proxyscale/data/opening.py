"""Files as streams of bytes, whatever they are compressed with and in whatever encoding."""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
import os
import zlib
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa
import zstandard

from proxyscale.base.errors import UserError

COMPRESSED = {".zst", ".zstd", ".gz", ".bz2", ".xz"}
PIECE = 1 << 13  # compressed bytes taken at a time: zstd may blow a byte up to some thousands
WINDOW = 1 << 31  # of zstd, in bytes: as far back as its own tool looks at most

# What reading a damaged file raises.
BROKEN = (
    *(OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError),
    *(pa.ArrowException, csv.Error),
)


def suffixes(path: Path) -> list[str]:
    """A file's suffixes in lower case, without that of its compression."""
    return [s for s in map(str.lower, path.suffixes) if s not in COMPRESSED]


def is_compressed(path: str | Path) -> bool:
    """Whether a file's suffix says so."""
    return os.path.splitext(path)[1].lower() in COMPRESSED


def check_encoding(name: str) -> None:
    """UserError unless text can be read in an encoding, piece by piece, whatever bytes come."""
    try:
        decoder = codecs.getincrementaldecoder(name)("surrogateescape")
        found = decoder.decode("text".encode(name), True) == "text"
    except (LookupError, ValueError, TypeError, AssertionError):  # of codecs that are none of text
        found = False
    if not found:
        hint = "utf-16, latin-1, cp1252, shift_jis, …"
        raise UserError(f"no encoding of text: {name!r}", where="encoding", hint=hint)


def open_bytes(path: Path, encoding: str | None = None) -> IO[bytes]:
    """A file's bytes, uncompressed; with an `encoding` they are made UTF-8.

    Bytes that the encoding does not have come out as bytes that UTF-8 does not have.
    """
    stream = _uncompressed(path)
    if encoding is None or codecs.lookup(encoding).name == "utf-8":
        return stream
    return cast(IO[bytes], io.BufferedReader(_Recoded(stream, encoding), 1 << 20))


def _uncompressed(path: Path) -> IO[bytes]:
    match path.suffix.lower():
        case ".zst" | ".zstd":
            return cast(IO[bytes], io.BufferedReader(_Zstd(path), 1 << 20))
        case ".gz":
            return cast(IO[bytes], gzip.open(path))
        case ".bz2":
            return bz2.open(path)
        case ".xz":
            return lzma.open(path)
    return open(path, "rb")


class _Raw(io.RawIOBase):
    """A stream that is made a piece at a time, by `more`; no piece is the end."""

    def __init__(self, source: IO[bytes]) -> None:
        self.source = source
        self.held = b""

    def more(self) -> bytes:
        raise NotImplementedError

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.held = self.held or self.more()
        size = min(len(buffer), len(self.held))
        buffer[:size], self.held = self.held[:size], self.held[size:]
        return size

    def close(self) -> None:
        self.source.close()
        super().close()


class _Zstd(_Raw):
    """Frames of zstd one after the other, each whole: a file that is cut off is an error."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.open("rb"))
        self.decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW)
        self.frame: Any = None
        self.waiting = b""

    def more(self) -> bytes:
        while data := self.waiting or self.source.read(PIECE):
            self.frame = self.frame or self.decompressor.decompressobj()
            found, self.waiting = self.frame.decompress(data), b""
            if self.frame.eof:
                self.frame, self.waiting = None, self.frame.unused_data
            if found:
                return cast(bytes, found)
        if self.frame is not None:
            raise EOFError("compressed file ended before the end of a frame")
        return b""


class _Recoded(_Raw):
    """Text of an encoding as UTF-8."""

    def __init__(self, source: IO[bytes], encoding: str) -> None:
        super().__init__(source)
        self.decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")

    def more(self) -> bytes:
        while data := self.source.read(1 << 20):
            if text := self.decoder.decode(data):
                return text.encode("utf-8", "surrogatepass")
        return self.decoder.decode(b"", True).encode("utf-8", "surrogatepass")
