"""Which documents of a corpus are kept, and on which side of its split each one stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from proxyscale.base.errors import UserError
from proxyscale.data.formats import cut_at
from proxyscale.data.raw_record import Dropped, encodable
from proxyscale.data.record_counts import SplitCounts, content_key


class Document(NamedTuple):
    """A text and the name it has within its corpus."""

    name: str
    text: str


class Fitted(NamedTuple):
    """What is known of a document by itself."""

    name: str
    text: bytes  # cut to size
    key: int  # the text's hash
    cut: bool


class Kept(NamedTuple):
    """A document as it is kept."""

    name: str
    text: bytes
    key: int  # the text's hash
    split: str


def fitted(items: Iterable[Document | Dropped], limit: int | None) -> Iterator[Fitted | Dropped]:
    """Documents cut to at most `limit` bytes, and their hashes; the unusable as dropped."""
    for item in items:
        if isinstance(item, Dropped):
            yield item
        elif reason := unusable(item.text):
            yield Dropped(item.name, reason, broken=reason == "not UTF-8")
        else:
            whole = item.text.encode()
            cut = limit is not None and len(whole) > limit
            text = whole[: cut_at(whole, limit)] if limit is not None and cut else whole
            yield Fitted(item.name, text, content_key(text), cut)


class Judge:
    """Splits and counts documents in their order; drops the duplicates."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.counts = SplitCounts(spec)
        self.cut = 0
        self.bytes = dict.fromkeys(self.counts.shares, 0)

    def kept(self, items: Iterable[Fitted | Dropped]) -> Iterator[Kept]:
        """The documents to keep, until there are as many as asked for."""
        most, documents = self.spec.get("max_bytes"), self.spec.get("documents")
        for item in items:
            kept = self.judge(item)
            if kept is None:
                continue
            yield kept
            if most and sum(self.bytes.values()) >= most:
                return
            if documents and self.counts.total >= documents:
                return

    def judge(self, item: Fitted | Dropped) -> Kept | None:
        """The document as it is kept; None if it is dropped. Counted either way."""
        self.counts.read += 1
        if isinstance(item, Dropped):
            self.counts.drop(item)
            return None
        split = self.counts.keep(item.name, item.key)
        if split is None:
            return None
        self.cut += item.cut
        self.bytes[split] += len(item.text)
        return Kept(item.name, item.text, item.key, split)

    def check(self, source: str) -> None:
        """UserError if most records were broken, or a split with a share stayed empty."""
        counts, where = self.counts, f"corpora: {source}"
        empty = [s for s, share in counts.shares.items() if share > 1e-9 and not counts.kept[s]]
        if counts.total or any(one.keys for one in counts.breaks.values()):
            counts.check("documents")
        if not counts.total:
            message = f"no usable document: {counts.told() or 'none found'}"
            hint = counts.hint or "check the corpus and its options"
            raise UserError(message, where=where, hint=hint)
        if empty:
            share = f"{counts.shares[empty[0]]:g}"
            message = (
                f"its {counts.total} documents leave the split {empty[0]} (share {share}) empty"
            )
            raise UserError(message, where=where, hint="give more documents, or change the shares")


def unusable(text: str) -> str:
    """Why a text cannot be used; empty if it can."""
    if not text or text.isspace():
        return "empty"
    if "\0" in text:
        return "NUL byte"
    return "" if encodable(text) else "not UTF-8"
