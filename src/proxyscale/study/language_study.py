"""A study whose language models are trained here, as rules and commands see it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar

import pyarrow as pa

from proxyscale import registry
from proxyscale.base.errors import UserError
from proxyscale.registry import Facts
from proxyscale.study import (
    builtin_functions,  # noqa: F401 (it registers)
    cross_checks,
    demands,
    input_checks,
    language_specs,
    plan,
)
from proxyscale.study.config import Config
from proxyscale.study.job_graph import Planned
from proxyscale.study.job_times import Estimate, calibrated
from proxyscale.study.language_needs import LanguageNeeds
from proxyscale.study.language_runs import LanguageRuns
from proxyscale.study.machine_rates import MachineRates
from proxyscale.study.option_checks import corpus_kind, style_mistakes
from proxyscale.study.plan_jobs import by_rule, here
from proxyscale.study.study import READ, Calibrate, canonical, plugin_files

TABLES = ("tab9", "tab10", "tab11", "tab20")
RULES = (
    *("data", "tasks", "selection", "attribution", "training"),
    *("tables", "reporting", "report", "figures"),
)
# A correlation over fewer distributions says nothing, and single examples have none.
FEWEST = 3


@dataclass(frozen=True)
class LanguageStudy(LanguageRuns):
    """What the runs of a study show, and how its jobs are made."""

    form = Config
    specs: ClassVar[ModuleType] = language_specs

    def mistakes(self) -> Iterator[UserError]:
        yield from list(cross_checks.mistakes(self.config)) or style_mistakes(
            self.config.figures.style, self.figures
        )

    @property
    def facts(self) -> Facts:
        tasks, compared = self.config.tasks.values(), self.compared_tasks
        reads = {"asked", "curves", *(["agreement", "influence"] if compared else [])}
        reads |= {"gains"} if self.config.proxy_selection else set()
        reads |= {"proposal"} if self.weights else set()
        return Facts(
            "language",
            READ | reads,
            examples=len(self.grid) >= FEWEST,
            answers=any(task.kind != "text" for task in tasks),
            tasks=len(tasks),
            compared_tasks=len(compared),
        )

    @property
    def tables(self) -> list[str]:
        return [*TABLES, "composition", *(["effects"] * bool(self.chosen_for and self.baseline))]

    @property
    def report_tables(self) -> dict[str, str]:
        shown: dict[str, str] = {n: n for n in ("composition", "effects") if n in self.tables}
        shown |= {"selection": "selection"} if self.config.proxy_selection else {}
        return {name: self.paths.table(table) for name, table in shown.items()}

    @property
    def features_logs(self) -> list[tuple[str, str]]:
        """Scales, and the logs of the jobs that took all features of a model, each alone."""
        return [
            (kind.scale, self.paths.log("features/{}/{}/{}-{}/".format(*run) + kind.candidates))
            for kind in dict.fromkeys(scoring._replace(task="") for scoring in self.scorings)
            for run in self.models(*kind[:2])
            if not self.feature_shards(kind.candidates)
        ]

    @property
    def mixed(self) -> list[str]:
        """The distributions whose shares of the sources are told: the grid's and the extra ones."""
        return list(dict.fromkeys([*self.grid, *(run.distribution for run in self.runs)]))

    @property
    def decisions(self) -> list[str]:
        """The same; the next runs are planned where nothing is mixed, too."""
        return super().decisions or [self.paths.next_steps]

    @property
    def pool(self) -> str:
        return self.paths.pool

    @property
    def rivals(self) -> list[str]:
        return list(self.config.rivals)

    @property
    def checkpoint_losses(self) -> str | None:
        return self.paths.checkpoints if self.config.checkpoints else None

    def findings(self, statistics: pa.Table) -> list[str]:
        from proxyscale.study import findings  # scipy takes half a second to import

        return findings.sentences(self.config, statistics)

    @property
    def rules(self) -> list[str]:
        more = ["proxy_selection"] * (self.config.proxy_selection is not None)
        more += ["rivals"] * bool(self.rivals) + ["checkpoints"] * bool(self.config.checkpoints)
        return [*RULES, *more, "decisions"]

    def named_modules(self, rule: str, name: str) -> list[str]:
        """The engine that trains a scale, or what draws a figure."""
        if rule != "train":
            return super().named_modules(rule, name)
        engine = self.scales[name].training["engine"]
        if isinstance(engine, dict):
            return [f"training.{registry.COMMANDED}"]
        return [f"training.{engine.replace('-', '_')}"] if engine in registry.ENGINES else []

    def plugins(self, rule: str, name: str) -> list[str]:
        if rule == "corpus":
            called = registry.corpus, corpus_kind(self.config.sources[name])
        elif rule == "items":
            called = registry.task, self.config.tasks[name].kind
        elif rule == "select":
            called = registry.selection, self.config.distributions[name].method
        elif rule in ("train", "evaluate", "features", "feature_shard", "candidate_losses"):
            model = self.scales[name].model
            called = registry.architecture, model["architecture"] if "options" in model else None
        else:
            return super().plugins(rule, name)
        files = plugin_files(self.config.plugins, *called)
        engine = self.scales[name].training["engine"] if rule == "train" else None
        if isinstance(engine, str) and engine not in registry.ENGINES:
            own = plugin_files(self.config.plugins, registry.engine, engine)
            files += [file for file in own if file not in files]
        return files

    def needs(self, unnamed: str = "cpu") -> LanguageNeeds:
        return LanguageNeeds(self, unnamed)

    def wanted(self, source: str) -> int:
        """Different examples that are asked of a source alone."""
        return demands.wanted(self, source)

    @property
    def demands(self) -> str:
        """What distributions ask of sources; no part of a slice, since the pool is what it is."""
        return canonical(demands.demands(self))

    def plan(self, planned: Sequence[Planned], cores: int, calibrate: Calibrate) -> str:
        rates, short = MachineRates(), calibrated(self)

        def seconds(name: str) -> float | None:
            scale = self.scales[name]
            if not short or scale.training["engine"] not in registry.ENGINES:
                return None
            nearest = self.scales[name if name in short else short[-1]]
            took = rates.training(nearest.model, nearest.training, calibrate)
            return took * scale.flops / nearest.flops

        needs, jobs = self.needs(here()), [one.job for one in planned]
        if not needs.most_gpus().gpus:
            estimate = Estimate(self, jobs, seconds, text=rates.text, matrices=rates.matrices)
            return plan.told(self, estimate, cores)
        needs.learn(jobs)
        return plan.told_with(self, needs.estimate, *by_rule(planned, needs))

    def check_inputs(self) -> None:
        input_checks.check_inputs(self)
