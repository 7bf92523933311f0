"""Which documents of a corpus are kept, and on which side of its split each one stands."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from proxyscale.base.errors import UserError
from proxyscale.data.accounts import Account
from proxyscale.data.formats import Dropped, cut_at


class Document(NamedTuple):
    """A text and the name it has within its corpus."""

    name: str
    text: str


class Kept(NamedTuple):
    """A document as it is kept."""

    name: str
    text: bytes
    key: int  # the text's hash
    split: str


class Judge:
    """Cuts, splits and counts documents; drops the unusable and the duplicates."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        holdout, target = spec.get("holdout", 0.0), spec.get("target", 0.0)
        self.shares = {"holdout": holdout, "target": target, "pool": 1 - holdout - target}
        self.seen: set[int] = set()
        self.cut = 0
        self.account = Account()
        self.documents = dict.fromkeys(self.shares, 0)
        self.bytes = dict.fromkeys(self.shares, 0)

    def kept(self, items: Iterable[Document | Dropped]) -> Iterator[Kept]:
        """The documents to keep, until there are as many as asked for."""
        most, documents = self.spec.get("max_bytes"), self.spec.get("documents")
        for item in items:
            kept = self.judge(item)
            if kept is None:
                continue
            yield kept
            if most and sum(self.bytes.values()) >= most:
                return
            if documents and sum(self.documents.values()) >= documents:
                return

    def judge(self, item: Document | Dropped) -> Kept | None:
        """The document as it is kept; None if it is dropped. Counted either way."""
        self.account.read += 1
        if isinstance(item, Document) and (reason := unusable(item.text)):
            item = Dropped(item.name, reason, broken=reason == "not UTF-8")
        if isinstance(item, Dropped):
            self.account.drop(item)
            return None
        text, cut = self._fit(item.text.encode())
        key = _key(text)
        if key in self.seen:
            self.account.drop(Dropped(item.name, "duplicate"))
            return None
        self.seen.add(key)
        split = self._split(key)
        self.cut += cut
        self.documents[split] += 1
        self.bytes[split] += len(text)
        return Kept(item.name, text, key, split)

    def _fit(self, text: bytes) -> tuple[bytes, bool]:
        limit = self.spec.get("max_document_bytes")
        if not limit or len(text) <= limit:
            return text, False
        return text[: cut_at(text, limit)], True

    def _split(self, key: int) -> str:
        place = _key(f"{self.spec.get('seed', 0)}:{key}".encode()) / 2**64
        if place < self.shares["holdout"]:
            return "holdout"
        return "target" if place < self.shares["holdout"] + self.shares["target"] else "pool"

    def check(self, source: str) -> None:
        """UserError if most records were broken, or a split with a share stayed empty."""
        empty = [s for s, share in self.shares.items() if share > 1e-9 and not self.documents[s]]
        total, where = sum(self.documents.values()), f"corpora: {source}"
        if total or any(one.keys for one in self.account.breaks.values()):
            self.account.check("documents")
        if not total:
            message = f"no usable document: {self.account.told() or 'none found'}"
            raise UserError(message, where=where, hint="check the corpus and its options")
        if empty:
            share = f"{self.shares[empty[0]]:g}"
            message = f"its {total} documents leave the split {empty[0]} (share {share}) empty"
            raise UserError(message, where=where, hint="give more documents, or change the shares")


def unusable(text: str) -> str:
    """Why a text cannot be used; empty if it can."""
    if not text or text.isspace():
        return "empty"
    if "\0" in text:
        return "NUL byte"
    return "" if encodable(text) else "not UTF-8"


def encodable(value: Any) -> bool:
    """Whether no text in a value, at any depth, has lone surrogates: of undecodable bytes, or
    escaped in JSON."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return False
    elif isinstance(value, dict):
        return all(encodable(key) and encodable(one) for key, one in value.items())
    elif isinstance(value, list | tuple):
        return all(map(encodable, value))
    return True


def _key(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest())
