"""The door: one verb per rule, and the words for people. Parse, call, print.

python -m proxyscale VERB --flag value …
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import sys
import time
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from proxyscale import claim, devices, image_verbs, registry  # noqa: F401 (it registers verbs)
from proxyscale.errors import UserError
from proxyscale.progress import duration, logged, note_duration
from proxyscale.verbs import VERBS, Arguments, folder, pairs, verb


def load_functions(args: Arguments) -> None:
    """Register proxyscale's own functions and the user's."""
    registry.load_builtin()
    registry.load_plugins(args.plugin)


@verb("plugin=", "source", "spec", "out")
def corpus(args: Arguments) -> str:
    """Read a source's documents and split them."""
    from proxyscale.corpora import build_corpus
    from proxyscale.lines import corpus_line

    load_functions(args)
    build_corpus(folder(args.out), args.source, json.loads(args.spec))
    return f"{args.source} · {corpus_line(folder(args.out))}"


@verb("corpus+", "spec", "out")
def tokenizer(args: Arguments) -> str:
    """Train or fetch the tokenizer."""
    from proxyscale.pool import build_tokenizer, load_tokenizer

    build_tokenizer(Path(args.out), pairs(args.corpus), json.loads(args.spec))
    return f"{load_tokenizer(Path(args.out)).get_vocab_size():,} tokens"


@verb("corpus", "tokenizer", "spec", "out")
def pack(args: Arguments) -> str:
    """Tokenize a source and cut it into examples of one length."""
    from proxyscale.lines import pack_line
    from proxyscale.pool import pack

    out = folder(args.out)
    pack(out, folder(args.corpus), Path(args.tokenizer), json.loads(args.spec))
    return f"{out.name} · {pack_line(out)}"


@verb("pack+", "out")
def pool(args: Arguments) -> str:
    """Number the examples of all sources."""
    from proxyscale.pool import Pool, assemble

    assemble(Path(args.out), pairs(args.pack))
    return f"{len(Pool.open(Path(args.out))):,} examples"


@verb("plugin=", "corpus+", "tokenizer", "pool", "spec", "out")
def task(args: Arguments) -> str:
    """Build a test set's target and holdout examples."""
    from proxyscale.lines import task_line
    from proxyscale.tasks import build_task

    load_functions(args)
    build_task(
        folder(args.out),
        json.loads(args.spec),
        pairs(args.corpus),
        Path(args.tokenizer),
        Path(args.pool),
    )
    return f"{folder(args.out).name} · {task_line(folder(args.out))}"


@verb("plugin=", "pool", "tokenizer", "target?", "scores?", "spec", "out")
def select(args: Arguments) -> str:
    """Choose a training distribution's examples."""
    from proxyscale.lines import rows_line
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
    out = Path(args.out)
    return f"{out.stem} · {rows_line(out, 'examples')}"


@verb("pool", "distribution", "title", "spec", "execution", "out")
def train(args: Arguments) -> None:
    """Train one model."""
    from proxyscale.engines import train

    spec, execution = json.loads(args.spec), json.loads(args.execution)
    train(folder(args.out), spec, Path(args.pool), Path(args.distribution), args.title, execution)


@verb("run", "pool", "task+", "title", "code", "spec", "out")
def features(args: Arguments) -> None:
    """Project a model's gradients on candidates and on tasks' target examples."""
    from proxyscale.attribute import features

    features(
        folder(args.out).parent,
        folder(args.run),
        Path(args.pool),
        pairs(args.task),
        json.loads(args.spec),
        title=args.title,
        version=args.code,
    )


@verb("pool+", "target+", "spec", "out")
def score(args: Arguments) -> str:
    """Score the candidates for a task, from features of both by one model after another."""
    from proxyscale.attribute import score
    from proxyscale.lines import rows_line

    pool, target = ([folder(path) for path in paths] for paths in (args.pool, args.target))
    score(Path(args.out), pool, target, json.loads(args.spec))
    return f"{Path(args.out).stem} · {rows_line(Path(args.out), 'examples')}"


@verb("run", "task+", "title", "code", "out")
def evaluate(args: Arguments) -> str:
    """Take a model's loss on every test example."""
    from proxyscale.evaluate import evaluate

    tasks = pairs(args.task)
    evaluate(Path(args.out), folder(args.run), tasks, title=args.title, version=args.code)
    return f"{args.title} · {len(tasks)} tasks"


@verb("results", "spec", "losses", "runs")
def collect(args: Arguments) -> str:
    """Gather all runs in two tables."""
    from proxyscale.collect import collect
    from proxyscale.lines import rows_line

    collect(Path(args.losses), Path(args.runs), json.loads(args.spec), args.results)
    return rows_line(Path(args.losses), "losses")


@verb("pool", "distribution=", "out")
def mixtures(args: Arguments) -> str:
    """Each distribution's share of every source."""
    from proxyscale.mixtures import write_mixtures

    distributions = pairs(args.distribution)
    write_mixtures(Path(args.out), Path(args.pool), distributions)
    return f"{len(distributions)} distributions"


