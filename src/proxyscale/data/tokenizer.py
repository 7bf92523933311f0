"""Where tokenizers come from: trained on the pool's text, a local file, the hub."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.base.paths import expand
from proxyscale.data.documents import read_documents
from proxyscale.data.packing import END
from proxyscale.data.records import pinned
from proxyscale.data.tokens import CHUNK, knows_all, parse


def build_tokenizer(out: Path, corpora: dict[str, Path], spec: dict[str, Any]) -> None:
    """Write a tokenizer.json: trained on the pool's documents, a local one or the hub's.

    `spec`: `{train: bpe, vocabulary, sample_bytes}`, `{file}` or `{hub, revision}`; with the latter
    two `pad_vocabulary_to` rounds the vocabulary up to a size of one's own.
    """
    if "train" in spec:
        tokenizer = _train(corpora, spec["vocabulary"], spec.get("sample_bytes", 10_000_000))
        size = spec["vocabulary"]
    else:
        hub = "hub" in spec
        path = _download(spec["hub"], spec.get("revision")) if hub else expand(spec["file"])
        tokenizer = _whole(Path(path))
        if not knows_all(tokenizer):
            message = "this tokenizer has no token for text that it does not know"
            raise UserError(message, where=str(path), hint="name its unk_token")
        size = spec.get("pad_vocabulary_to") or 0
    if tokenizer.token_to_id(END) is None:
        tokenizer.add_special_tokens([END])
    _pad(tokenizer, size)
    artifacts.write_json(out, json.loads(tokenizer.to_str()))


def _train(corpora: dict[str, Path], vocabulary: int, sample_bytes: int) -> Tokenizer:
    """Byte-level BPE (Radford et al. 2019, section 2.2) on equal parts of every source."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    if vocabulary <= len(alphabet):
        message = f"a byte-level vocabulary needs more than {len(alphabet)} entries"
        raise UserError(message, where="tokenizer.vocabulary", value=vocabulary)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    share = sample_bytes // len(corpora)
    texts = (text for corpus in corpora.values() for text in _sample(corpus, share))
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _sample(corpus: Path, size: int) -> Iterator[str]:
    for _, text in read_documents(corpus, "pool"):
        yield from _parts(text)
        size -= len(text.encode())
        if size <= 0:
            return


def _parts(text: str) -> Iterator[str]:
    """A long text in parts, cut before white space that follows a word."""
    start = 0
    while len(text) - start > CHUNK:
        part = text[start : start + CHUNK + 1]
        ends = [match.end() for match in re.finditer(r"\S(?=[ \t\r\n])", part[-1024:])]
        cut = len(part) - len(part[-1024:]) + ends[-1] if ends else len(part) - 1
        yield part[:cut]
        start += cut
    yield text[start:]


def _download(repository: str, revision: str | None) -> str:
    commit = pinned(revision, repository)
    from huggingface_hub import hf_hub_download

    try:
        return hf_hub_download(repository, "tokenizer.json", revision=commit)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be read: {error}", where=f"tokenizer: {repository}") from None


def _whole(path: Path) -> Tokenizer:
    """A tokenizer whose ids have no hole, so that their number is their bound.

    The library gives a new token the number of the known ones as its id, which in a vocabulary with
    holes is somebody else's. Holes are filled with tokens that no text has; no id changes.
    """
    told = artifacts.foreign_json(path)
    try:
        words, added = told["model"]["vocab"], told.get("added_tokens") or []
        if isinstance(words, dict):
            known = set(words.values()) | {token["id"] for token in added}
            holes = set(range(max(known, default=-1) + 1)) - known
            if holes:
                for token in added:
                    words.setdefault(token["content"], token["id"])
                words |= {f"<|hole{number}|>": number for number in sorted(holes)}
    except (KeyError, TypeError, AttributeError):
        raise UserError("not a tokenizer.json", where=str(path)) from None
    return parse(json.dumps(told), path)


def _pad(tokenizer: Tokenizer, size: int) -> None:
    """Fill the vocabulary up to `size` with tokens that no text has."""
    known = tokenizer.get_vocab_size()
    if size and size < known:
        message = f"the tokenizer has {known} entries already"
        raise UserError(message, where="tokenizer.pad_vocabulary_to", value=size)
    tokenizer.add_special_tokens([f"<|unused{i}|>" for i in range(known, size)])
