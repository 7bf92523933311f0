"""What every kind of study offers to rules and commands, whoever trained its models.

`LanguageStudy` trains language models here, `OwnRunsStudy` reads runs that are there already,
`vision.study.ImageStudy` trains image models. What a job depends on, besides files, reaches it as
two strings: `spec`, the job's own slice of the config, and `code`, a digest of what does its work.
"""

from __future__ import annotations

import functools
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Generic, Self, TypeVar

import pyarrow as pa

from proxyscale import registry
from proxyscale.base.artifacts import read_json, write_json
from proxyscale.base.digest import code_digest, defining
from proxyscale.base.errors import UserError, UserErrors
from proxyscale.base.paths import NAME, Paths
from proxyscale.base.seals import intact
from proxyscale.data.records import Files
from proxyscale.study import common_checks
from proxyscale.study.config import StudyConfig
from proxyscale.study.job_graph import Planned
from proxyscale.study.needs import Needs
from proxyscale.study.validation import validated

READ = frozenset({"statistics", "losses", "runs"})  # by figures, of every study

Words = dict[str, Any]  # a slice of a config, as JSON writes it
Calibrate = Callable[[Mapping[str, Any], Mapping[str, Any]], float]
C = TypeVar("C", bound=StudyConfig, covariant=True)


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal meanings give equal strings."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def plugin_files(
    paths: Iterable[str], functions: registry.Registry | registry.Figures, word: str | None
) -> list[str]:
    """Those of the plugin files that define a function: one, or none if it is proxyscale's own."""
    if word is None:
        return []
    file = functions.file(word)
    return [path for path in paths if Path(path).resolve() == file]


