"""The families of models: each has its words, and a study of its own kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxyscale.base.errors import UserError
from proxyscale.study.outside_study import OwnRunsStudy, load_study
from proxyscale.study.study import Study
from proxyscale.vision.study import ImageStudy

FAMILIES = ("language", "resnet")


def known(family: str) -> str:
    """The family, if there is one of that name; else UserError."""
    if family not in FAMILIES:
        raise UserError(f"is {family!r}", where="model.family", value=family, allowed=FAMILIES)
    return family


def load(raw: Mapping[str, Any]) -> Study | OwnRunsStudy | ImageStudy:
    """The study that a config describes, of whatever family. UserErrors for all its mistakes."""
    model = raw.get("model")
    family = model.get("family", "language") if isinstance(model, Mapping) else "language"
    return ImageStudy.load(raw) if known(str(family)) == "resnet" else load_study(raw)
