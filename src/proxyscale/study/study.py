"""A study as the rules see it: its runs, and for every job the slice of the config it depends on.

A slice is a canonical JSON string with the job's own words and nothing that cannot change its
result, so that key order, threads, folders and other jobs' settings make nothing stale.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from proxyscale import registry
from proxyscale.base.artifacts import read_json, write_json
from proxyscale.base.digest import code_digest
from proxyscale.base.errors import UserError, UserErrors
from proxyscale.base.paths import Paths
from proxyscale.data.records import listed, matching, stamp
from proxyscale.study import (
    check,
    registered,  # noqa: F401
)
from proxyscale.study.config import Config, Reading, parse
from proxyscale.study.proxy_selection import SUBSETS, Selected, selections
from proxyscale.study.scales import ResolvedScale, resolve

# The modules whose meaning each rule's result depends on.
CODE = {
    "corpus": ("data.corpora",),
    "tokenizer": ("data.tokenizer",),
    "pack": ("data.pool",),
    "pool": ("data.pool",),
    "task": ("data.tasks", "data.task_kinds", "data.builtin_tasks"),
    "select": ("selection.select",),
    "features": ("attribution.language_scores",),
    "score": ("attribution.language_scores",),
    "compare_scores": ("attribution.agreement",),
    "composition": ("selection.composition",),
    "effects": ("selection.composition",),
    "train-native": ("training.native",),
    "train-llm-foundry": ("training.llm_foundry", "training.llm_foundry_worker"),
    "evaluate": ("training.evaluate",),
    "collect": ("statistics.collect",),
    "statistics": ("statistics.all_statistics",),
    "figure": ("figures.draw",),
    "gains": ("statistics.selection_gains",),
    "gains_figure": ("figures.selection_gains",),
    "table": ("figures.cost_tables",),
    "own_runs": ("statistics.loss_tables",),
    "mixtures": ("selection.mixture_weights",),
    "report": ("reporting.report",),
}

FIGURES = (
    "correlation_fig1",
    "compute_fig2",
    "histogram_fig5",
    "correlation_fig12",
    "histogram_fig13",
    "frontier",
)
MIXTURES = ("mixture", "dirichlet")  # methods that vary the shares of sources
# What figures read besides the statistics, the losses and the runs.
READ = {
    "accuracy_fig3": "tasks",
    "examples_fig4": "tasks",
    "prompts_fig18": "tasks",
    "prompts_fig19": "tasks",
    "curves_fig21": "curves",
    "influence_fig24": "influence",
    "influence_fig25": "influence",
    "influence_fig26": "influence",
    "agreement_fig29": "agreement",
}
# A correlation over fewer distributions says nothing, and single examples have none.
FEWEST = 3
PER_EXAMPLE = frozenset({"histogram_fig5", "histogram_fig13", "examples_fig4"})
TABLES = ("tab9", "tab10", "tab11", "tab20")


def local_files(patterns: str | list[str] | None) -> list[str]:
    """Files that paths and globs name now."""
    return sorted({str(path) for pattern in listed(patterns or ()) for path in matching(pattern)})


def claim(results: str, name: str, write: bool) -> None:
    """Refuse a results folder that belongs to another study; with `write`, claim it."""
    mark = Path(results) / "study.json"
    if mark.exists() and read_json(mark)["study"] != name:
        raise UserError(
            f"{results} holds the study {read_json(mark)['study']!r}, not {name!r}",
            where="results",
            hint="give each study a folder of its own",
        )
    if write:
        write_json(mark, {"study": name})


class Run(NamedTuple):
    """One model to train."""

    scale: str
    distribution: str
    draw: int
    seed: int


class Scoring(NamedTuple):
    """Scores for a task, of some candidates, by models of a scale and a distribution."""

    scale: str
    distribution: str
    candidates: str  # how many, or `all`, and of which sources: see `candidates_name`
    task: str


def candidates_name(count: int | None, sources: Sequence[str] | None) -> str:
    """Candidates as a part of a path: `12000`, `all`, `12000@c4+wiki`."""
    return f"{count or 'all'}" + (f"@{'+'.join(sorted(sources))}" if sources else "")


def candidates_named(name: str) -> tuple[int | None, list[str] | None]:
    """Their number (None: all) and sources (None: all) from `candidates_name`."""
    count, _, sources = name.partition("@")
    return None if count == "all" else int(count), sources.split("+") if sources else None


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal meanings give equal strings."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True)
class Readable:
    """A checked config, as far as its losses are read: what every study has."""

    config: Reading

    @property
    def paths(self) -> Paths:
        return Paths(self.config.results)

    @property
    def figures(self) -> list[str]:
        """The figures that this study has."""
        return list(FIGURES)

    def style_mistakes(self) -> Iterator[UserError]:
        """Styles of figures that the study does not have."""
        for name in self.config.figures.style:
            if name not in self.figures:
                message = f"no figure is named {name!r}"
                yield UserError(message, where="figures.style", value=name, allowed=self.figures)

    def claim_results(self, write: bool = False) -> None:
        """Refuse a results folder that belongs to another study; with `write`, claim it."""
        claim(self.config.results, self.config.study, write)

    def code(self, rule: str) -> str:
        """Digest of the code that a rule's result depends on."""
        return "off" if self.config.code == "off" else code_digest(*CODE[rule])

    def statistics(self) -> str:
        """The slice of `statistics`."""
        return canonical(self.statistics_words())

    def statistics_words(self) -> dict[str, Any]:
        return {
            "reference": self.config.reference,
            "groups": self.config.groups,
            "confidence": self.config.confidence,
        }

    def figure(self, name: str) -> str:
        """The slice of a figure."""
        return canonical(self.figure_words(name))

    def figure_words(self, name: str) -> dict[str, Any]:
        return {
            "figure": name,
            "reference": self.config.reference,
            "proxy": self.config.figures.proxy,
            "style": self.config.figures.style.get(name, {}),
        }

    @property
    def tables(self) -> list[str]:
        """The tables that this study has: none of what was not trained here."""
        return []

    @property
    def weights(self) -> str | None:
        """A file of mixture weights, if the study has one."""
        return None

    @property
    def installed(self) -> set[str]:
        """Distributions whose files are corpora."""
        return set()

    @property
    def loss_rows(self) -> int:
        """About how many losses the study reads: one of every example of every run."""
        return 0

    def report(self) -> str:
        """The slice of `report`: what it shows, and the config as it was written."""
        return canonical(self.report_words())

    def report_words(self) -> dict[str, Any]:
        shown = self.figure_words("correlation_fig1")
        config = self.config.model_dump(mode="json", exclude_unset=True)
        return {
            "study": self.config.study,
            "config": config,
            # canonical JSON sorts keys; the order of the tasks is that of panels
            "order": {key: list(config[key]) for key in ("tasks",) if key in config},
            "level": self.config.trust,
            "confidence": self.config.confidence,
            "reference": self.config.reference,
            "proxy": shown["proxy"],
            "style": shown["style"],
        }