@verb("table=", "spec", "losses", "runs")
def own_runs(args: Arguments) -> str:
    """Read runs that somebody trained into the same two tables."""
    from proxyscale import tables
    from proxyscale.own_runs import read_own_runs

    losses, runs = read_own_runs(pairs(args.table), json.loads(args.spec))
    tables.write(args.losses, losses, "losses")
    tables.write(args.runs, runs, "runs")
    return f"{len(losses):,} losses of {len(runs):,} runs"


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
def statistics(args: Arguments) -> str:
    """How well each scale foretells the reference."""
    from proxyscale import tables
    from proxyscale.readings import every_statistic

    losses, runs = tables.read(args.losses, "losses"), tables.read(args.runs, "runs")
    found = every_statistic(losses, runs, json.loads(args.spec), args.weights)
    tables.write(args.out, found, "statistics")
    return f"{len(found):,} numbers"


@verb("pool", "distribution=", "out")
def composition(args: Arguments) -> str:
    """What the distributions are made of."""
    from proxyscale import tables
    from proxyscale.selected import composition

    rows = composition(Path(args.pool), pairs(args.distribution))
    tables.write_rows(Path(args.out), rows)
    return f"{len(rows):,} distributions"


@verb("losses", "runs", "spec", "out")
def effects(args: Arguments) -> str:
    """Whether selected distributions help their tasks."""
    from proxyscale import tables
    from proxyscale.selected import effects

    losses, runs = tables.read(args.losses, "losses"), tables.read(args.runs, "runs")
    rows = effects(losses, runs, **json.loads(args.spec))
    tables.write_rows(Path(args.out), rows)
    return f"{len(rows):,} effects"


@verb("features=", "task=", "pool", "tokenizer", "spec", "agreement", "influence")
def compare_scores(args: Arguments) -> str:
    """Hold the scores of all scales side by side."""
    from proxyscale.agreement import compare

    models: dict[str, list[Path]] = {}
    for name, place in pairs(args.features).items():
        models.setdefault(name.rpartition(":")[0], []).append(place)
    compare(
        Path(args.agreement),
        Path(args.influence),
        models,
        pairs(args.task),
        Path(args.pool),
        Path(args.tokenizer),
        json.loads(args.spec),
    )
    return f"{len(args.task)} tasks, {len(models)} scales"


@verb(
    *("losses", "runs", "statistics", "spec", "out"),
    *("task=", "results?", "agreement?", "influence?"),
)
def figure(args: Arguments) -> str:
    """Draw one figure as PDF and SVG, with its numbers as CSV."""
    from proxyscale import tables
    from proxyscale.figures import draw
    from proxyscale.training_curves import read_curves

    spec = json.loads(args.spec)
    runs = tables.read(args.runs, "runs")
    asked = {n: tables.read(f / "holdout.parquet", "task") for n, f in pairs(args.task).items()}
    more: dict[str, Any] = {"asked": asked}
    for kind in ("agreement", "influence"):
        if path := getattr(args, kind):
            more[kind] = tables.read(path, kind)
    if args.results:
        more["curves"] = read_curves(runs, args.results)
    draw(
        spec.pop("figure"),
        Path(args.out),
        statistics=tables.read(args.statistics, "statistics"),
        losses=tables.read(args.losses, "losses"),
        runs=runs,
        more=more,
        **spec,
    )
    return Path(args.out).name


@verb("runs", "pool", "features=", "spec", "out")
def table(args: Arguments) -> str:
    """Write one table of what scales are and cost, as CSV and as text."""
    from proxyscale import tables
    from proxyscale.cost_tables import write_table

    rows = tables.read_json(args.pool)["rows"]
    spec, runs = json.loads(args.spec), tables.read(args.runs, "runs")
    logs = [(scale, Path(log)) for scale, _, log in (f.partition("=") for f in args.features)]
    write_table(Path(args.out), spec, runs, pool_rows=rows, features=logs)
    return Path(args.out).stem


@verb("run", "tokenizer", "out")
def export(args: Arguments) -> None:
    """Write a run's model as a folder for Hugging Face transformers."""
    from proxyscale.export import export

    export(Path(args.out), Path(args.run), Path(args.tokenizer))


@verb("statistics", "losses", "runs", "pool?", "task=", "spec", "out")
def report(args: Arguments) -> None:
    """Write the report: one file with the verdict, figures to explore and tables."""
    from proxyscale import tables
    from proxyscale.report import write_report

    write_report(
        Path(args.out),
        json.loads(args.spec),
        statistics=tables.read(args.statistics, "statistics"),
        losses=tables.read(args.losses, "losses"),
        runs=tables.read(args.runs, "runs"),
        pool=Path(args.pool) if args.pool else None,
        tasks=pairs(args.task),
    )


