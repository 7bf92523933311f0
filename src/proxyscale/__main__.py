"""The door: one verb per rule, and the words for people. Parse, call, print.

python -m proxyscale VERB --flag value …
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from proxyscale import registry
from proxyscale.errors import UserError
from proxyscale.progress import logged

Arguments = argparse.Namespace
VERBS: dict[str, tuple[Callable[[Arguments], None], tuple[str, ...]]] = {}


def verb(*flags: str) -> Callable[[Callable[[Arguments], None]], Callable[[Arguments], None]]:
    """Register a verb with its flags: `name=` may be repeated, `name?` may be left out, `name*` is
    positional."""

    def register(function: Callable[[Arguments], None]) -> Callable[[Arguments], None]:
        VERBS[function.__name__] = (function, flags)
        return function

    return register


def pairs(values: Iterable[str]) -> dict[str, Path]:
    """`["a=x", "b=y"]` as a mapping to paths."""
    return {key: Path(path) for key, _, path in (value.partition("=") for value in values)}


def load_functions(args: Arguments) -> None:
    """Register proxyscale's own functions and the user's."""
    registry.load_builtin()
    registry.load_plugins(args.plugin)


@verb("plugin=", "source", "spec", "out")
def corpus(args: Arguments) -> None:
    """Read a source's documents and split them."""
    from proxyscale.corpora import build_corpus

    load_functions(args)
    build_corpus(Path(args.out), args.source, json.loads(args.spec))


@verb("corpus=", "spec", "out")
def tokenizer(args: Arguments) -> None:
    """Train or fetch the tokenizer."""
    from proxyscale.pool import build_tokenizer

    build_tokenizer(Path(args.out), pairs(args.corpus), json.loads(args.spec))


@verb("corpus", "tokenizer", "spec", "out")
def pack(args: Arguments) -> None:
    """Tokenize a source and cut it into examples of one length."""
    from proxyscale.pool import pack

    pack(Path(args.out), Path(args.corpus), Path(args.tokenizer), json.loads(args.spec))


@verb("pack=", "out")
def pool(args: Arguments) -> None:
    """Number the examples of all sources."""
    from proxyscale.pool import assemble

    assemble(Path(args.out), pairs(args.pack))


@verb("plugin=", "corpus=", "tokenizer", "pool", "spec", "out")
def task(args: Arguments) -> None:
    """Build a test set's target and holdout examples."""
    from proxyscale.tasks import build_task

    load_functions(args)
    build_task(
        Path(args.out),
        json.loads(args.spec),
        pairs(args.corpus),
        Path(args.tokenizer),
        Path(args.pool),
    )


@verb("plugin=", "pool", "tokenizer", "target?", "scores?", "spec", "out")
def select(args: Arguments) -> None:
    """Choose a training distribution's examples."""
    from proxyscale.select import build_distribution

    load_functions(args)
    build_distribution(
        Path(args.out),
        json.loads(args.spec),
        Path(args.pool),
        tokenizer=Path(args.tokenizer),
        target=Path(args.target) if args.target else None,
        scores=Path(args.scores) if args.scores else None,
    )


@verb("pool", "distribution", "title", "spec", "execution", "out")
def train(args: Arguments) -> None:
    """Train one model."""
    from proxyscale.engines import train

    spec, execution = json.loads(args.spec), json.loads(args.execution)
    train(Path(args.out), spec, Path(args.pool), Path(args.distribution), args.title, execution)


@verb("run", "pool", "task=", "title", "code", "spec", "out")
def features(args: Arguments) -> None:
    """Project a model's gradients on candidates and on tasks' target examples."""
    from proxyscale.attribute import features

    features(
        Path(args.out),
        Path(args.run),
        Path(args.pool),
        pairs(args.task),
        json.loads(args.spec),
        title=args.title,
        version=args.code,
    )


@verb("features=", "task", "spec", "out")
def score(args: Arguments) -> None:
    """Score the candidates for a task."""
    from proxyscale.attribute import pool_part, score, target_part

    folders = list(pairs(args.features).values())
    score(
        Path(args.out),
        [pool_part(folder) for folder in folders],
        [target_part(folder, args.task) for folder in folders],
        json.loads(args.spec),
    )


@verb("run", "task=", "title", "code", "out")
def evaluate(args: Arguments) -> None:
    """Take a model's loss on every test example."""
    from proxyscale.evaluate import evaluate

    tasks = pairs(args.task)
    evaluate(Path(args.out), Path(args.run), tasks, title=args.title, version=args.code)


@verb("results", "spec", "losses", "runs")
def collect(args: Arguments) -> None:
    """Gather all runs in two tables."""
    from proxyscale.collect import collect

    collect(Path(args.losses), Path(args.runs), json.loads(args.spec), args.results)


@verb("pool", "distribution=", "out")
def mixtures(args: Arguments) -> None:
    """Each distribution's share of every source."""
    from proxyscale.mixtures import write_mixtures

    write_mixtures(Path(args.out), Path(args.pool), pairs(args.distribution))


@verb("table=", "spec", "losses", "runs")
def own_runs(args: Arguments) -> None:
    """Read runs that somebody trained into the same two tables."""
    from proxyscale import tables
    from proxyscale.own_runs import read_own_runs

    losses, runs = read_own_runs(pairs(args.table), json.loads(args.spec))
    tables.write(args.losses, losses, "losses")
    tables.write(args.runs, runs, "runs")


