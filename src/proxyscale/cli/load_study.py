"""Which kind of study a config describes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from proxyscale.base.errors import UserError, UserErrors
from proxyscale.study.language_study import LanguageStudy
from proxyscale.study.models_study import ModelsStudy
from proxyscale.study.own_runs_study import OwnRunsStudy
from proxyscale.vision.study import ImageStudy

FAMILIES = ("language", "resnet")


def known(family: str) -> str:
    """The family of models, if there is one of that name; else UserError."""
    if family not in FAMILIES:
        raise UserError(f"is {family!r}", where="model.family", value=family, allowed=FAMILIES)
    return family


@contextlib.contextmanager
def config_of(files: Iterable[str]) -> Iterator[None]:
    """While what these config files say is checked: mistakes are told with their names."""
    try:
        yield
    except UserError as error:
        errors = error.errors if isinstance(error, UserErrors) else [error]
        raise UserErrors(errors, ", ".join(map(str, files))) from None


def load(raw: Mapping[str, Any]) -> LanguageStudy | OwnRunsStudy | ModelsStudy | ImageStudy:
    """The study that a config describes: with a key `runs` or `models`, nothing is trained.

    UserErrors for all its mistakes.
    """
    model = raw.get("model")
    family = model.get("family", "language") if isinstance(model, Mapping) else "language"
    if known(str(family)) == "resnet":
        return ImageStudy.load(raw)
    if "models" in raw:
        return ModelsStudy.load(raw)
    return OwnRunsStudy.load(raw) if "runs" in raw else LanguageStudy.load(raw)