@verb("configfile?", "cores?")
def plan(args: Arguments) -> None:
    """What a study will do and what it will cost."""
    from proxyscale.config import read_yaml
    from proxyscale.families import load
    from proxyscale.image_plan import told_images
    from proxyscale.image_study import ImageStudy
    from proxyscale.inputs import check_inputs
    from proxyscale.plan import CALIBRATED, Estimate, ask_snakemake, told
    from proxyscale.runs_study import OwnRunsStudy

    study = load(read_yaml(args.configfile or "config.yaml"))
    if isinstance(study, ImageStudy):
        return print(told_images(study))
    if isinstance(study, OwnRunsStudy):
        raise UserError("this study reads runs that are there: it trains nothing", where="runs")
    check_inputs(study)

    def seconds(name: str) -> float | None:
        scale = study.scales[name]
        if 60 * scale.parameters * scale.training["batch_tokens"] > CALIBRATED:
            return None
        from proxyscale.train import calibrate

        return calibrate(scale.model, scale.training)

    estimate = Estimate(study, ask_snakemake(args.configfile), seconds)
    print(told(study, estimate, int(args.cores or os.cpu_count() or 1)))


@verb(
    *("table*", "reference", "recipe?", "scale?", "seed?", "task?", "example?", "metrics="),
    *("higher=", "parameters=", "tokens=", "tokens-per-parameter?", "weights?", "trust?"),
    "results?",
)
def compare(args: Arguments) -> None:
    """Compare runs that somebody trained: statistics, figures, verdict and report at once.

    proxyscale compare table.csv --reference 1B
    proxyscale compare 1M=a.csv 60M=b.csv --recipe index --metrics 'metric/*' --reference 60M

    One table (CSV, TSV, parquet or jsonl, packed or not) with a row per run, and per task or test
    example if it is long; or one such table for each scale.

    --recipe, --scale, --seed, --task, --example   columns, where they have no usual name
    --metrics           columns of losses or metrics, as a glob; may be repeated (default: loss)
    --higher            tasks of which higher is better, as a glob; may be repeated
    --parameters, --tokens   60M=6e7: what a scale is and saw; may be repeated
    --tokens-per-parameter   tokens of the scales for which none are given
    --weights           a table of mixture weights by recipe: they are regressed on, too
    --trust             decision accuracy that a scale must be known to exceed (default: 0.9)
    --results           folder to write to (default: compared)
    """
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


@verb("family?", "key*")
def explain(args: Arguments) -> None:
    """What a key of the config means; `--family resnet` for a study of image models."""
    from proxyscale.explain import explain
    from proxyscale.families import known

    print(explain(".".join(args.key), known(args.family or "language")))


@verb("family?")
def schema(args: Arguments) -> None:
    """The JSON schema of a study, for editors; `--family resnet` for one of image models."""
    from proxyscale.explain import schema
    from proxyscale.families import known

    print(schema(known(args.family or "language")), end="")


def parser() -> argparse.ArgumentParser:
    """All verbs and their flags."""
    top = argparse.ArgumentParser(prog="proxyscale", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, (function, flags) in VERBS.items():
        told = inspect.cleandoc(function.__doc__ or "")
        first = told.partition("\n")[0]
        raw = argparse.RawDescriptionHelpFormatter
        sub = verbs.add_parser(name, help=first, description=told, formatter_class=raw)
        sub.add_argument("--log", help="also write what is said to this file")
        sub.add_argument("--gpus", type=int, default=0, help="take so many slots of GPUs here")
        for flag in flags:
            if flag.endswith("*"):
                sub.add_argument(flag.rstrip("*"), nargs="*")
                continue
            options: dict[str, Any] = {"required": not flag.endswith("?")}
            if flag.endswith(("=", "+")):
                options |= {"metavar": "VALUE", "default": [], "required": False}
                options["action"] = "append" if flag.endswith("=") else "extend"
            if flag.endswith("+"):
                options["nargs"] = "*"
            elif flag.endswith("?"):
                options["nargs"] = "?"
            sub.add_argument(f"--{flag.rstrip('=+?')}", **options)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one verb. Exit code 0; 2 for a mistake of the user's, told without a traceback."""
    args = parser().parse_args(argv)
    with ExitStack() as stack:
        if args.log:
            stack.enter_context(logged(Path(args.log)))
        start, used = time.monotonic(), time.process_time()
        try:
            claim.join(parent_dies=True)
            devices.take(args.gpus)
            told = VERBS[args.verb][0](args)
        except UserError as error:
            print(f"proxyscale {args.verb}: {error}", file=sys.stderr)
            return 2
        except Exception:
            traceback.print_exc()
            return 1
        took = time.monotonic() - start
        if told:
            print(f"{args.verb} {told} · {duration(took)}", file=sys.stderr)
    if args.log:
        note_duration(Path(args.log), took, time.process_time() - used)
    return 0


if __name__ == "__main__":
    sys.exit(main())
