"""Jobs that make several files, and make those alone again that are missing or stale."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxyscale.base import artifacts, seals


class Vouching:
    """The files `folder`/{name}`suffix`, and what each was made of, in `folder`/manifest.json.

    `made_of` says what each would be made of now; `stale` are those that are not there, or were
    made of something else, or are other bytes than were written.
    """

    def __init__(self, folder: Path, suffix: str, made_of: Mapping[str, Mapping[str, Any]]) -> None:
        self.folder, self.made_of = folder, made_of
        self.record = folder / "manifest.json"
        self.known = artifacts.read_json(self.record) if seals.intact(self.record) else {}
        files = {name: folder / f"{name}{suffix}" for name in made_of}
        self.stale = [name for name, file in files.items() if not self._holds(name, file)]

    def _holds(self, name: str, file: Path) -> bool:
        return seals.intact(file) and self.known.get(name) == self._words(name, file)

    def _words(self, name: str, file: Path) -> dict[str, Any]:
        return {**self.made_of[name], "sha256": artifacts.sha256(file)}

    def made(self, name: str, file: Path) -> None:
        """Note that a file has been made."""
        self.known[name] = self._words(name, file)
        artifacts.write_json(self.record, self.known)


def restamp(folder: Path, old: str, new: str) -> None:
    """Have `folder`/manifest.json say that what code of the version `old` made, `new` did."""
    record = folder / "manifest.json"
    if not record.exists():
        return
    known = artifacts.read_json(record)
    for made_of in known.values():
        if isinstance(made_of, dict) and made_of.get("version") == old:
            made_of["version"] = new
    artifacts.write_json(record, known)
