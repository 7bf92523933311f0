"""The verbs of language studies and of own runs, one per rule."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from proxyscale.base.verbs import Arguments, folder, listed, pairs, verb
from proxyscale.cli.job_messages import corpus_line, pack_line, rows_line, task_line


@verb("plugin=", "source", "spec", "out")
def corpus(args: Arguments) -> str:
    """Read a source's documents and split them."""
    from proxyscale.data.corpora import build_corpus
    from proxyscale.registry import load_plugins

    load_plugins(args.plugin)
    build_corpus(folder(args.out), args.source, json.loads(args.spec))
    return f"{args.source} · {corpus_line(folder(args.out))}"


@verb("corpus+", "spec", "out")
def tokenizer(args: Arguments) -> str:
    """Train or fetch the tokenizer."""
    from proxyscale.data.pool import build_tokenizer, load_tokenizer

    build_tokenizer(Path(args.out), pairs(args.corpus), json.loads(args.spec))
    return f"{load_tokenizer(Path(args.out)).get_vocab_size():,} tokens"


@verb("corpus", "tokenizer", "spec", "out")
def pack(args: Arguments) -> str:
    """Tokenize a source and cut it into examples of one length."""
    from proxyscale.data.pool import pack

    out = folder(args.out)
    pack(out, folder(args.corpus), Path(args.tokenizer), json.loads(args.spec))
    return f"{out.name} · {pack_line(out)}"


@verb("pack+", "out")
def pool(args: Arguments) -> str:
    """Number the examples of all sources."""
    from proxyscale.data.pool import Pool, assemble

    assemble(Path(args.out), pairs(args.pack))
    return f"{len(Pool.open(Path(args.out))):,} examples"


@verb("plugin=", "corpus+", "tokenizer", "pool", "spec", "out")
def task(args: Arguments) -> str:
    """Build a test set's target and holdout examples."""
    from proxyscale.data import builtin_tasks  # noqa: F401 (it registers kinds)
    from proxyscale.data.tasks import build_task
    from proxyscale.registry import load_plugins

    load_plugins(args.plugin)
    build_task(
        folder(args.out),
        json.loads(args.spec),
        pairs(args.corpus),
        Path(args.tokenizer),
        Path(args.pool),
    )
    return f"{folder(args.out).name} · {task_line(folder(args.out))}"


@verb("plugin=", "pool", "tokenizer", "target?", "scores?", "losses?", "spec", "out")
def select(args: Arguments) -> str:
    """Choose a training distribution's examples."""
    from proxyscale.registry import load_plugins
    from proxyscale.selection.select import build_distribution

    load_plugins(args.plugin)
    build_distribution(
        Path(args.out),
        json.loads(args.spec),
        Path(args.pool),
        tokenizer=Path(args.tokenizer),
        target=Path(args.target) if args.target else None,
        scores=Path(args.scores) if args.scores else None,
        losses=Path(args.losses) if args.losses else None,
    )
    out = Path(args.out)
    return f"{out.stem} · {rows_line(out, 'examples')}"


@verb("plugin=", "pool", "distribution", "title", "spec", "execution", "out")
def train(args: Arguments) -> None:
    """Train one model."""
    from proxyscale.registry import load_plugins
    from proxyscale.training.engines import train

    load_plugins(args.plugin)
    spec, execution = json.loads(args.spec), json.loads(args.execution)
    train(folder(args.out), spec, Path(args.pool), Path(args.distribution), args.title, execution)


@verb("plugin=", "run", "pool", "task+", "title", "code", "spec", "out")
def features(args: Arguments) -> None:
    """Project a model's gradients on candidates and on tasks' target examples."""
    from proxyscale.attribution.features import features
    from proxyscale.registry import load_plugins

    load_plugins(args.plugin)
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
    from proxyscale.attribution.scores import score

    pool, target = ([folder(path) for path in paths] for paths in (args.pool, args.target))
    score(Path(args.out), pool, target, json.loads(args.spec))
    return f"{Path(args.out).stem} · {rows_line(Path(args.out), 'examples')}"


@verb("plugin=", "run+", "pool", "spec", "title", "out")
def candidate_losses(args: Arguments) -> str:
    """Take the loss of every candidate under some models."""
    from proxyscale.attribution.candidate_losses import candidate_losses
    from proxyscale.registry import load_plugins

    load_plugins(args.plugin)
    runs = [folder(path) for path in args.run]
    spec = json.loads(args.spec)
    candidate_losses(Path(args.out), runs, Path(args.pool), spec, title=args.title)
    return rows_line(Path(args.out), "examples")


@verb("plugin=", "run", "task+", "title", "code", "out")
def evaluate(args: Arguments) -> str:
    """Take a model's loss on every test example."""
    from proxyscale.registry import load_plugins
    from proxyscale.training.evaluate import evaluate

    load_plugins(args.plugin)
    tasks = pairs(args.task)
    evaluate(Path(args.out), folder(args.run), tasks, title=args.title, version=args.code)
    return f"{args.title} · {len(tasks)} tasks"


@verb("results", "spec", "losses", "runs")
def collect(args: Arguments) -> str:
    """Gather all runs in two tables."""
    from proxyscale.statistics.collect import collect

    collect(Path(args.losses), Path(args.runs), json.loads(args.spec), args.results)
    return rows_line(Path(args.losses), "losses")


