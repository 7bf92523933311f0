"""Selecting data through proxies (the paper's Figure 8), as distributions like any other.

For every task, scale of the proxies and fraction one distribution: the best-scored share of the
candidates, by what several proxies trained on random subsets of the pool say of them: DsDm's
averaged datamodels, or what another method needs of models. Beside them, of equal size: random
subsets, and the choice of methods that ask no proxy, as DSIR and a classifier.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

from proxyscale.registry import selection

SUBSETS = "random-subset"  # what the proxies train on: a draw for every model
FIRST = "dsdm"  # the method that no name of a selection through a proxy tells


class Selected(NamedTuple):
    """One selection: for which task, by which method, through which proxy, and how much."""

    name: str
    task: str | None  # None: it is for no task, as random subsets are
    method: str
    proxy: str | None  # None: no proxy is asked
    fraction: float

    @property
    def noisy(self) -> bool:
        """Whether every seed selects anew: the spread over seeds then holds the selection's too."""
        return self.method == "random" or selection.needs(self.method).noise != "none"


def selections(section: Any) -> Iterator[Selected]:
    """All selections of a config's section `proxy_selection`, in its order."""
    for fraction in section.fractions:
        yield Selected(_name(None, "random", None, fraction), None, "random", None, fraction)
        untold = [m for m in section.methods if "task" not in selection.needs(m).keys]
        told = [m for m in section.methods if m not in untold]
        for task, method in [*product(section.tasks, told), *product([None], untold)]:
            asked = section.proxies if selection.needs(method).models else [None]
            for proxy in asked:
                yield Selected(_name(task, method, proxy, fraction), task, method, proxy, fraction)


def _name(task: str | None, method: str, proxy: str | None, fraction: float) -> str:
    """TASK-by-METHOD-PROXY-SHARE, DsDm unsaid; for no task METHOD-by-PROXY-SHARE."""
    share = f"{100 * fraction:g}pc"
    if task is None:
        return "-".join([method, *(["by", proxy] if proxy else []), share])
    told = [] if method == FIRST else [method]
    return "-".join([task, "by", *told, *([proxy] if proxy else []), share])


def entries(section: Any) -> dict[str, dict[str, Any]]:
    """The distributions that a section stands for, by name, as a config would write them."""
    subsets = {
        "method": "random",
        "role": "proxy",
        "size": section.subset,
        "draws": section.models,
        "candidate_sources": section.candidate_sources,
    }
    found: dict[str, dict[str, Any]] = {SUBSETS: subsets}
    for selected in selections(section):
        entry = {
            "method": selected.method,
            "role": "selection",
            "size": max(1, round(selected.fraction * section.candidates)),
            "candidates": section.candidates,
            "candidate_sources": section.candidate_sources,
            "draws": section.seeds if selected.noisy else 1,
            "epochs": section.epochs,
            "task": selected.task,
        }
        if selected.proxy:
            entry |= {"scored_on": SUBSETS, "scale": selected.proxy}
        found[selected.name] = entry
    return found
