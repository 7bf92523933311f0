"""What a study trains besides its grid: distributions that single scales are told to train."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from proxyscale.base.errors import UserError
from proxyscale.study.config import Config
from proxyscale.study.option_checks import named


def cells(config: Config, scales: Sequence[str], grid: Sequence[str]) -> list[tuple[str, str]]:
    """Scales and distributions that are trained besides a grid of these."""
    found = [
        (scale, one)
        for name, named_scales in config.extra.items()
        for scale in named_scales
        for one in config.family(name)
    ]
    return [cell for cell in dict.fromkeys(found) if not (cell[0] in scales and cell[1] in grid)]


def mistakes(config: Config) -> Iterator[UserError]:
    """Names, of `extra` and of `propose`, that are none."""
    for name, scales in config.extra.items():
        if not config.family(name):
            yield from named("extra", name, config.distributions, "distribution")
        for scale in scales:
            yield from named(f"extra.{name}", scale, config.scales, "scale")
    yield from named("propose.scale", config.propose.scale, config.scales, "scale")
    for key in ("available", "floors", "caps", "fixed"):
        for source in getattr(config.propose, key):
            yield from named(f"propose.{key}", source, config.sources, "source")
