"""What each job of a language study depends on: one function a rule, with the rule's name.

Each gives the job's own words of the config and nothing that cannot change its result, so that key
order, threads, folders and other jobs' settings make nothing stale.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from proxyscale import registry
from proxyscale.study import engine_checks, extra, reading_specs
from proxyscale.study.language_runs import LanguageRuns, Run, candidates_named
from proxyscale.study.option_checks import corpus_kind
from proxyscale.study.proxy_selection import SUBSETS
from proxyscale.study.study import Words

AFTERWARDS = ("overlap_window", "drop_context")  # keys of a task that its items do not depend on


def corpus(study: LanguageRuns, source: str) -> Words:
    """A source: its kind, options, splits and limits; how it is sharded is no part of its text."""
    entry = study.config.sources[source]
    fields = [name for name in type(entry).model_fields if name != "shards"]
    own = {name: getattr(entry, name) for name in fields}
    kind = corpus_kind(entry)
    return {"kind": kind, "options": entry.options, "seed": study.config.seed, **own}


def tokenizer(study: LanguageRuns) -> Words:
    """What it is trained on or where it lies."""
    return study.config.tokenizer.model_dump(exclude_none=True)


def pack(study: LanguageRuns, source: str, shard: int) -> Words:
    """One shard of a source, and the examples' length."""
    shards = study.config.sources[source].shards
    own = {"source": source, "length": study.config.pool.length}
    return {**own, "shard": shard, "shards": shards}


def items(study: LanguageRuns, task: str) -> Words:
    """A test set's items: their kind, its options, where its records come from, how many."""
    entry = study.config.tasks[task]
    fields = [name for name in type(entry).model_fields if name not in AFTERWARDS]
    own = {name: getattr(entry, name) for name in fields}
    own["sources"] = study.task_sources(task)
    own["records"] = entry.records.model_dump(exclude_none=True) if entry.records else None
    common = {"length": study.config.pool.length, "seed": study.config.seed}
    return {**own, "options": entry.options, **common}


def overlap(study: LanguageRuns, task: str) -> Words:
    """Words in a window of a task."""
    return {"window": study.config.tasks[task].overlap_window}


def task(study: LanguageRuns, task: str) -> Words:
    """A test set: how many of its items, and what of them is dropped for where else it stands."""
    entry = study.config.tasks[task]
    return {name: getattr(entry, name) for name in ("examples", "target_examples", *AFTERWARDS)}


def select(study: LanguageRuns, distribution: str) -> Words:
    """A distribution: its method, options, size and candidates."""
    entry = study.config.distributions[distribution]
    defaults = study.config.selection
    return {
        "name": distribution,
        "method": entry.method,
        "options": entry.options,
        "size": entry.size or defaults.size,
        "candidates": entry.candidates or defaults.candidates,
        "candidate_sources": entry.candidate_sources,
        "draws": study.draws(distribution),
        "noise": entry.noise,
        "repeat": entry.repeat,
        "seed": study.config.seed,
    }


def features(study: LanguageRuns, candidates: str) -> Words:
    """Which candidates are featurized, into how many numbers, and how, where that is said."""
    own = study.config.attribution
    shards = len(study.feature_shards(candidates))
    return {
        **candidate_losses(study, candidates),
        "dimension": own.dimension,
        **({"precision": own.precision} if own.precision != "fp32" else {}),
        **({"keep": own.keep} if own.keep != "fp32" else {}),
        **({"uncovered": own.uncovered} if own.uncovered != "error" else {}),
        **({"shards": shards} if shards else {}),
    }


def feature_shard(study: LanguageRuns, candidates: str, shard: int) -> Words:
    """The same of one of the jobs that share them."""
    return features(study, candidates) | {"shard": shard}


def candidate_losses(study: LanguageRuns, candidates: str) -> Words:
    """Which candidates are measured."""
    count, sources = candidates_named(candidates)
    return {"candidates": count, "candidate_sources": sources, "seed": study.config.seed}


def score(study: LanguageRuns) -> Words:
    """What is added to the kernel."""
    return {"ridge": study.config.attribution.ridge}


def train(study: LanguageRuns, scale: str, distribution: str, draw: int, seed: int) -> Words:
    """A run: its scale's model and training with nothing left to default, its draw and seed.

    What it keeps on its way and an order of its own are said where there are any.
    """
    resolved = study.scales[scale]
    tokens = study.tokens(scale, distribution)
    own = {"order": scale} if study.config.order == "independent" else {}
    kept = {"checkpoints": sorted(study.config.checkpoints)} if study.config.checkpoints else {}
    return {
        "family": resolved.model["family"],
        "model": {k: v for k, v in resolved.model.items() if k != "family"},
        "training": {**resolved.training, "tokens": tokens, "engine": _engine(study, scale)},
        "draw": draw,
        "seed": seed,
        **own,
        **kept,
    }


def evaluate(study: LanguageRuns) -> Words:
    """What losses are measured in."""
    return {"precision": study.config.measured_in}


def _engine(study: LanguageRuns, scale: str) -> str | Words:
    """The engine's name; of a command what it is, its files, the size that is wanted."""
    found = study.scales[scale]
    engine: str | Words = found.training["engine"]
    if isinstance(engine, str):
        return engine
    stamp = study.local_files.stamp(engine_checks.files(engine["command"]))
    return {**engine, "parameters": found.parameters, "stamp": stamp}


