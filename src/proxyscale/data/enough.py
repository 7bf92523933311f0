"""Whether text holds as many examples as are asked for: by a sample, before all is tokenized."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError, UserErrors
from proxyscale.data.documents import read_documents
from proxyscale.data.pool import Pool
from proxyscale.data.tokens import load_tokenizer

SAMPLE = 1 << 18  # bytes of text that are tokenized
NEAR = 0.95  # of what is asked for: a sample that promises less is believed


def bytes_a_token(corpus: Path, tokenizer: Path) -> float:
    """Bytes of text a token, of a source's first documents, ends of documents counted."""
    encoder, size, tokens = load_tokenizer(tokenizer), 0, 0
    for _, text in read_documents(corpus, "pool"):
        part = text[:SAMPLE]
        size += len(part.encode())
        tokens += len(encoder.encode(part, add_special_tokens=False).ids) + 1
        if size >= SAMPLE:
            break
    return size / max(1, tokens)


def check_source(corpus: Path, tokenizer: Path, spec: dict[str, Any], wanted: int) -> None:
    """UserError if a source's text will hardly make `wanted` examples. `spec` as for `pack`."""
    held = artifacts.read_json(corpus / "manifest.json")["bytes"].get("pool", 0)
    each = bytes_a_token(corpus, tokenizer)
    rows = int(held / each / spec["length"]) if each else 0
    if rows < NEAR * wanted:
        message = f"its pool of {held:,} bytes makes about {rows:,} examples of {spec['length']} "
        message += f"tokens, {each:.2f} bytes each, and {wanted:,} are asked for"
        hint = "more text, fewer candidates or a smaller size, or `repeat: true`"
        raise UserError(message, where=f"sources.{spec['source']}", hint=hint)


def check_pool(pool: Path, demands: list[tuple[str, list[str], int]]) -> None:
    """UserErrors with every demand (where, sources, examples) that a pool does not meet."""
    counts = Pool.open(pool).counts
    found: list[UserError] = []
    for where, sources, wanted in demands:
        rows = sum(counts[source] for source in sources)
        if rows < wanted:
            message = f"asks for {wanted:,} examples, and {' and '.join(sources)} "
            message += f"{'have' if len(sources) > 1 else 'has'} {rows:,}"
            hint = "fewer, more text, or `repeat: true`"
            found.append(UserError(message, where=where, hint=hint))
    if found:
        raise UserErrors(found)