@verb("results", "losses", "runs", "spec", "out")
def gains(args: Arguments) -> None:
    """What selecting data through each proxy gains over random subsets."""
    from proxyscale import tables
    from proxyscale.gains import gains

    losses, runs = tables.read(args.losses, "losses"), tables.read(args.runs, "runs")
    rows = gains(losses, runs, json.loads(args.spec), Path(args.results))
    tables.write_csv(Path(args.out), rows)


@verb("gains", "spec", "out")
def gains_figure(args: Arguments) -> None:
    """Draw Figure 8 as PDF and SVG, with its numbers as CSV."""
    from proxyscale import tables
    from proxyscale.gains_figure import draw_gains

    draw_gains(Path(args.out), tables.read_csv(Path(args.gains)), **json.loads(args.spec))


@verb("losses", "runs", "weights?", "spec", "out")
def statistics(args: Arguments) -> None:
    """How well each scale foretells the reference."""
    from proxyscale import tables
    from proxyscale.readings import every_statistic

    losses, runs = tables.read(args.losses, "losses"), tables.read(args.runs, "runs")
    found = every_statistic(losses, runs, json.loads(args.spec), args.weights)
    tables.write(args.out, found, "statistics")


@verb("losses", "runs", "statistics", "spec", "out")
def figure(args: Arguments) -> None:
    """Draw one figure as PDF and SVG, with its numbers as CSV."""
    from proxyscale import tables
    from proxyscale.figures import draw

    spec = json.loads(args.spec)
    draw(
        spec.pop("figure"),
        Path(args.out),
        statistics=tables.read(args.statistics, "statistics"),
        losses=tables.read(args.losses, "losses"),
        runs=tables.read(args.runs, "runs"),
        **spec,
    )


@verb("runs", "pool", "spec", "out")
def table(args: Arguments) -> None:
    """Write one table of what scales are and cost, as CSV and as text."""
    from proxyscale import tables
    from proxyscale.cost_tables import write_table

    rows = tables.read_json(args.pool)["rows"]
    spec, runs = json.loads(args.spec), tables.read(args.runs, "runs")
    write_table(Path(args.out), spec, runs, pool_rows=rows)


@verb("run", "tokenizer", "out")
def export(args: Arguments) -> None:
    """Write a run's model as a folder for Hugging Face transformers."""
    from proxyscale.export import export

    export(Path(args.out), Path(args.run), Path(args.tokenizer))


@verb("configfile?", "cores?")
def plan(args: Arguments) -> None:
    """What a study will do and what it will cost."""
    from proxyscale.config import read_yaml
    from proxyscale.plan import scale_plans, told
    from proxyscale.runs_study import OwnRunsStudy, load_study
    from proxyscale.train import calibrate

    study = load_study(read_yaml(args.configfile or "config.yaml"))
    if isinstance(study, OwnRunsStudy):
        raise UserError("this study reads runs that are there: it trains nothing", where="runs")
    scales = study.scales
    plans = scale_plans(study, lambda name: calibrate(scales[name].model, scales[name].training))
    print(told(study, plans, int(args.cores or os.cpu_count() or 1)))


@verb(
    *("table*", "reference", "recipe?", "scale?", "seed?", "task?", "example?", "metrics="),
    *("higher=", "parameters=", "tokens=", "tokens-per-parameter?", "weights?", "trust?"),
    "results?",
)
def compare(args: Arguments) -> None:
    """Runs that somebody trained, in one command: `compare table.csv --reference 1B`."""
    from proxyscale.compare import compare, config_of

    said = vars(args)
    said["metrics"] = said["metrics"] or None
    for key in ("trust", "tokens_per_parameter"):
        said[key] = None if said[key] is None else number(said[key], key)
    compare(config_of(args.table, said))


def number(text: str, key: str) -> float:
    """A number from the command line. UserError if it is none."""
    try:
        return float(text)
    except ValueError:
        raise UserError(f"is {text!r}, which is no number", where=f"--{key}") from None


@verb("key*")
def explain(args: Arguments) -> None:
    """What a key of the config means."""
    from proxyscale.explain import explain

    print(explain(".".join(args.key)))


@verb()
def schema(args: Arguments) -> None:
    """The JSON schema of a study, for editors."""
    from proxyscale.explain import schema

    print(schema(), end="")


def parser() -> argparse.ArgumentParser:
    """All verbs and their flags."""
    top = argparse.ArgumentParser(prog="proxyscale", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, (function, flags) in VERBS.items():
        told = (function.__doc__ or "").strip()
        sub = verbs.add_parser(name, help=told, description=told)
        sub.add_argument("--log", help="also write what is said to this file")
        for flag in flags:
            if flag.endswith("*"):
                sub.add_argument(flag.rstrip("*"), nargs="*")
                continue
            options: dict[str, Any] = {"required": not flag.endswith("?")}
            if flag.endswith("="):
                options |= {
                    "action": "append",
                    "metavar": "KEY=PATH",
                    "default": [],
                    "required": False,
                }
            sub.add_argument(f"--{flag.rstrip('=?')}", **options)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one verb. Exit code 0; 2 for a mistake of the user's, told without a traceback."""
    args = parser().parse_args(argv)
    with ExitStack() as stack:
        if args.log:
            stack.enter_context(logged(Path(args.log)))
        try:
            VERBS[args.verb][0](args)
        except UserError as error:
            print(f"proxyscale {args.verb}: {error}", file=sys.stderr)
            return 2
        except Exception:
            traceback.print_exc()
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
