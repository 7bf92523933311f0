"""A study of runs that are there already, as the rules see it; and which kind a config is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proxyscale.base.errors import UserError, UserErrors
from proxyscale.study.outside_config import OwnRuns, parse_own_runs
from proxyscale.study.study import Readable, Study, canonical

COMPUTE = ("compute_fig2", "frontier")
ROW_BYTES = 20  # of a table of losses, about
BY_EXAMPLE = ("histogram_fig5", "histogram_fig13")


def load_study(raw: Mapping[str, Any]) -> Study | OwnRunsStudy:
    """A study of either kind: with a key `runs`, nothing is trained. UserErrors as they say."""
    return OwnRunsStudy.load(raw) if "runs" in raw else Study.load(raw)


@dataclass(frozen=True)
class OwnRunsStudy(Readable):
    """A checked config of own runs and what follows from it."""

    config: OwnRuns

    @classmethod
    def load(cls, raw: Mapping[str, Any]) -> OwnRunsStudy:
        """Parse and look for the tables. UserErrors with every mistake found."""
        study = cls(parse_own_runs(raw))
        missing = [path for path in study.files if not os.path.isfile(path)]
        found = [UserError(f"no such file: {path}", where="runs") for path in missing]
        found += study.style_mistakes()
        if found:
            raise UserErrors(found)
        return study

    @property
    def table_files(self) -> dict[str, str]:
        """Scale → its table; one named "" holds them all."""
        table = self.config.runs.table
        return {"": table} if isinstance(table, str) else dict(table)

    @property
    def weights(self) -> str | None:
        """The table of mixture weights, if there is one."""
        return self.config.runs.weights.table if self.config.runs.weights else None

    @property
    def files(self) -> list[str]:
        """All tables that are read."""
        return [*self.table_files.values(), *([self.weights] if self.weights else [])]

    @property
    def loss_rows(self) -> int:
        return sum(os.path.getsize(path) for path in self.files) // ROW_BYTES

    @property
    def figures(self) -> list[str]:
        """The figures that can be told to exist from the config alone."""
        runs = self.config.runs
        costs = [scale.tokens for scale in runs.scales.values()]
        compute = runs.columns.tokens or runs.tokens_per_parameter or (costs and all(costs))
        return possible(super().figures, bool(compute), runs.columns.example is not None)

    def own_runs(self) -> str:
        """The slice of `own_runs`."""
        return canonical(self.config.runs.model_dump(mode="json", exclude={"table", "weights"}))

    def statistics_words(self) -> dict[str, Any]:
        weights = self.config.runs.weights
        if weights is None:
            return super().statistics_words()
        recipe = weights.recipe or self.config.runs.columns.recipe
        return super().statistics_words() | {
            "weights": {"columns": weights.columns, "recipe": recipe}
        }

    def figure_words(self, name: str) -> dict[str, Any]:
        style = {"direction": self.config.runs.direction, "unit": None}
        words = super().figure_words(name)
        return words | {"style": style | words["style"]}


def possible(figures: Sequence[str], compute: bool, by_example: bool) -> list[str]:
    """The figures that losses allow, if their compute is known or not, by example or averaged."""
    left_out = (() if compute else COMPUTE) + (() if by_example else BY_EXAMPLE)
    return [name for name in figures if name not in left_out]
