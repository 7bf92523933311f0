"""Selecting data through proxies (the paper's Figure 8), as distributions like any other.

For every task, scale of the proxies and fraction one distribution: the best-scored share of the
candidates, by the averaged datamodels of several proxies trained on random subsets of the pool.
Beside them, of equal size: random subsets, DSIR's and a classifier's choice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

SUBSETS = "random-subset"  # what the proxies train on: a draw for every model
BASELINES = ("dsir", "classifier")


class Selected(NamedTuple):
    """One selection: for which task, by which method, through which proxy, and how much."""

    name: str
    task: str | None  # None: random subsets, which are for no task
    method: str
    proxy: str | None  # None: no proxy is asked
    fraction: float

    @property
    def noisy(self) -> bool:
        """Whether every seed selects anew: the spread over seeds then holds the selection's too."""
        return self.method in ("random", "dsir")


def selections(section: Any) -> Iterator[Selected]:
    """All selections of a config's section `proxy_selection`, in its order."""
    for fraction in section.fractions:
        share = f"{100 * fraction:g}pc"
        yield Selected(f"random-{share}", None, "random", None, fraction)
        for task in section.tasks:
            for proxy in section.proxies:
                yield Selected(f"{task}-by-{proxy}-{share}", task, "dsdm", proxy, fraction)
            for method in BASELINES:
                yield Selected(f"{task}-by-{method}-{share}", task, method, None, fraction)


def entries(section: Any) -> dict[str, dict[str, Any]]:
    """The distributions that a section stands for, by name, as a config would write them."""
    subsets = {
        "method": "random",
        "role": "proxy",
        "size": section.subset,
        "draws": section.models,
    }
    found: dict[str, dict[str, Any]] = {SUBSETS: subsets}
    for selected in selections(section):
        entry = {
            "method": selected.method,
            "role": "selection",
            "size": max(1, round(selected.fraction * section.candidates)),
            "candidates": section.candidates,
            "draws": section.seeds if selected.noisy else 1,
            "epochs": section.epochs,
            "task": selected.task,
        }
        if selected.proxy:
            entry |= {"scored_on": SUBSETS, "scale": selected.proxy}
        found[selected.name] = entry
    return found
