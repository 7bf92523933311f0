"""The files of a published model: found in a folder, or fetched from the Hugging Face hub.

Weights are safetensors; pickles are read where they are asked for, and code of a repository never.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from proxyscale.base.errors import UserError
from proxyscale.base.paths import expand
from proxyscale.data.hub import check_sum

WEIGHTS = {
    "safetensors": ("model.safetensors", "model-*.safetensors", "model.safetensors.index.json"),
    "bin": ("pytorch_model.bin", "pytorch_model-*.bin", "pytorch_model.bin.index.json"),
}
# What a tokenizer is read from: one of these, and what may lie beside it.
TOKENIZER = ("tokenizer.json", "vocab.json", "vocab.txt", "*.model", "merges.txt")
BESIDE = (
    *("config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    "tokenizer.model*",
)


class ModelFiles(NamedTuple):
    """A folder of a model's files, and the commit that they are of, if they are the hub's."""

    folder: Path
    commit: str | None


def fetched(
    hub: str, revision: str | None, weights: str | None, into: Path | None = None
) -> ModelFiles:
    """The files of a repository of the hub at a revision (default: main), checked by their sums.

    `weights` is a key of `WEIGHTS`, or None where only the tokenizer is wanted. They lie in the
    client's cache, or below `into`. UserError for all that the hub does not give.
    """
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download
    from huggingface_hub.errors import OfflineModeIsEnabled

    where = f"hub: {hub}" + (f"@{revision}" if revision else "")
    try:
        try:
            told = HfApi().model_info(hub, revision=revision or "main", files_metadata=True)
        except OfflineModeIsEnabled:
            folder = Path(snapshot_download(hub, revision=revision, local_files_only=True))
            chosen([file.name for file in folder.iterdir()], weights, where)
            return ModelFiles(folder, folder.name)
        if told.id and told.id.casefold() != hub.casefold():
            raise UserError(f"is called {told.id} now", where=where, hint=f"name it {told.id}")
        files = {one.rfilename: one for one in told.siblings or ()}
        wanted = chosen(files, weights, where)
        for name in wanted:
            file = Path(hf_hub_download(hub, name, revision=told.sha, local_dir=into))
            _verify(file, files[name], where)
    except UserError:
        raise
    except Exception as error:  # the client and what it stands on raise a dozen families of them
        raise refused(error, where) from None
    return ModelFiles(file.parent, told.sha)


def held(folder: str, weights: str | None) -> ModelFiles:
    """The files of a folder. UserError if there is none, or no weights of that kind."""
    path = Path(expand(folder))
    if not path.is_dir():
        raise UserError(f"no such folder: {folder}", where="models.folder")
    chosen([file.name for file in path.iterdir()], weights, folder)
    return ModelFiles(path, None)


def chosen(names: Iterable[str], weights: str | None, where: str) -> list[str]:
    """The files of a repository that are read. UserError if its weights cannot be."""
    names = list(names)
    found = list(_matching(names, (*BESIDE, *TOKENIZER)))
    if weights is None:
        return found
    mine = list(_matching(names, WEIGHTS[weights]))
    if not mine:
        other = "bin" if weights == "safetensors" else "safetensors"
        if list(_matching(names, WEIGHTS[other])):
            told = {
                "bin": "has no safetensors, only pytorch_model.bin: a pickle, which may run code",
                "safetensors": "has no pytorch_model.bin, only safetensors",
            }[other]
            hint = f"weights: {other}"
            if other == "bin":
                hint += " reads it by torch.load(weights_only=True)"
            raise UserError(told, where=where, hint=hint)
        message = f"has no weights: neither {WEIGHTS['safetensors'][0]} nor its shards"
        raise UserError(message, where=where, value=weights)
    if "config.json" not in names:
        raise UserError("has no config.json: not a model in Hugging Face's form", where=where)
    return found + mine


def has_tokenizer(folder: Path) -> bool:
    """Whether a tokenizer can be read from a folder."""
    return any(_matching([file.name for file in folder.iterdir()], TOKENIZER))


def _matching(names: Iterable[str], patterns: Iterable[str]) -> Iterator[str]:
    """Names at the top of a repository that one of the patterns fits."""
    patterns = tuple(patterns)
    for name in names:
        if "/" not in name and any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            yield name


def refused(error: Exception, where: str) -> UserError:
    """What the hub's client raised, in one line."""
    from huggingface_hub import errors

    told, hint = f"cannot be read: {str(error).partition(chr(10))[0] or type(error).__name__}", None
    if isinstance(error, errors.GatedRepoError):
        told = "is gated: its terms must be accepted"
        hint = "accept them on its page and log in (`hf auth login`), or set HF_TOKEN"
    elif isinstance(error, errors.RevisionNotFoundError):
        told = "has no such revision"
        hint = "its branches and tags stand on its page under `Files`"
    elif isinstance(error, errors.RepositoryNotFoundError):
        told = "no such repository, or it is private"
        hint = "check its name; of a private one HF_TOKEN must be set"
    else:
        hint = "is the hub up? What came stays cached"
    return UserError(told, where=where, hint=hint)


def _verify(file: Path, told: Any, where: str) -> None:
    """UserError if a file is not what the hub keeps under its sha256 sum."""
    sum256 = getattr(told.lfs, "sha256", None) if told.lfs else None
    if sum256 and re.fullmatch(r"[0-9a-f]{64}", sum256):
        check_sum(file, sum256, where)
