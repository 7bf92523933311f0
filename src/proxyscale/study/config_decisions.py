"""The words of a config about decisions: what to propose, and the model that is foretold."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from proxyscale.study.config_types import Name, Positive, Strict
from proxyscale.tables.sizes import amount


def _amount(value: Any) -> Any:
    """7B, 7e9 and 7000000000 alike; YAML reads 7e9 as text."""
    if isinstance(value, bool):
        raise ValueError("a number is wanted, not a truth value")
    if not isinstance(value, str):
        return value
    number = amount(value)
    if math.isnan(number):
        raise ValueError("a number such as 7e9 or 7B is wanted")
    return number


Amount = Annotated[float, BeforeValidator(_amount), Field(gt=0, le=1e18, allow_inf_nan=False)]
Portion = Annotated[float, Field(ge=0, le=1)]


class Propose(Strict):
    """The mixture to train on: within which limits, and where it is to be trained."""

    scale: str | None = Field(
        None, description="the scale that trains what is proposed; default: the reference"
    )
    tokens: Amount | None = Field(
        None,
        description="tokens that the mixture is for; default: those of the scale, where it is "
        "trained here",
    )
    passes: Positive = Field(1.0, description="how often a token may be seen")
    available: dict[Name, Amount] = Field(
        default_factory=dict,
        description="tokens of each source; default: those of the pool, where there is one",
    )
    floors: dict[Name, Portion] = Field(default_factory=dict, description="least shares, by source")
    caps: dict[Name, Portion] = Field(default_factory=dict, description="largest shares")
    fixed: dict[Name, Portion] = Field(default_factory=dict, description="shares that stay")


class Forecast(Strict):
    """A model that is larger than any here: what is to be expected of the scales for it."""

    parameters: Amount = Field(description="all parameters: 7e9, 7B and 7000000000 alike")
    tokens: Amount = Field(description="training tokens")