@dataclass(frozen=True)
class Study(ABC, Generic[C]):
    """A checked config and what follows from it."""

    config: C

    form: ClassVar[type[Any]]  # what its config may say
    specs: ClassVar[ModuleType]  # a function for every rule: what its jobs depend on
    # the modules of its verbs
    verbs: ClassVar[tuple[str, ...]] = ("cli.verbs", "cli.table_verbs", "cli.decision_verbs")

    @classmethod
    def load(cls, raw: Mapping[str, Any]) -> Self:
        """Parse and cross-check. UserErrors with every mistake found."""
        plugins = raw.get("plugins")
        if isinstance(plugins, list):
            registry.load_plugins(str(plugin) for plugin in plugins)
        study = cls(validated(cls.form, raw))
        found = [*common_checks.mistakes(study.config), *study.mistakes()]
        if found:
            raise UserErrors(found)
        return study

    @abstractmethod
    def mistakes(self) -> Iterator[UserError]:
        """What the parts of the config are not to each other."""

    @property
    def paths(self) -> Paths:
        """Where everything lies."""
        return Paths(self.config.results)

    # What it shows.

    @property
    @abstractmethod
    def facts(self) -> registry.Facts:
        """What figures can show of it, as far as its config tells."""

    @property
    def figures(self) -> list[str]:
        """The figures that this study has, as far as its config tells; first the main one."""
        return registry.figure.of(self.facts)

    @property
    def tables(self) -> list[str]:
        """The tables that this study has: none of what was not trained here."""
        return []

    @property
    def report_tables(self) -> dict[str, str]:
        """The CSV that its report shows, by what they tell."""
        return {}

    @property
    def report_pictures(self) -> dict[str, str]:
        """The figures that its report shows as they are printed, by name."""
        names = [name for name in self.figures if registry.figure[name].reads == ("proposal",)]
        return {name: f"{self.paths.figure(name)}.svg" for name in names}

    @property
    def products(self) -> list[str]:
        """Every file that is made for its own sake."""
        kinds = ("pdf", "svg", "csv")
        figures = [f"{self.paths.figure(name)}.{kind}" for name in self.figures for kind in kinds]
        tables = [self.paths.table(name) for name in self.tables]
        decided = [f"{stem}.{kind}" for stem in self.decisions for kind in ("json", "yaml", "csv")]
        return [*figures, *tables, self.paths.statistics, *decided, self.paths.report]

    @property
    def decisions(self) -> list[str]:
        """Stems of the files that say what to train: a mixture, where mixtures were varied, and the
        next runs, where compute is known."""
        planned = [self.paths.next_steps] * self.facts.compute
        return [self.paths.proposal, *planned] if self.weights else []

    @property
    def made(self) -> list[str]:
        """The files that it may have in its results folder itself, and its tables."""
        paths = self.paths
        gained = any("gains" in registry.figure[name].reads for name in self.figures)
        return [
            *self.products,
            *(paths.losses, paths.runs, paths.mixtures),
            *([paths.checkpoints, paths.reading] if self.reading else []),
            *([paths.gains] if gained else []),
            *(f"{paths.results}/study.{kind}" for kind in ("json", "yaml")),
        ]

    @abstractmethod
    def findings(self, statistics: pa.Table) -> list[str]:
        """What the statistics say, in a sentence or two."""

    # What its jobs do.

    @property
    @abstractmethod
    def rules(self) -> list[str]:
        """The files below `rules/` that make it."""

    def words(self, rule: str, *names: Any) -> Words:
        """What a job of a rule depends on, besides files; `names` say which of its jobs."""
        found: Words = getattr(self.specs, rule)(self, *names)
        return found

    def spec(self, rule: str, *names: Any) -> str:
        """The same as canonical JSON, as the job gets it."""
        return canonical(self.words(rule, *names))

    def code(self, rule: str, name: str | None = None) -> str:
        """Digest of the code that a job's result depends on: its verb, and all that this imports.

        `name` says which of the rule's jobs, where these do not call the same code.
        """
        if self.config.code == "off":
            return "off"
        named = self.named_modules(rule, name) if name else []
        plugins = self.plugins(rule, name) if name else []
        return code_digest(defining(rule, self.verbs), *named, plugins=tuple(plugins))

    def named_modules(self, rule: str, name: str) -> list[str]:
        """Modules that a job calls because of its name, below the package: what draws a figure."""
        drawn = rule == "figure" and not self.plugins(rule, name)
        return [registry.figure[name].module] if drawn else []

    def plugins(self, rule: str, name: str) -> list[str]:
        """The plugin files that a job runs: the one that defines the function it calls, if any."""
        return plugin_files(self.config.plugins, registry.figure, name) if rule == "figure" else []

    # What it takes.

    @abstractmethod
    def plan(self, planned: Sequence[Planned], cores: int, calibrate: Calibrate) -> str:
        """What its jobs will do and what that will cost, for people.

        UserError if that cannot be told.
        """

    def needs(self, unnamed: str = "cpu") -> Needs:
        """What its jobs ask for, where `auto` stands for the device `unnamed`."""
        return Needs(self, unnamed)

    @functools.cached_property
    def local_files(self) -> Files:
        """The local files that it reads, as they are when they are first looked for."""
        return Files()

    def check_inputs(self) -> None:
        """UserErrors with every file that is missing, unreadable or too small."""
        return None

    def claim_results(self, write: bool = False) -> None:
        """Refuse a results folder that belongs to another study; with `write`, claim it."""
        results, name = self.config.results, self.config.study
        mark = Path(results) / NAME
        if intact(mark) and read_json(mark)["study"] != name:
            raise UserError(
                f"{results} holds the study {read_json(mark)['study']!r}, not {name!r}",
                where="results",
                hint="give each study a folder of its own",
            )
        if write:
            write_json(mark, {"study": name})

    @property
    def tasks(self) -> list[str]:
        """Test sets that are built here."""
        return []

    @property
    def pool(self) -> str | None:
        """The manifest of the pool, if the study has one."""
        return None

    @property
    def weights(self) -> str | None:
        """A file of mixture weights, if the study has one."""
        return None

    @property
    def rivals(self) -> list[str]:
        """What trains nothing and is compared with the proxies."""
        return []

    @property
    def checkpoint_losses(self) -> str | None:
        """The file of what runs lost at shares of their way, where some were kept."""
        return None

    @property
    def reading(self) -> str | None:
        """The file that tells how tables from outside were read, if there are any."""
        return None

    @property
    def installed(self) -> set[str]:
        """Distributions whose files are corpora."""
        return set()

    @property
    def loss_rows(self) -> int:
        """About how many losses the study reads: one of every example of every run."""
        return 0

    @property
    def run_manifests(self) -> list[str]:
        """What vouches for the runs that its statistics are of, as far as they are single files."""
        return []
