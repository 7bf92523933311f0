"""A study of runs that are there already, as rules and commands see it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar

import pyarrow as pa

from proxyscale.base.errors import UserError
from proxyscale.figures import registered  # noqa: F401 (it registers)
from proxyscale.registry import Facts
from proxyscale.study import own_runs_specs
from proxyscale.study.option_checks import style_mistakes
from proxyscale.study.own_runs_config import OwnRuns
from proxyscale.study.study import READ, Calibrate, Study

ROW_BYTES = 20  # of a table of losses, about


@dataclass(frozen=True)
class OwnRunsStudy(Study[OwnRuns]):
    """A checked config of own runs and what follows from it."""

    form = OwnRuns
    specs: ClassVar[ModuleType] = own_runs_specs

    def mistakes(self) -> Iterator[UserError]:
        for path in self.files:
            if not os.path.isfile(path):
                yield UserError(f"no such file: {path}", where="runs")
        yield from style_mistakes(self.config.figures.style, self.figures)

    @property
    def table_files(self) -> dict[str, str]:
        """Scale → its table; one named "" holds them all."""
        table = self.config.runs.table
        return {"": table} if isinstance(table, str) else dict(table)

    @property
    def weights(self) -> str | None:
        return self.config.runs.weights.table if self.config.runs.weights else None

    @property
    def files(self) -> list[str]:
        """All tables that are read."""
        return [*self.table_files.values(), *([self.weights] if self.weights else [])]

    @property
    def loss_rows(self) -> int:
        return sum(os.path.getsize(path) for path in self.files) // ROW_BYTES

    @property
    def facts(self) -> Facts:
        runs = self.config.runs
        costs = [scale.tokens for scale in runs.scales.values()]
        compute = runs.columns.tokens or runs.tokens_per_parameter or (costs and all(costs))
        by_example = runs.columns.example is not None
        return Facts("language", READ, compute=bool(compute), examples=by_example)

    def findings(self, statistics: pa.Table) -> list[str]:
        from proxyscale.study import findings  # scipy takes half a second to import

        return findings.sentences(self.config, statistics)

    @property
    def rules(self) -> list[str]:
        return ["own_runs", "reporting", "figures", *(["decisions"] * bool(self.weights))]

    def plan(self, configfile: str | None, cores: int, calibrate: Calibrate) -> str:
        raise UserError("this study reads runs that are there: it trains nothing", where="runs")