def rivals(study: LanguageRuns) -> Words:
    """Which of them are asked."""
    return {"rivals": sorted(study.config.rivals)}


def checkpoints(study: LanguageRuns) -> Words:
    """The runs of the grid and of the rest, as `collect` has them, and the shares."""
    return collect(study, study.runs) | {"checkpoints": sorted(study.config.checkpoints)}


def collect(study: LanguageRuns, runs: Sequence[Run]) -> Words:
    """The runs, in a form that stays small, and their tasks."""
    keys: dict[str, dict[str, list[str]]] = {}
    for run in runs:
        realized = keys.setdefault(run.scale, {}).setdefault(run.distribution, [])
        realized.append(f"{run.draw}-{run.seed}")
    named = {run.distribution for run in runs}
    roles = {n: entry.role for n, entry in study.config.distributions.items() if n in named}
    # what is trained besides the grid is no part of it, whatever it is elsewhere
    besides = extra.cells(study.config, study.compared, study.grid)
    roles |= {f"{scale}/{name}": "selection" for scale, name in besides if name in named}
    return {"runs": keys, "roles": roles, "tasks": list(study.config.tasks)}


def gains(study: LanguageRuns) -> Words:
    """What was selected, and which scores it was selected by."""
    section = study.config.proxy_selection
    assert section is not None
    results = study.config.results
    scores = {
        selected.name: os.path.relpath(study.paths.scores(*scoring), results)
        for selected in study.selected
        if (scoring := study.scoring(selected.name))
    }
    whole = study.scales[section.reference].flops
    relative = {name: study.scales[name].flops / whole for name in section.proxies}
    return {
        "selected": [selected._asdict() for selected in study.selected],
        "reference": section.reference,
        "relative_compute": relative,
        "scores": scores,
        "confidence": study.config.confidence,
    }


def effects(study: LanguageRuns) -> Words:
    """Which distributions are held against which baseline."""
    return {
        "selected": study.chosen_for,
        "baseline": study.baseline,
        "groups": statistics(study)["groups"],
        "confidence": study.config.confidence,
    }


def table(study: LanguageRuns, name: str) -> Words:
    """A table of what the scales are and cost."""
    counts = [candidates_named(scoring.candidates)[0] or 0 for scoring in study.scorings]
    return {
        "table": name,
        "study": study.config.study,
        "scales": [
            {
                "scale": scale.name,
                "model": scale.model,
                "training": scale.training,
                "parameters": scale.parameters,
                "tokens": scale.tokens,
                "length": scale.length,
            }
            for scale in study.scales.values()
        ],
        "attribution": {
            "dimension": study.config.attribution.dimension,
            "candidates": max(counts, default=None) if all(counts) else None,
            "targets": study.targets,
            "models": study.config.attribution.models,
        },
    }


def statistics(study: LanguageRuns) -> Words:
    """The scales that are compared, groups member by member, mixtures where they were varied."""
    groups = {
        name: [member for part in parts for member in study.config.family(part)]
        for name, parts in study.config.groups.items()
    }
    sources = {"columns": "*", "recipe": "recipe", "any_name": True}
    weights = {"weights": sources} if study.weights else {}
    shares = study.config.checkpoints
    kept = {"checkpoints": sorted(shares)} if shares else {}
    return reading_specs.statistics(study) | {"groups": groups} | weights | kept


def proposal(study: LanguageRuns) -> Words:
    """What is proposed, for which scale, of how many tokens."""
    scale = study.config.propose.scale or study.config.reference
    budget = study.config.propose.tokens or study.scales[scale].tokens
    whole = study.config.selection.size * study.config.pool.length
    words = reading_specs.proposal(study)
    limits = words["limits"] | {"tokens": max(budget, whole)}
    return words | {"limits": limits, "length": study.config.pool.length}


def next_steps(study: LanguageRuns) -> Words:
    """What may be trained next, at what cost."""
    families = {
        name.rpartition("-")[0]: entry.count
        for name, entry in study.config.distributions.items()
        if entry.count and entry.role == "grid" and entry.method == "dirichlet"
    }
    return reading_specs.next_steps(study) | {
        "costs": {name: study.scales[name].flops for name in study.compared},
        "families": families,
        "more": sum(families.values()),
        "seeds": {name: len(study.scales[name].seeds) for name in study.compared},
    }


def figure(study: LanguageRuns, name: str) -> Words:
    """A figure: its style, the reference and the proxies, or the scale trained on selections and
    the distributions that are compared, in the order of their runs."""
    section, reads = study.config.proxy_selection, registry.figure[name].reads
    words: Words = {}
    if section and "gains" in reads:
        words |= {"trained": section.reference, "distributions": sorted(study.grid)}
    if "statistics" in reads:
        words |= {"proxy": study.figure_proxy, "smallest": study.proxies[0]}
    return reading_specs.figure(study, name) | words


def report(study: LanguageRuns) -> Words:
    """What the report shows, and the config without the distributions that nobody wrote."""
    words = reading_specs.report(study, figure(study, "correlation_fig1"))
    generated = {selected.name for selected in study.selected} | {SUBSETS}
    written = words["config"]["distributions"]
    kept = {name: entry for name, entry in written.items() if name not in generated}
    section = study.config.proxy_selection
    if section:
        methods = {name: study.config.distributions[name].method for name in sorted(study.grid)}
        words |= {"trained": section.reference, "methods": methods}
    return words | {"config": words["config"] | {"distributions": kept}}
