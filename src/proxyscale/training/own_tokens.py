"""Items in the tokens of a model's own tokenizer, as lm-evaluation-harness has them.

A prompt and a choice are tokenized together, with the tokens at the beginning that the tokenizer
puts there by itself; where there is no prompt, the beginning of text stands before the choice, or
else its end. A token that the tokenizer puts at the end of a text is left out: these texts go on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.data.model_files import has_tokenizer
from proxyscale.training.hugging_face import transformers

PROBE = "a"  # a text by which a tokenizer shows what it puts around one
AT_ONCE = 1000  # texts


class Encoded(NamedTuple):
    """A task in tokens (kind task), and a digest of the tokens that are scored."""

    table: pa.Table
    digest: str


class OwnTokenizer:
    """A tokenizer of `transformers`, and what it puts around a text."""

    def __init__(self, folder: Path, where: str) -> None:
        """UserError if there is none, or one that knows nothing or has no beginning and no end."""
        hint = "name one: models: {tokenizer: {hub: NAME, revision: COMMIT}}, or {folder: PATH}"
        if not has_tokenizer(folder):
            raise UserError("has no tokenizer", where=where, hint=hint)
        try:
            self.own = transformers().AutoTokenizer.from_pretrained(
                folder, trust_remote_code=False, local_files_only=True
            )
        except Exception as error:  # as many kinds as there are tokenizers
            told = str(error).partition("\n")[0]
            raise UserError(
                f"its tokenizer cannot be read: {told}", where=where, hint=hint
            ) from None
        plain, whole = (self._ids([PROBE], special)[0] for special in (False, True))
        start = next(i for i in range(len(whole) + 1) if whole[i : i + len(plain)] == plain)
        self.ending = len(whole) - start - len(plain)
        first = self.own.bos_token_id
        self.prefix = self.own.eos_token_id if first is None else first
        if not plain or self.prefix is None:
            told = "knows no text" if not plain else "has no token for the beginning or end of text"
            raise UserError(f"its tokenizer {told}", where=where, hint=hint)
        self.begins: str = self.own.decode(self.prefix)

    def encoded(self, table: pa.Table, vocabulary: int, where: str) -> Encoded:
        """A task's rows in tokens. UserError for a token that the model does not have."""
        prompts, choices = (table[name].to_pylist() for name in ("prompt", "continuation"))
        contexts, scored = self._pairs(prompts, choices)
        highest = max(max(part, default=0) for part in (*contexts, *scored))
        if highest >= vocabulary:
            message = f"its tokenizer has a token {highest}, the model {vocabulary} of them"
            raise UserError(message, where=where, hint="is it the tokenizer of another model?")
        digest = hashlib.sha256()
        for ids in scored:
            digest.update(np.array([len(ids), *ids], np.uint32).tobytes())
        columns = {
            "tokens": [[*a, *b] for a, b in zip(contexts, scored, strict=True)],
            "scored_from": list(map(len, contexts)),
        }
        for name, values in columns.items():
            kind = artifacts.SCHEMAS["task"].field(name)
            place = table.column_names.index(name)
            table = table.set_column(place, kind, pa.array(values, kind.type))
        return Encoded(table, digest.hexdigest()[:16])

    def _pairs(
        self, prompts: Sequence[str], choices: Sequence[str]
    ) -> tuple[list[list[int]], list[list[int]]]:
        """What stands before each choice and what is scored, in tokens."""
        stems = [prompt.rstrip() for prompt in prompts]
        asked = [i for i, prompt in enumerate(prompts) if prompt]
        bare = [i for i, prompt in enumerate(prompts) if not prompt]
        contexts: list[list[int]] = [[] for _ in prompts]
        scored: list[list[int]] = [[] for _ in prompts]
        own = self._texts([stems[i] for i in asked])
        whole = self._texts([prompts[i] + choices[i] for i in asked])
        for i, before, both in zip(asked, own, whole, strict=True):
            contexts[i], scored[i] = before, both[len(before) :]
            if not scored[i]:  # prompt and choice have become as few tokens as the prompt
                pairs = enumerate(zip(before, both, strict=False))
                same = next((n for n, (a, b) in pairs if a != b), len(both) - 1)
                contexts[i], scored[i] = both[:same], both[same:]
            contexts[i] = contexts[i] or [self.prefix]
        for i, ids in zip(bare, self._ids([choices[i] for i in bare], False), strict=True):
            again = len(ids) > 1 and ids[0] == self.prefix
            contexts[i], scored[i] = [self.prefix], ids[1:] if again else ids
        return contexts, scored

    def _texts(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokens of texts as the tokenizer begins them, unless they begin so by themselves."""
        found: list[list[int]] = [[] for _ in texts]
        for special in (True, False):
            mine = [i for i, t in enumerate(texts) if t.startswith(self.begins) != special]
            for i, ids in zip(mine, self._ids([texts[i] for i in mine], special), strict=True):
                found[i] = ids[: len(ids) - self.ending] if special else ids
        return found

    def _ids(self, texts: Sequence[str], special: bool) -> list[list[int]]:
        found: list[list[int]] = []
        for start in range(0, len(texts), AT_ONCE):
            part = list(texts[start : start + AT_ONCE])
            options: dict[str, Any] = {"add_special_tokens": special, "verbose": False}
            found += self.own(part, **options)["input_ids"]
        return found
