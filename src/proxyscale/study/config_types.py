"""Types of the values that a config may hold, and of its sections."""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from proxyscale.base.errors import UserError

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"
Name = Annotated[str, Field(pattern=NAME)]


def _no_truth(value: Any) -> Any:
    """YAML's `yes` and `true` are no numbers, although Python counts with them."""
    if isinstance(value, bool):
        raise ValueError("a number is wanted, not a truth value")
    return value


def _unique(values: list[Any]) -> list[Any]:
    doubled = [value for number, value in enumerate(values) if value in values[:number]]
    if doubled:
        raise ValueError(f"{doubled[0]!r} stands twice")
    return values


def checked(check: Callable[[Any], Any]) -> AfterValidator:
    """A type's own check, which raises UserError, as a check of the config."""

    def told(value: Any) -> Any:
        try:
            check(value)
        except UserError as error:
            raise ValueError(error.message) from None
        return value

    return AfterValidator(told)


NUMBER = BeforeValidator(_no_truth)
UNIQUE = AfterValidator(_unique)
Share = Annotated[float, NUMBER, Field(ge=0, lt=1)]
Count = Annotated[int, NUMBER, Field(gt=0, le=10**15)]
Few = Annotated[int, NUMBER, Field(gt=0, le=10_000)]  # of what is listed one by one
Positive = Annotated[float, NUMBER, Field(gt=0, le=1e18, allow_inf_nan=False)]
NonNegative = Annotated[float, NUMBER, Field(ge=0, le=1e18, allow_inf_nan=False)]
Seed = Annotated[int, NUMBER, Field(ge=0, lt=2**32)]
Seeds = Few | Annotated[list[Seed], Field(min_length=1, max_length=10_000), UNIQUE]
Role = Literal["grid", "proxy", "counterfactual", "selection"]


class Strict(BaseModel):
    """A section in which every key is known and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Open(Strict):
    """A section whose further keys are the options of a registered function."""

    model_config = ConfigDict(extra="allow", frozen=True)

    @property
    def options(self) -> dict[str, Any]:
        """The keys that belong to the function."""
        return dict(self.model_extra or {})


def optional(section: type[BaseModel]) -> dict[str, Any]:
    """A section's keys as those of a scale, which may leave out every one of them."""
    return {
        name: (
            typing.cast(Any, Annotated[(field.annotation, *field.metadata)]) | None
            if field.metadata
            else typing.cast(Any, field.annotation) | None,
            Field(None, description=field.description),
        )
        for name, field in section.model_fields.items()
        if name != "family"
    }
