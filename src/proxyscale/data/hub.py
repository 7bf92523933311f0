"""Raw records of Hugging Face datasets at pinned commits, one at a time, in bounded memory."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from proxyscale.base.errors import UserError
from proxyscale.data.raw_record import Record
from proxyscale.data.records import pinned


def read_hub(repository: str, revision: str | None = None, **options: Any) -> Iterator[Record]:
    """Records of a Hugging Face dataset at a pinned commit; `options` as `open_hub` has them."""
    return HubPart(repository, open_hub(repository, revision, **options))()


def open_hub(
    repository: str,
    revision: str | None = None,
    config: str | None = None,
    split: str = "train",
    streaming: bool = True,
    data_dir: str | None = None,
    data_files: str | Sequence[str] | None = None,
) -> Any:
    """The rows of a Hugging Face dataset at a pinned commit, as the hub's client has them.

    `data_dir` and `data_files` are a folder and files (paths and globs) of the repository, where
    its own configurations and splits do not have them; files that are named are the split `train`.

    With `streaming` they are downloaded as they are read; without it the files are downloaded
    first, kept in the client's cache, and each compared with the checksum that the hub gives. Cut
    connections are taken up again by the client. UserError for all that it gives up on.
    """
    commit = pinned(revision, repository, "datasets/")
    with _told(repository):
        rows = _undecoded(
            _client().load_dataset(
                repository,
                name=config,
                data_dir=data_dir,
                data_files=data_files,
                split=split,
                revision=commit,
                streaming=streaming,
            )
        )
        if not streaming:
            _verify(repository, commit)
        return rows


def _client() -> Any:
    """The hub's client, which costs a CPU second and most studies never need, and with torch, which
    it would load beside its rows, three more."""
    import datasets

    datasets.config.TORCH_AVAILABLE = False
    return datasets


class HubPart:
    """Such rows, or one part of them out of `count`, for this process or another one."""

    def __new__(cls, *_: Any) -> HubPart:
        _client()  # before the rows, which come to another process after this object
        return super().__new__(cls)

    def __init__(self, repository: str, rows: Any, index: int = 0, count: int = 1) -> None:
        self.repository, self.rows, self.index, self.count = repository, rows, index, count

    def __call__(self) -> Iterator[Record]:
        """The records, called by their place in the part."""
        with _told(self.repository):
            part = self.rows if self.count == 1 else self.rows.shard(self.count, self.index)
            for number, row in enumerate(part):
                yield Record(f"{title(self.repository)}:{number}", row)


def title(repository: str) -> str:
    """What a repository's records are called by."""
    return Path(repository).name


def files_of(rows: Any) -> int:
    """Files that such rows lie in: the parts that they can be read in."""
    return max(1, rows.num_shards if hasattr(rows, "num_shards") else len(rows.cache_files))


@contextlib.contextmanager
def _told(repository: str) -> Iterator[None]:
    """What the client gives up on as a mistake of the user's."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # the client and what it stands on raise a dozen families of them
        told = str(error).partition("\n")[0] or type(error).__name__
        hint = "is the hub up, the commit right, the dataset open to you? What came stays cached"
        where = f"hub: {repository}"
        raise UserError(f"cannot be read: {told}", where=where, hint=hint) from None


def _undecoded(rows: Any) -> Any:
    """The rows with images as the bytes of their files: a broken one must not end the rest."""
    datasets = _client()
    for name, feature in (rows.features or {}).items():
        if isinstance(feature, datasets.Image):
            rows = rows.cast_column(name, datasets.Image(decode=False))
    return rows


def _verify(repository: str, commit: str) -> None:
    """UserError if a downloaded file is not what the hub keeps under its sha256 sum.

    The client's cache names the file of a large object by that sum, and compares no more than its
    length.
    """
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    cache = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type="dataset")
    for file in (cache / "snapshots" / commit).rglob("*"):
        blob = file.resolve()
        if not re.fullmatch(r"[0-9a-f]{64}", blob.name):
            continue
        check_sum(file, blob.name, f"hub: {repository}")


def check_sum(file: Path, sum256: str, where: str) -> None:
    """UserError if a file that the hub gave has another sha256 sum than the hub says."""
    with file.open("rb") as data:
        if hashlib.file_digest(data, "sha256").hexdigest() != sum256:
            message = f"{file.name} is damaged: its checksum is not the hub's"
            hint = f"delete {file.resolve()} and run again"
            raise UserError(message, where=where, hint=hint)