@dataclass(frozen=True)
class Study(Readable):
    """A study that is trained here, and what follows from its config."""

    config: Config

    @classmethod
    def load(cls, raw: Mapping[str, Any]) -> Study:
        """Parse and cross-check. UserErrors with every mistake found."""
        plugins = raw.get("plugins")
        if isinstance(plugins, list):
            registry.load_plugins(str(plugin) for plugin in plugins)
        config = parse(raw)
        study = cls(config)
        found = [*check.mistakes(config)] or [*study.style_mistakes()]
        if found:
            raise UserErrors(found)
        return study

    @functools.cached_property
    def scales(self) -> dict[str, ResolvedScale]:
        """Every scale, from the cheapest to the dearest."""
        found = [resolve(self.config, name) for name in self.config.scales]
        return {scale.name: scale for scale in sorted(found, key=lambda scale: scale.flops)}

    def report_words(self) -> dict[str, Any]:
        words = super().report_words()
        written = words["config"]["distributions"]
        generated = {selected.name for selected in self.selected} | {SUBSETS}
        kept = {name: entry for name, entry in written.items() if name not in generated}
        return words | {"config": words["config"] | {"distributions": kept}}

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
        """Every run of the grid."""
        return [
            Run(scale, name, draw, seed)
            for scale in self.compared
            for name in self.grid
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

    def scoring(self, distribution: str) -> Scoring | None:
        """The scores that a distribution is selected by, if its method reads any."""
        entry = self.config.distributions[distribution]
        if not (entry.scored_on and entry.scale and entry.task):
            return None
        candidates = entry.candidates or self.config.selection.candidates
        named = candidates_name(candidates, entry.candidate_sources)
        return Scoring(entry.scale, entry.scored_on, named, entry.task)

    @property
    def scorings(self) -> list[Scoring]:
        """All scores that distributions are selected by."""
        found = [self.scoring(name) for name in self.config.distributions]
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
        pairs = dict.fromkeys(scoring[:2] for scoring in self.scorings)
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
    def features_logs(self) -> list[tuple[str, str]]:
        """Scales, and the logs of the jobs that take features of the pool by their models."""
        return [
            (scoring.scale, self.paths.log(f"features/{folder}/{scoring.candidates}"))
            for scoring in dict.fromkeys(scoring._replace(task="") for scoring in self.scorings)
            for run in self.models(scoring.scale, scoring.distribution)
            for folder in [f"{run.scale}/{run.distribution}/{run.draw}-{run.seed}"]
        ]

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
    def sources(self) -> list[str]:
        """All sources, in an order that does not hang on the file's: the examples' ids do on it."""
        return sorted(self.config.sources)

    @property
    def installed(self) -> set[str]:
        named = (source.options.get("installed", []) for source in self.config.sources.values())
        return {name for given in named for name in listed(given) if name != "stdlib"}

    @property
    def loss_rows(self) -> int:
        return len(self.runs) * sum(task.examples for task in self.config.tasks.values())

    def task_sources(self, task: str) -> list[str]:
        """Sources whose held-out documents a task is made of."""
        sources = self.config.tasks[task].sources
        return self.sources if sources == "all" else list(sources or [])

    def source_stamp(self, source: str) -> str:
        """The local files that a source is read from, told by a stamp."""
        return stamp(self.config.sources[source].options.get("files"))

    def record_stamp(self, task: str) -> str:
        """The local files that a task's records are read from, told by a stamp."""
        records = self.config.tasks[task].records
        return " ".join(stamp(part.files) for part in (records.parts.values() if records else ()))

    def tokenizer_sources(self) -> list[str]:
        """Sources that the tokenizer is trained on: none if it is not trained here."""
        return self.sources if self.config.tokenizer.train else []

    def tokenizer_stamp(self) -> str:
        """The local tokenizer.json that the study uses, if it uses one, told by a stamp."""
        return stamp(self.config.tokenizer.file)

    @property
    def figures(self) -> list[str]:
        """The figures that this study has, as far as its config tells."""
        tasks, compare = self.config.tasks.values(), self.config.attribution.compare
        found = [*super().figures, "examples_fig4", "prompts_fig18", "curves_fig21"]
        found += ["accuracy_fig3"] * any(task.kind != "text" for task in tasks)
        found += ["prompts_fig19"] * (len(tasks) > 1)
        found += ["selection_fig8"] * (self.config.proxy_selection is not None)
        if compare:
            found += [f"influence_fig{24 + i}" for i in range(min(3, len(compare.tasks)))]
            found.append("agreement_fig29")
        few = len(self.grid) < FEWEST
        return [name for name in found if not (few and name in PER_EXAMPLE)]

    @property
    def tables(self) -> list[str]:
        """The tables that this study has."""
        return [*TABLES, "composition", *(["effects"] * bool(self.chosen_for and self.baseline))]

    def plugins(self, rule: str, name: str) -> list[str]:
        """The plugin files that a job runs: the one that defines the function it calls, if any."""
        if rule == "corpus":
            functions, word = registry.corpus, check.corpus_kind(self.config.sources[name])
        elif rule == "task":
            functions, word = registry.task, self.config.tasks[name].kind
        else:
            functions, word = registry.selection, self.config.distributions[name].method
        file = functions.file(word or "")
        return [path for path in self.config.plugins if Path(path).resolve() == file]

    def code(self, rule: str, name: str | None = None) -> str:
        """Digest of the code that a job's result depends on; `name` where plugins may do its work:
        of its source, task or distribution."""
        if self.config.code == "off":
            return "off"
        plugins = self.plugins(rule, name) if name else []
        return code_digest(*CODE[rule], plugins=tuple(plugins))

    def corpus(self, source: str) -> str:
        """The slice of `corpus`."""
        entry = self.config.sources[source]
        fields = [name for name in type(entry).model_fields if name != "shards"]
        own = {name: getattr(entry, name) for name in fields}
        kind = check.corpus_kind(entry)
        return canonical({"kind": kind, "options": entry.options, "seed": self.config.seed, **own})

    def tokenizer(self) -> str:
        """The slice of `tokenizer`."""
        return canonical(self.config.tokenizer.model_dump(exclude_none=True))

    @property
    def packs(self) -> list[tuple[str, int]]:
        """Source and shard of every pack of the pool, in its order."""
        shards = {name: range(entry.shards) for name, entry in self.config.sources.items()}
        return [(source, shard) for source in self.sources for shard in shards[source]]

    def pack(self, source: str, shard: int) -> str:
        """The slice of `pack`."""
        shards = self.config.sources[source].shards
        own = {"source": source, "length": self.config.pool.length}
        return canonical({**own, "shard": shard, "shards": shards})

    def task(self, task: str) -> str:
        """The slice of `task`."""
        entry = self.config.tasks[task]
        own = {name: getattr(entry, name) for name in type(entry).model_fields}
        own["sources"] = self.task_sources(task)
        own["records"] = entry.records.model_dump(exclude_none=True) if entry.records else None
        common = {"length": self.config.pool.length, "seed": self.config.seed}
        return canonical({**own, "options": entry.options, **common})

    def select(self, distribution: str) -> str:
        """The slice of `select`."""
        entry = self.config.distributions[distribution]
        defaults = self.config.selection
        return canonical(
            {
                "name": distribution,
                "method": entry.method,
                "options": entry.options,
                "size": entry.size or defaults.size,
                "candidates": entry.candidates or defaults.candidates,
                "candidate_sources": entry.candidate_sources,
                "draws": self.draws(distribution),
                "noise": entry.noise,
                "repeat": entry.repeat,
                "seed": self.config.seed,
            }
        )

    def features(self, candidates: str) -> str:
        """The slice of `features`."""
        count, sources = candidates_named(candidates)
        return canonical(
            {
                "candidates": count,
                "candidate_sources": sources,
                "dimension": self.config.attribution.dimension,
                "seed": self.config.seed,
            }
        )

    def score(self) -> str:
        """The slice of `score`."""
        return canonical({"ridge": self.config.attribution.ridge})

    def train(self, scale: str, distribution: str, draw: int, seed: int) -> str:
        """The slice of `train`."""
        resolved = self.scales[scale]
        tokens = self.tokens(scale, distribution)
        return canonical(
            {
                "family": resolved.model["family"],
                "model": {k: v for k, v in resolved.model.items() if k != "family"},
                "training": {**resolved.training, "tokens": tokens},
                "draw": draw,
                "seed": seed,
            }
        )

    def engine(self, scale: str) -> str:
        """The rule, as `code` knows it, by which a scale is trained."""
        return f"train-{self.scales[scale].training['engine']}"

    def execution(self, scale: str) -> str:
        """How a scale's runs are executed: no part of a slice, since no result depends on it."""
        return canonical(self.scales[scale].execution)

    def collect(self, runs: Sequence[Run]) -> str:
        """The slice of `collect`: the runs, in a form that stays small."""
        keys: dict[str, dict[str, list[str]]] = {}
        for run in runs:
            realized = keys.setdefault(run.scale, {}).setdefault(run.distribution, [])
            realized.append(f"{run.draw}-{run.seed}")
        named = {run.distribution for run in runs}
        roles = {n: entry.role for n, entry in self.config.distributions.items() if n in named}
        return canonical({"runs": keys, "roles": roles, "tasks": list(self.config.tasks)})

    @property
    def selection_scorings(self) -> list[Scoring]:
        """The scores of all candidates by the proxies of Figure 8."""
        found = [self.scoring(selected.name) for selected in self.selected]
        return list(dict.fromkeys(scoring for scoring in found if scoring))

    def gains(self) -> str:
        """The slice of `gains`: what was selected, and which scores it was selected by."""
        section = self.config.proxy_selection
        assert section is not None
        results = self.config.results
        scores = {
            selected.name: os.path.relpath(self.paths.scores(*scoring), results)
            for selected in self.selected
            if (scoring := self.scoring(selected.name))
        }
        whole = self.scales[section.reference].flops
        relative = {name: self.scales[name].flops / whole for name in section.proxies}
        return canonical(
            {
                "selected": [selected._asdict() for selected in self.selected],
                "reference": section.reference,
                "relative_compute": relative,
                "scores": scores,
                "confidence": self.config.confidence,
            }
        )

    def gains_figure(self) -> str:
        """The slice of `gains_figure`."""
        section = self.config.proxy_selection
        assert section is not None
        style = self.config.figures.style.get("selection_fig8", {})
        return canonical({"reference": section.reference, "style": style})

    def statistics_words(self) -> dict[str, Any]:
        groups = {
            name: [member for part in parts for member in self.config.family(part)]
            for name, parts in self.config.groups.items()
        }
        weights = {"weights": {"columns": "*", "recipe": "recipe"}} if self.weights else {}
        return super().statistics_words() | {"groups": groups} | weights

    @property
    def weights(self) -> str | None:
        """The file of every distribution's shares of the sources, where they were varied."""
        methods = [self.config.distributions[name].method for name in self.grid]
        varied = any(method in MIXTURES for method in methods)
        return self.paths.mixtures if varied and len(methods) > len(self.config.sources) else None

    def figure_words(self, name: str) -> dict[str, Any]:
        return super().figure_words(name) | {
            "proxy": self.figure_proxy,
            "smallest": self.proxies[0],
        }

    def effects(self) -> str:
        """The slice of `effects`."""
        return canonical(
            {
                "selected": self.chosen_for,
                "baseline": self.baseline,
                "confidence": self.config.confidence,
            }
        )

    def table(self, name: str) -> str:
        """The slice of a table: what the scales are and cost."""
        counts = [candidates_named(scoring.candidates)[0] or 0 for scoring in self.scorings]
        return canonical(
            {
                "table": name,
                "study": self.config.study,
                "scales": [
                    {
                        "scale": scale.name,
                        "model": scale.model,
                        "training": scale.training,
                        "parameters": scale.parameters,
                        "tokens": scale.tokens,
                        "length": scale.length,
                    }
                    for scale in self.scales.values()
                ],
                "attribution": {
                    "dimension": self.config.attribution.dimension,
                    "candidates": max(counts, default=None) if all(counts) else None,
                    "targets": self.targets,
                    "models": self.config.attribution.models,
                },
            }
        )
