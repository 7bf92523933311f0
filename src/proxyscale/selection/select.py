"""Training distributions: a selection method scores the candidates, one sampler takes the best.

A method gives a score per candidate (minus infinity leaves it out) or, for a mixture, a weight
per source. It declares what else it looks at: the target examples of a task (and nothing else of
it), scores of the candidates for that task, or their losses, both by models of some scale.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from proxyscale import registry
from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.data.pool import Pool
from proxyscale.data.tokens import load_tokenizer
from proxyscale.registry import selection
from proxyscale.selection.candidates import Candidates, candidate_ids, read_scores, read_target
from proxyscale.selection.dsir import NgramCounter, log_ratio

NOISES = ("none", "gumbel", "pareto")
PARETO_SHAPE = 9  # GPT-3 (2005.14165), appendix A
Found = np.ndarray | Mapping[str, float]  # a score for each candidate, or a weight for each source
FITTED = 50_000  # candidates that the classifier is fitted on, at most


@selection
def random(candidates: Candidates) -> np.ndarray:
    """Candidates at random."""
    return np.zeros(len(candidates))


@selection
def source(candidates: Candidates, *, sources: str | Sequence[str]) -> np.ndarray:
    """Candidates at random out of one source, or out of several together."""
    names = [sources] if isinstance(sources, str) else list(sources)
    for name in names:
        _check_source(candidates.pool, name)
    return np.where(np.isin(candidates.sources, names), 0.0, -np.inf)


@selection
def mixture(candidates: Candidates, *, weights: Mapping[str, float]) -> Mapping[str, float]:
    """Sources in the proportions of `weights`."""
    for name, weight in weights.items():
        _check_source(candidates.pool, name)
        if not (0 <= weight < float("inf")):
            raise UserError("a weight is a number from 0 on", where=f"weights.{name}", value=weight)
    if not sum(weights.values()) > 0:
        raise UserError("a mixture needs a weight above 0", where="weights")
    return weights


@selection
def dirichlet(
    candidates: Candidates, *, low: float = 0.1, high: float = 5.0
) -> Mapping[str, float]:
    """Sources in proportions drawn from a Dirichlet, anew for every name and draw.

    As in RegMix (2407.01492, section 3.1): Dirichlet(s · the candidates' shares), s log-uniform
    between `low` and `high`; small s gives one-sided mixtures.
    """
    names, counts = np.unique(candidates.sources, return_counts=True)
    strength = np.exp(candidates.rng.uniform(np.log(low), np.log(high)))
    weights = candidates.rng.dirichlet(strength * counts / counts.sum())
    return dict(zip(names.tolist(), weights.tolist(), strict=True))


@selection(needs=("target",), noise="gumbel", in_parts=True)
def dsir(candidates: Candidates, *, buckets: int = 10_000) -> np.ndarray:
    """Importance weights of hashed unigrams and bigrams (DSIR, 2302.03169).

    The candidates are read twice, a piece at a time: for the counts of all, and for their weights.
    """
    count = NgramCounter(buckets)
    total = functools.reduce(np.add, candidates.map_texts(count.total))
    weights = log_ratio(total, count.total(candidates.target_texts()))

    def scores(texts: Iterator[str]) -> np.ndarray:
        return np.concatenate([piece @ weights for piece in count.pieces(texts)])

    return np.concatenate(list(candidates.map_texts(scores)))


@selection(needs=("target",), in_parts=True)
def classifier(candidates: Candidates, *, buckets: int = 10_000, c: float = 1.0) -> np.ndarray:
    """Probability of being a target example, by logistic regression on hashed n-grams.

    Noise `none` takes the best (DsDm's variant); `pareto` is GPT-3's rule (2005.14165, appendix
    A): an example is the likelier kept the larger numpy's pareto(9) is than 1 - score. It is
    fitted on at most 50,000 candidates.
    """
    from proxyscale.selection.classifier import (  # scikit-learn takes a second to import
        fitted,
        probability,
    )

    count = NgramCounter(buckets)
    raw = count(candidates.sample(FITTED).texts())
    model = fitted(raw, count(candidates.target_texts()), c)

    def scores(texts: Iterator[str]) -> np.ndarray:
        return np.concatenate([probability(model, piece) for piece in count.pieces(texts)])

    return np.concatenate(list(candidates.map_texts(scores)))


@selection(needs=("scores",))
def dsdm(candidates: Candidates) -> np.ndarray:
    """The examples that lower the target loss most, by their scores (DsDm, 2401.12926)."""
    return candidates.scores()


@selection(needs=("scores",))
def bot_dsdm(candidates: Candidates) -> np.ndarray:
    """The examples that raise the target loss most: DsDm from the other end."""
    return -candidates.scores()


def top(scores: np.ndarray, n: int, noise: str, rng: np.random.Generator) -> np.ndarray:
    """Positions of the n largest of score + noise, best first; equals are ordered at random.

    Noise `gumbel` samples without replacement with probability proportional to exp(score);
    `pareto` is numpy's pareto(9). UserError if fewer than n scores are finite.
    """
    if noise not in NOISES:
        raise UserError("no such noise", where="noise", value=noise, allowed=NOISES)
    possible = np.flatnonzero(scores > -np.inf)
    if n > len(possible):
        message = f"{n} examples are asked for and there are {len(possible)}"
        raise UserError(message, where="size", hint="ask for fewer, or set `repeat: true`")
    noised = np.asarray(scores, dtype=np.float64)[possible]
    if noise == "gumbel":
        noised = noised + rng.gumbel(size=len(possible))
    elif noise == "pareto":
        noised = noised + rng.pareto(PARETO_SHAPE, size=len(possible))
    return possible[np.lexsort((rng.random(len(possible)), -noised))[:n]]


def quotas(weights: Mapping[str, float], n: int) -> dict[str, int]:
    """Whole shares of n in proportion to the weights, by largest remainder; ties to the first."""
    shares = np.array(list(weights.values()), dtype=np.float64)
    exact = shares / shares.sum() * n
    whole = np.floor(exact).astype(np.int64)
    most = np.argsort(whole - exact, kind="stable")[: n - whole.sum()]
    whole[most] += 1
    return dict(zip(weights, whole.tolist(), strict=True))


def build_distribution(
    out: Path,
    spec: Mapping[str, Any],
    pool: Path,
    *,
    tokenizer: Path | None = None,
    target: Path | None = None,
    scores: Path | None = None,
    losses: Path | None = None,
    processes: int = 1,
) -> None:
    """Write a distribution: independent selections ("draws") of the same size.

    `spec`: name, method, options, size, candidates (their number; None: all), candidate_sources
    (None: all), noise (None: the method's own), draws, seed, repeat (a source that is too small).
    `target` is the target split of a task; the holdout is refused, and so are scores that were
    computed for it. `losses` are those of the candidates. `processes` share the
    work on texts, whatever their number with the same result.
    """
    opened = Pool.open(pool)
    sources = spec.get("candidate_sources")
    ids = candidate_ids(opened, spec.get("candidates"), spec["seed"], sources)
    seen: dict[str, Any] = {
        "tokenizer": load_tokenizer(tokenizer) if tokenizer else None,
        "target": read_target(target) if target else None,
        "table": read_scores(scores) if scores else None,
        "measured": artifacts.read(losses, "candidate_losses") if losses else None,
        "processes": processes,
    }
    parts, anew = [], True
    for draw in range(spec.get("draws", 1)):
        rng = np.random.default_rng([spec["seed"], draw, zlib.crc32(spec["name"].encode())])
        candidates, before = Candidates(opened, ids, rng, **seen), _state(rng)
        if anew:
            found = scored(candidates, spec)
            anew = _state(rng) != before  # what is found without chance holds for every draw
        chosen, score = choose(found, candidates, spec)
        order = np.argsort(ids[chosen], kind="stable")
        draws = np.full(len(chosen), draw)
        columns = {"draw": draws, "example": ids[chosen][order], "score": score[order]}
        parts.append(pa.table(columns))
    if len(parts) > 1 and parts[0]["example"] == parts[1]["example"]:
        raise UserError(
            "all draws are the same", where="draws", hint="add noise, or ask for one draw"
        )
    artifacts.write(out, pa.concat_tables(parts), "distribution")


def _state(rng: np.random.Generator) -> tuple[Any, int]:
    """What changes when something is drawn from a generator, or another is made of it."""
    bits = rng.bit_generator
    return bits.state, bits.seed_seq.n_children_spawned  # type: ignore[attr-defined]


def scored(candidates: Candidates, spec: Mapping[str, Any]) -> Found:
    """What a method finds. UserError if it is neither weights nor a number for each candidate."""
    method = spec["method"]
    found = registry.selection[method](candidates, **spec.get("options", {}))
    if isinstance(found, Mapping):
        return found
    if np.shape(found) != (len(candidates),) or np.isnan(found).any():
        raise UserError("a selection method gives one number for each candidate", where=method)
    return np.asarray(found, np.float64)


def choose(
    found: Found, candidates: Candidates, spec: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Positions among the candidates (repeated where asked for), and their scores."""
    size, repeat = spec["size"], spec.get("repeat", False)
    noise = spec.get("noise") or selection.needs(spec["method"]).noise
    if not isinstance(found, Mapping):
        chosen = _fill(found, size, noise, candidates.rng, repeat)
        return chosen, found[chosen]
    parts = []
    for name, count in quotas(found, size).items():
        inside = np.where(candidates.sources == name, 0.0, -np.inf)
        try:
            parts.append(_fill(inside, count, noise, candidates.rng, repeat))
        except UserError as error:
            where = f"{spec['name']}: source {name!r}"
            raise UserError(error.message, where=where, hint=error.hint) from None
    return np.concatenate(parts), np.zeros(size)


def _fill(
    scores: np.ndarray, n: int, noise: str, rng: np.random.Generator, repeat: bool
) -> np.ndarray:
    """The n best; with `repeat`, whole passes over all that are possible come first."""
    possible = np.flatnonzero(scores > -np.inf)
    passes = n // len(possible) if repeat and len(possible) else 0
    rest = top(scores, n - passes * len(possible), noise, rng)
    return np.concatenate([np.tile(possible, passes), rest])


def _check_source(pool: Pool, name: str) -> None:
    if name not in pool.sources:
        raise UserError(f"no source is named {name!r}", value=name, allowed=pool.sources)
