"""How many different examples a study asks of its sources, and what text holds them.

Asked before days are spent: by the plan, of what can be told beforehand, by the packing of a
source, from a sample, and by the pool, which knows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from proxyscale.study.distribution_checks import sources_named
from proxyscale.study.input_checks import text_bytes
from proxyscale.study.language_runs import LanguageRuns

# Bytes of text a token, where no tokenizer is at hand: English takes 1 with the 256 of single bytes
# and about 4.5 with the 50,000 of large ones, in proportion to the logarithm of their number.
SMALLEST, LARGEST, MOST = 8.0, 15.6, 4.5


class Demand(NamedTuple):
    """Examples that a distribution asks of sources together, each different."""

    where: str
    sources: list[str]
    rows: int


def demands(study: LanguageRuns) -> list[Demand]:
    """Every distribution's, in the config's order; none where examples may be repeated."""
    return [demand for name in study.config.distributions for demand in _of(study, name)]


def _of(study: LanguageRuns, name: str) -> Iterator[Demand]:
    entry, where = study.config.distributions[name], f"distributions.{name}"
    among = entry.candidate_sources or study.sources
    candidates = entry.candidates or study.config.selection.candidates
    if candidates:
        yield Demand(f"{where}.candidates", among, candidates)
    size = entry.size or study.config.selection.size
    if entry.repeat:
        return
    weights = entry.options.get("weights")
    if isinstance(weights, Mapping):
        for source, weight in weights.items():
            rows = int(size * weight / sum(weights.values()))
            yield Demand(f"{where}.weights.{source}", [source], rows)
    elif named := [source for source in sources_named(entry.options) if source in study.sources]:
        yield Demand(f"{where}.size", named, size)
    elif not candidates:
        yield Demand(f"{where}.size", among, size)


def wanted(study: LanguageRuns, source: str) -> int:
    """The most examples that a distribution asks of this source alone."""
    return max((d.rows for d in demands(study) if list(d.sources) == [source]), default=0)


def bytes_a_token(study: LanguageRuns) -> float:
    """About how many bytes of text a token has, by the size of the vocabulary."""
    vocabulary = next(iter(study.scales.values())).model["vocabulary"]
    share = (math.log2(max(vocabulary, 256)) - SMALLEST) / (LARGEST - SMALLEST)
    return 1 + (MOST - 1) * share


def expected_rows(study: LanguageRuns, source: str) -> int | None:
    """About how many examples a source gives to the pool; None where that cannot be told."""
    size, entry = text_bytes(study, source), study.config.sources[source]
    if size is None:
        return None
    kept = size * (1 - entry.holdout - entry.target)
    return int(kept / bytes_a_token(study) / study.config.pool.length)


def told(study: LanguageRuns) -> list[str]:
    """A line for every demand that its sources will hardly meet, by their size alone."""
    lines = []
    for demand in demands(study):
        rows = [expected_rows(study, source) for source in demand.sources]
        known = sum(row or 0 for row in rows)
        if None not in rows and known < demand.rows:
            lines.append(
                f"{demand.where} asks for {demand.rows:,} examples, and "
                f"{' and '.join(demand.sources)} will have about {known:,} "
                f"({bytes_a_token(study):.1f} bytes a token)"
            )
    return lines
