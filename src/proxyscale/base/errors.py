"""Mistakes of the user, told so that they can be mended."""

from __future__ import annotations

import contextlib
import difflib
import errno
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

LISTED = 60  # names at most: keys are listed whole, the recipes of a large table are not
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class UserError(Exception):
    """Something the user can mend: shown without a traceback, exit code 2.

    `where` is a file, a config key or both ("config.yaml: scales.xs.width"); `allowed` lists the
    values that would do, from which the nearest name is offered; `hint` says what to try.
    """

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        value: object = None,
        allowed: Iterable[object] = (),
        hint: str | None = None,
    ) -> None:
        self.message = message
        self.where = where
        self.value = value
        self.allowed = [str(name) for name in allowed]
        self.hint = hint
        super().__init__(self.told())

    def __reduce__(self) -> tuple[Any, ...]:
        """As another process gets it: its words are made, and not to be made again."""
        return type(self).__new__, (type(self), *self.args), vars(self)

    def told(self) -> str:
        """The whole message: place, value, what is allowed, the nearest name, the hint."""
        parts = [f"{self.where}: {self.message}" if self.where else self.message]
        if self.allowed:
            near = difflib.get_close_matches(str(self.value), self.allowed, n=1, cutoff=0.6)
            if near:
                parts.append(f"did you mean {near[0]!r}?")
            shown = ", ".join(self.allowed[:LISTED]) + (", …" if self.allowed[LISTED:] else "")
            parts.append(f"allowed: {shown}")
        if self.hint:
            parts.append(f"hint: {self.hint}")
        return "\n  ".join(parts)


class UserErrors(UserError):
    """All mistakes found in one reading of a file, so that they can be mended in one sitting."""

    def __init__(self, errors: Iterable[UserError], file: str | None = None) -> None:
        self.errors = list(errors)
        count = len(self.errors)
        head = f"{file}: " if file else ""
        head += f"{count} mistake{'s' if count != 1 else ''}"
        super().__init__("\n".join([head, *(f"- {error.told()}" for error in self.errors)]))


class DiskFull(UserError):
    """There is no room for a file on the disk, or within a quota."""

    def __init__(self, path: str | Path) -> None:
        hint = "make room and run the same command again: it goes on"
        super().__init__("the disk is full", where=str(path), hint=hint)


# What safetensors and numpy say of a full disk, in words alone.
FULL_WORDS = re.compile(rf"os error {errno.ENOSPC}\)|^\d+ requested and \d+ written$")


def is_full(error: BaseException) -> bool:
    """Whether an error says that the disk is full."""
    return getattr(error, "errno", None) in FULL or bool(FULL_WORDS.search(str(error)))


@contextlib.contextmanager
def room(path: Path) -> Iterator[None]:
    """While a file is written: DiskFull with its name when there is no room for it."""
    try:
        yield
    except Exception as error:
        if isinstance(error, UserError) or not is_full(error):
            raise
        raise DiskFull(path) from None
