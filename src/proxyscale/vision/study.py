"""A study of image models, as rules and commands see it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar

import pyarrow as pa

from proxyscale.base.errors import UserError, UserErrors
from proxyscale.base.progress import aligned, cheaper
from proxyscale.data.records import listed
from proxyscale.registry import Facts
from proxyscale.study import field_checks
from proxyscale.study.job_graph import Planned
from proxyscale.study.machine_rates import MachineRates
from proxyscale.study.option_checks import corpus_kind, style_mistakes
from proxyscale.study.plan import rule_rows, time_told
from proxyscale.study.plan_jobs import by_rule, disk, here
from proxyscale.study.study import Calibrate, plugin_files
from proxyscale.vision import cross_checks, specs
from proxyscale.vision.config import ImageConfig
from proxyscale.vision.corpora import image_corpus
from proxyscale.vision.figures import registered  # noqa: F401 (it registers)
from proxyscale.vision.job_times import ImageTimes
from proxyscale.vision.needs import ImageNeeds
from proxyscale.vision.plan import ImageEstimate, measured_speed, told_images
from proxyscale.vision.runs import ImageRuns

TABLES = ("tab15", "tab16")
RULES = ("common", "data", "selection", "training", "attribution", "reporting")
READ = frozenset({"statistics", "losses", "runs", "images", "scores"})  # by figures


@dataclass(frozen=True)
class ImageStudy(ImageRuns):
    """What the ensembles of a study show, and how its jobs are made."""

    form = ImageConfig
    specs: ClassVar[ModuleType] = specs
    verbs: ClassVar[tuple[str, ...]] = ("vision.verbs", "cli.table_verbs", "cli.decision_verbs")

    def mistakes(self) -> Iterator[UserError]:
        yield from list(cross_checks.mistakes(self.config)) or style_mistakes(
            self.config.figures.style, self.figures
        )

    def check_inputs(self) -> None:
        """UserErrors with every pattern of images that matches no file, and every source of which
        none of the first images can be used."""
        found: list[UserError] = []
        for name, source in self.config.sources.items():
            if corpus_kind(source, image_corpus) != "files":
                continue
            missing = [
                UserError(f"no file matches {pattern!r}", where=f"sources.{name}.files")
                for pattern in listed(source.options["files"])
                if not self.local_files.of(pattern) and not self.local_files.below(pattern)
            ]
            images = image_corpus["files"](**source.options)
            found += missing or field_checks.unusable(f"sources.{name}", images)
        if found:
            raise UserErrors(found)

    @property
    def facts(self) -> Facts:
        return Facts(
            "resnet",
            READ,
            answers=True,
            tasks=len(self.config.tasks),
            models=max(self.config.attribution.trak.models),
            counterfactuals=self.config.counterfactuals is not None,
        )

    @property
    def tables(self) -> list[str]:
        return list(TABLES)

    @property
    def report_pictures(self) -> dict[str, str]:
        shown = [name for name in self.figures if name.startswith("influence_")]
        return {name: f"{self.paths.figure(name)}.svg" for name in shown}

    def findings(self, statistics: pa.Table) -> list[str]:
        """LDS through the narrowest width and through the reference itself, for the first task."""
        group = f"trak/{max(self.config.attribution.trak.models)}"
        task, narrowest = next(iter(self.config.tasks)), next(iter(self.scales))
        found = {
            row["proxy"]: row
            for row in statistics.to_pylist()
            if (row["statistic"], row["group"], row["task"]) == ("lds", group, task)
        }
        cheap, dear = found[narrowest], found[self.config.reference]
        return [
            f"Scores from {narrowest} foretell {self.config.reference} on {cheap['n']} subsets "
            f"with LDS {cheap['value']:.2f}, {cheaper(cheap['compute_ratio'])}, "
            f"its own with {dear['value']:.2f}; "
            f"a perfect predictor would reach {dear['ceiling']:.2f}."
        ]

    @property
    def rules(self) -> list[str]:
        return [*(f"vision/{name}" for name in RULES), "report", "figures"]

    def plugins(self, rule: str, name: str) -> list[str]:
        if rule != "image_corpus":
            return super().plugins(rule, name)
        kind = corpus_kind(self.config.sources[name], image_corpus)
        return plugin_files(self.config.plugins, image_corpus, kind)

    def needs(self, unnamed: str = "cpu") -> ImageNeeds:
        return ImageNeeds(self, unnamed)

    def plan(self, planned: Sequence[Planned], cores: int, calibrate: Calibrate) -> str:
        needs = self.needs(here())
        if needs.times.device.gpu:
            rows, sums = by_rule(planned, needs)
        else:
            rates = MachineRates()
            speed = measured_speed(self, rates)
            times = ImageTimes(self, needs.times.device, speed, rates.matrices)
            estimate = ImageEstimate(planned, times, rates.text)
            rows, sums = aligned(rule_rows(estimate)), [time_told(estimate, cores)]
        return "\n".join([told_images(self), "", *rows, "", disk(planned, needs), *sums])