@verb("pool", "distribution=", "out")
def mixtures(args: Arguments) -> str:
    """Each distribution's share of every source."""
    from proxyscale.selection.composition import write_mixtures

    distributions = pairs(args.distribution)
    write_mixtures(Path(args.out), Path(args.pool), distributions)
    return f"{len(distributions)} distributions"


@verb("table=", "spec", "losses", "runs")
def own_runs(args: Arguments) -> str:
    """Read runs that somebody trained into the same two tables."""
    from proxyscale.base import artifacts
    from proxyscale.statistics.loss_tables import read_own_runs

    losses, runs = read_own_runs(pairs(args.table), json.loads(args.spec))
    artifacts.write(args.losses, losses, "losses")
    artifacts.write(args.runs, runs, "runs")
    return f"{len(losses):,} losses of {len(runs):,} runs"


@verb("results", "losses", "runs", "spec", "out")
def gains(args: Arguments) -> None:
    """What selecting data through each proxy gains over random subsets."""
    from proxyscale.base import artifacts
    from proxyscale.statistics.selection_gains import gains

    losses, runs = artifacts.read(args.losses, "losses"), artifacts.read(args.runs, "runs")
    rows = gains(losses, runs, json.loads(args.spec), Path(args.results))
    artifacts.write_csv(Path(args.out), rows)


@verb("losses", "runs", "weights?", "spec", "out")
def statistics(args: Arguments) -> str:
    """How well each scale foretells the reference."""
    from proxyscale.base import artifacts
    from proxyscale.statistics.all_statistics import every_statistic

    losses, runs = artifacts.read(args.losses, "losses"), artifacts.read(args.runs, "runs")
    found = every_statistic(losses, runs, json.loads(args.spec), args.weights)
    artifacts.write(args.out, found, "statistics")
    return f"{len(found):,} numbers"


@verb("pool", "distribution=", "out")
def composition(args: Arguments) -> str:
    """What the distributions are made of."""
    from proxyscale.base import artifacts
    from proxyscale.selection.composition import composition

    rows = composition(Path(args.pool), pairs(args.distribution))
    artifacts.write_rows(Path(args.out), rows)
    return f"{len(rows):,} distributions"


@verb("losses", "runs", "spec", "out")
def effects(args: Arguments) -> str:
    """Whether selected distributions help their tasks."""
    from proxyscale.base import artifacts
    from proxyscale.statistics.effects import effects

    losses, runs = artifacts.read(args.losses, "losses"), artifacts.read(args.runs, "runs")
    rows = effects(losses, runs, **json.loads(args.spec))
    artifacts.write_rows(Path(args.out), rows)
    return f"{len(rows):,} effects"


@verb("features=", "task=", "pool", "tokenizer", "spec", "agreement", "influence")
def compare_scores(args: Arguments) -> str:
    """Hold the scores of all scales side by side."""
    from proxyscale.attribution.agreement import compare

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
    *("module?", "plugin=", "statistics?", "losses?", "runs?", "agreement?", "influence?"),
    *("gains?", "curves?", "asked=", "pool?", "task=", "scores=", "spec", "out"),
)
def figure(args: Arguments) -> str:
    """Draw one figure as PDF and SVG, with its numbers as CSV."""
    from proxyscale.base import artifacts
    from proxyscale.figures.draw import draw
    from proxyscale.figures.figure_data import read_curves
    from proxyscale.registry import load_plugins

    load_plugins(args.plugin)
    if args.module:
        import_module(f"proxyscale.{args.module}")  # it registers the figure
    spec, given = json.loads(args.spec), dict[str, Any]()
    for kind in ("statistics", "losses", "runs", "agreement", "influence"):
        if path := getattr(args, kind):
            given[kind] = artifacts.read(path, kind)
    if args.gains:
        given["gains"] = artifacts.read_csv(Path(args.gains))
    if args.curves:
        given["curves"] = read_curves(given["runs"], args.curves)
    asked = pairs(args.asked).items()
    given["asked"] = {name: artifacts.read(f / "holdout.parquet", "task") for name, f in asked}
    if args.pool:
        given["pool"] = Path(args.pool)
    given |= {"tasks": pairs(args.task), "scores": listed(args.scores)}
    draw(spec.pop("figure"), args.out, **given, **spec)
    return Path(args.out).name


@verb("runs", "pool", "features=", "spec", "out")
def table(args: Arguments) -> str:
    """Write one table of what scales are and cost, as CSV and as text."""
    from proxyscale.base import artifacts
    from proxyscale.figures.cost_tables import write_table

    rows = artifacts.read_json(args.pool)["rows"]
    spec, runs = json.loads(args.spec), artifacts.read(args.runs, "runs")
    logs = [(scale, Path(log)) for scale, _, log in (f.partition("=") for f in args.features)]
    write_table(Path(args.out), spec, runs, pool_rows=rows, features=logs)
    return Path(args.out).stem


@verb("statistics", "losses", "runs", "pool?", "task=", "spec", "out")
def report(args: Arguments) -> None:
    """Write the report: one file with the verdict, figures to explore and tables."""
    from proxyscale.base import artifacts
    from proxyscale.reporting.report import write_report

    write_report(
        Path(args.out),
        json.loads(args.spec),
        statistics=artifacts.read(args.statistics, "statistics"),
        losses=artifacts.read(args.losses, "losses"),
        runs=artifacts.read(args.runs, "runs"),
        pool=Path(args.pool) if args.pool else None,
        tasks=pairs(args.task),
    )
