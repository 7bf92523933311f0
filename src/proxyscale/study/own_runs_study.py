"""A study of runs that are there already, as rules and commands see it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar

import pyarrow as pa

from proxyscale.base.errors import UserError
from proxyscale.figures import registered  # noqa: F401 (it registers)
from proxyscale.registry import Facts
from proxyscale.study import own_runs_specs
from proxyscale.study.job_graph import Planned
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
            if not os.path.exists(path):
                yield UserError(f"no such file: {path}", where="runs")
        yield from style_mistakes(self.config.figures.style, self.figures)

    @property
    def table_files(self) -> dict[str, list[str]]:
        """Scale → its tables or folders; those named "" hold any."""
        table = self.config.runs.table
        given = table if isinstance(table, dict) else {"": table}
        return {scale: [p] if isinstance(p, str) else list(p) for scale, p in given.items()}

    @property
    def inputs(self) -> list[str]:
        """The files of the tables, and those in folders."""
        from proxyscale.tables.files import table_paths  # pyarrow takes a while to import

        return [
            file for paths in self.table_files.values() for p in paths for file in table_paths(p)
        ]

    @property
    def reading(self) -> str:
        return self.paths.reading

    @property
    def weights(self) -> str | None:
        return self.config.runs.weights.table if self.config.runs.weights else None

    @property
    def files(self) -> list[str]:
        """All tables that are read, and folders of them."""
        tables = [path for paths in self.table_files.values() for path in paths]
        return [*tables, *([self.weights] if self.weights else [])]

    @property
    def loss_rows(self) -> int:
        return sum(map(_size, self.files)) // ROW_BYTES

    @property
    def facts(self) -> Facts:
        runs = self.config.runs
        costs = [scale.tokens or scale.flops for scale in runs.scales.values()]
        named = runs.columns.tokens or runs.columns.flops or runs.tokens_per_parameter
        compute = named or (costs and all(costs))
        by_example = runs.columns.example is not None
        reads = READ | ({"proposal"} if self.weights else set())
        return Facts("language", reads, compute=bool(compute), examples=by_example)

    def findings(self, statistics: pa.Table) -> list[str]:
        from proxyscale.study import findings  # scipy takes half a second to import

        return findings.sentences(self.config, statistics)

    @property
    def rules(self) -> list[str]:
        return ["own_runs", "reporting", "report", "figures", *(["decisions"] * bool(self.weights))]

    def plan(self, planned: Sequence[Planned], cores: int, calibrate: Calibrate) -> str:
        raise UserError("this study reads runs that are there: it trains nothing", where="runs")


def _size(path: str) -> int:
    """Bytes of a file, or of all files below a folder."""
    if not os.path.isdir(path):
        return os.path.getsize(path)
    below = (os.path.join(at, name) for at, _, names in os.walk(path) for name in names)
    return sum(map(os.path.getsize, below))
