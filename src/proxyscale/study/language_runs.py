"""What a language study trains: its runs, the draws and scores that these need, and what they read.

All of it follows from the config; nothing is read but the names of files.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from proxyscale import registry
from proxyscale.data.records import listed
from proxyscale.study import extra
from proxyscale.study.config import Config
from proxyscale.study.proxy_selection import Selected, selections
from proxyscale.study.scales import ResolvedScale, resolve
from proxyscale.study.study import Study

MIXTURES = ("mixture", "dirichlet")  # methods that vary the shares of sources


class Run(NamedTuple):
    """One model to train."""

    scale: str
    distribution: str
    draw: int
    seed: int


class Scoring(NamedTuple):
    """What models of a scale and a distribution say of some candidates, for a task or for none."""

    scale: str
    distribution: str
    candidates: str  # how many, or `all`, and of which sources: see `candidates_name`
    task: str  # empty: for none


def candidates_name(count: int | None, sources: Sequence[str] | None) -> str:
    """Candidates as a part of a path: `12000`, `all`, `12000@c4+wiki`."""
    return f"{count or 'all'}" + (f"@{'+'.join(sorted(sources))}" if sources else "")


def candidates_named(name: str) -> tuple[int | None, list[str] | None]:
    """Their number (None: all) and sources (None: all) from `candidates_name`."""
    count, _, sources = name.partition("@")
    return None if count == "all" else int(count), sources.split("+") if sources else None


@dataclass(frozen=True)
class LanguageRuns(Study[Config]):
    """The runs of a checked config, their scales and scores, and the files they begin with."""

    @functools.cached_property
    def scales(self) -> dict[str, ResolvedScale]:
        """Every scale, from the cheapest to the dearest."""
        found = [resolve(self.config, name) for name in self.config.scales]
        return {scale.name: scale for scale in sorted(found, key=lambda scale: scale.flops)}

    @property
    def compared(self) -> list[str]:
        """The scales of the comparison, cheapest first."""
        return [name for name in self.scales if self.config.scales[name].grid]

    @property
    def proxies(self) -> list[str]:
        """All scales of the comparison but the reference, cheapest first."""
        return [name for name in self.compared if name != self.config.reference]

    @property
    def grid(self) -> list[str]:
        """The distributions that are compared."""
        return [n for n, d in self.config.distributions.items() if d.role == "grid"]

    @functools.cached_property
    def runs(self) -> list[Run]:
        """Every run of the grid, then the extra ones."""
        cells = [(scale, name) for scale in self.compared for name in self.grid]
        return [
            Run(scale, name, draw, seed)
            for scale, name in [*cells, *extra.cells(self.config, self.compared, self.grid)]
            for draw in range(self.draws(name))
            for seed in self.scales[scale].seeds
        ]

    @property
    def selected(self) -> list[Selected]:
        """The selections of Figure 8."""
        section = self.config.proxy_selection
        return list(selections(section)) if section else []

    @property
    def selection_runs(self) -> list[Run]:
        """The runs on selections: a seed each, and a draw of its own where the method is noisy."""
        section = self.config.proxy_selection
        return [
            Run(section.reference, selected.name, seed if selected.noisy else 0, seed)
            for selected in self.selected
            if section
            for seed in range(section.seeds)
        ]

    @property
    def figure_proxy(self) -> str:
        """The proxy of Figures 1, 4 and 5: named, or the one nearest to 1/175 of the compute."""
        if self.config.figures.proxy:
            return self.config.figures.proxy
        goal = self.scales[self.config.reference].flops / 175
        return min(
            self.proxies,
            key=lambda name: max(self.scales[name].flops / goal, goal / self.scales[name].flops),
        )

    def draws(self, distribution: str) -> int:
        return self.config.distributions[distribution].draws or self.config.selection.draws

    def scoring(self, distribution: str, need: str = "scores") -> Scoring | None:
        """What models say of the candidates of a distribution, if its method needs it: `scores` for
        its task, or `losses`, which are for no task."""
        entry = self.config.distributions[distribution]
        if need not in registry.selection.needs(entry.method).reads:
            return None
        assert entry.scale is not None
        assert entry.scored_on is not None
        candidates = entry.candidates or self.config.selection.candidates
        named = candidates_name(candidates, entry.candidate_sources)
        task = entry.task if need == "scores" else None
        return Scoring(entry.scale, entry.scored_on, named, task or "")

    @property
    def scorings(self) -> list[Scoring]:
        """All scores that distributions are selected by."""
        found = [self.scoring(name) for name in self.config.distributions]
        return list(dict.fromkeys(scoring for scoring in found if scoring))

    @property
    def candidate_losses(self) -> list[Scoring]:
        """All losses of candidates that distributions are selected by."""
        found = [self.scoring(name, "losses") for name in self.config.distributions]
        return list(dict.fromkeys(scoring for scoring in found if scoring))

    @property
    def scored_tasks(self) -> list[str]:
        """The tasks that pool examples are scored for."""
        compare = self.config.attribution.compare
        wanted = {scoring.task for scoring in self.scorings} | set(compare.tasks if compare else ())
        return [task for task in self.config.tasks if task in wanted]

    @property
    def targets(self) -> int:
        """Most target examples of a task that pool examples are scored for (else, of any)."""
        named = self.scored_tasks or self.config.tasks
        return max(self.config.tasks[task].target_examples for task in named)

    def models(self, scale: str, distribution: str) -> list[Run]:
        """The runs whose scores are averaged: one of every draw, then those of the next seed.

        As many as `attribution.models` says, and one of every draw at least.
        """
        runs = [
            Run(scale, distribution, draw, seed)
            for seed in self.scales[scale].seeds
            for draw in range(self.draws(distribution))
        ]
        return runs[: max(self.config.attribution.models, self.draws(distribution))]

    @functools.cached_property
    def scoring_runs(self) -> list[Run]:
        """The runs that score pool examples; those of no grid distribution are trained for it."""
        asked = [*self.scorings, *self.candidate_losses]
        pairs = dict.fromkeys(scoring[:2] for scoring in asked)
        return [run for pair in pairs for run in self.models(*pair)]

    @property
    def side_by_side(self) -> dict[str, list[Run]]:
        """By scale, cheapest first, the runs whose scores are held side by side: two, if there are.

        Two models of one scale tell how much of a disagreement is the models' own noise.
        """
        compare = self.config.attribution.compare
        if compare is None:
            return {}
        mine = [run for run in self.runs if run.distribution == compare.scored_on]
        return {name: [run for run in mine if run.scale == name][:2] for name in self.compared}

    @property
    def compared_tasks(self) -> list[str]:
        """The tasks that scales' scores are held side by side for."""
        compare = self.config.attribution.compare
        return list(compare.tasks) if compare else []

    @property
    def sample(self) -> str:
        """How many candidates these scores are of."""
        compare = self.config.attribution.compare
        return str(compare.sample) if compare else "all"

    def feature_shards(self, candidates: str) -> range:
        """The jobs that share the features of candidates; none if one job makes them all."""
        shards = self.config.attribution.shards
        shared = shards > 1 and candidates in {s.candidates for s in self.scorings}
        return range(shards if shared else 0)

    @property
    def chosen_for(self) -> dict[str, str]:
        """Distributions of the grid that are selected for a task, and the task."""
        entries = self.config.distributions
        return {name: task for name in self.grid if (task := entries[name].task)}

    @property
    def baseline(self) -> str | None:
        """The random distribution that selected ones are held against."""
        entries = self.config.distributions
        return next((name for name in self.grid if entries[name].method == "random"), None)

    @property
    def trained(self) -> list[Run]:
        """Every run that this study trains."""
        return list(dict.fromkeys([*self.runs, *self.scoring_runs, *self.selection_runs]))

    def tokens(self, scale: str, distribution: str) -> int:
        """The token budget of a run: the scale's, or so many epochs over the distribution."""
        entry, resolved = self.config.distributions[distribution], self.scales[scale]
        if entry.epochs is None:
            return resolved.tokens
        size = entry.size or self.config.selection.size
        return resolved.steps(entry.epochs * size * resolved.length)

    @property
    def selection_scorings(self) -> list[Scoring]:
        """The scores of all candidates by the proxies of Figure 8."""
        found = [self.scoring(selected.name) for selected in self.selected]
        return list(dict.fromkeys(scoring for scoring in found if scoring))

    @property
    def sources(self) -> list[str]:
        """All sources, in an order that does not hang on the file's: the examples' ids do on it."""
        return sorted(self.config.sources)

    @property
    def packs(self) -> list[tuple[str, int]]:
        """Source and shard of every pack of the pool, in its order."""
        shards = {name: range(entry.shards) for name, entry in self.config.sources.items()}
        return [(source, shard) for source in self.sources for shard in shards[source]]

    def task_sources(self, task: str) -> list[str]:
        """Sources whose held-out documents a task is made of."""
        sources = self.config.tasks[task].sources
        return self.sources if sources == "all" else list(sources or [])

    def source_stamp(self, source: str) -> str:
        """The local files that a source is read from, told by a stamp."""
        return self.local_files.stamp(self.config.sources[source].options.get("files"))

    def record_stamp(self, task: str) -> str:
        """The local files that a task's records are read from, told by a stamp."""
        return " ".join(map(self.local_files.stamp, self.config.tasks[task].record_files))

    def tokenizer_sources(self) -> list[str]:
        """Sources that the tokenizer is trained on: none if it is not trained here."""
        return self.sources if self.config.tokenizer.train else []

    def tokenizer_stamp(self) -> str:
        """The local tokenizer.json that the study uses, if it uses one, told by a stamp."""
        return self.local_files.stamp(self.config.tokenizer.file)

    @property
    def installed(self) -> set[str]:
        named = (source.options.get("installed", []) for source in self.config.sources.values())
        return {name for given in named for name in listed(given) if name != "stdlib"}

    @property
    def tasks(self) -> list[str]:
        return list(self.config.tasks)

    @property
    def run_manifests(self) -> list[str]:
        return [f"{self.paths.run(*run)}/manifest.json" for run in self.runs]

    @property
    def loss_rows(self) -> int:
        kept = 1 + len(self.config.checkpoints)
        return kept * len(self.runs) * sum(task.examples for task in self.config.tasks.values())

    @property
    def weights(self) -> str | None:
        """The file of every distribution's shares of the sources, where they were varied."""
        methods = [self.config.distributions[name].method for name in self.grid]
        varied = any(method in MIXTURES for method in methods)
        return self.paths.mixtures if varied and len(methods) > len(self.config.sources) else None
