"""The verbs of decisions, the same for every kind of study: one per rule."""

from __future__ import annotations

import json
from pathlib import Path

from proxyscale.base.verbs import Arguments, verb


@verb("losses", "runs", "weights", "pool?", "spec", "out")
def proposal(args: Arguments) -> str:
    """Propose the mixture to train on."""
    from proxyscale.base import artifacts
    from proxyscale.statistics.decision_files import write_proposal
    from proxyscale.tables.weights import read_weights

    losses, runs = artifacts.read(args.losses, "losses"), artifacts.read(args.runs, "runs")
    spec, pool = json.loads(args.spec), Path(args.pool) if args.pool else None
    columns, shares = read_weights(args.weights, **spec["weights"])
    return " ".join(write_proposal(Path(args.out), losses, runs, columns, shares, spec, pool))


@verb("losses", "runs", "spec", "out")
def next_steps(args: Arguments) -> str:
    """Plan what to train next."""
    from proxyscale.base import artifacts
    from proxyscale.statistics.decision_files import write_next

    losses, runs = artifacts.read(args.losses, "losses"), artifacts.read(args.runs, "runs")
    return " ".join(write_next(Path(args.out), losses, runs, json.loads(args.spec)))
