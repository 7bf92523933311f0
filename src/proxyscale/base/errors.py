"""Mistakes of the user, told so that they can be mended."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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

    def told(self) -> str:
        """The whole message: place, value, what is allowed, the nearest name, the hint."""
        parts = [f"{self.where}: {self.message}" if self.where else self.message]
        if self.allowed:
            near = difflib.get_close_matches(str(self.value), self.allowed, n=1, cutoff=0.6)
            if near:
                parts.append(f"did you mean {near[0]!r}?")
            shown = ", ".join(self.allowed[:20]) + (", …" if len(self.allowed) > 20 else "")
            parts.append(f"allowed: {shown}")
        if self.hint:
            parts.append(f"hint: {self.hint}")
        return "\n  ".join(parts)


class UserErrors(UserError):
    """All mistakes found in one reading, so that they can be mended in one sitting."""

    def __init__(self, errors: Iterable[UserError]) -> None:
        self.errors = list(errors)
        count = len(self.errors)
        head = f"{count} mistake{'s' if count != 1 else ''}"
        super().__init__("\n".join([head, *(f"- {error.told()}" for error in self.errors)]))
