"""The verbs that make the data, models and scores of language studies, one per rule."""

from __future__ import annotations

import json
from pathlib import Path

from proxyscale.base.verbs import Arguments, folder, pairs, verb
from proxyscale.cli.job_messages import corpus_line, items_line, pack_line, rows_line, task_line


@verb("plugin=", "source", "spec", "processes?", "out")
def corpus(args: Arguments) -> str:
    """Read a source's documents and split them."""
    from proxyscale.data.corpora import build_corpus
    from proxyscale.registry import load_plugins

    load_plugins(args.plugin)
    build_corpus(folder(args.out), args.source, json.loads(args.spec), int(args.processes or 1))
    return f"{args.source} · {corpus_line(folder(args.out))}"


@verb("corpus+", "spec", "out")
def tokenizer(args: Arguments) -> str:
    """Train or fetch the tokenizer."""
    from proxyscale.data.tokenizer import build_tokenizer
    from proxyscale.data.tokens import load_tokenizer

    build_tokenizer(Path(args.out), pairs(args.corpus), json.loads(args.spec))
    return f"{load_tokenizer(Path(args.out)).get_vocab_size():,} tokens"


@verb("corpus", "tokenizer", "wanted?", "spec", "out")
def pack(args: Arguments) -> str:
    """Tokenize a source and cut it into examples of one length."""
    from proxyscale.data.enough import check_source
    from proxyscale.data.pool import pack

    out, spec = folder(args.out), json.loads(args.spec)
    if args.wanted and int(args.wanted):
        check_source(folder(args.corpus), Path(args.tokenizer), spec, int(args.wanted))
    pack(out, folder(args.corpus), Path(args.tokenizer), spec)
    return f"{out.name} · {pack_line(out)}"


@verb("pack+", "demands", "out")
def pool(args: Arguments) -> str:
    """Number the examples of all sources, which are to be as many as are asked for."""
    from proxyscale.data.enough import check_pool
    from proxyscale.data.pool import Pool, assemble

    assemble(Path(args.out), pairs(args.pack))
    check_pool(Path(args.out), json.loads(Path(args.demands).read_text("utf-8")))
    return f"{len(Pool.open(Path(args.out))):,} examples"


@verb("plugin=", "corpus+", "tokenizer", "spec", "out")
def items(args: Arguments) -> str:
    """Encode a test set's items, more than are asked for."""
    from proxyscale.data import builtin_tasks, task_kinds  # noqa: F401 (they register kinds)
    from proxyscale.data.encoded_items import encode_items
    from proxyscale.registry import load_plugins

    load_plugins(args.plugin)
    out, spec = folder(args.out), json.loads(args.spec)
    encode_items(out, spec, pairs(args.corpus), Path(args.tokenizer))
    return f"{out.name} · {items_line(out)}"


@verb("pack", "items", "spec", "out")
def overlap(args: Arguments) -> str:
    """Search a pack's documents for the items of a test set."""
    from proxyscale.data.overlap_search import find_overlap

    text, encoded = folder(args.pack), folder(args.items)
    find_overlap(Path(args.out), text, encoded, json.loads(args.spec)["window"])
    return f"{encoded.name} in {text.name}"


@verb("items", "found+", "spec", "out")
def task(args: Arguments) -> str:
    """Build a test set's target and holdout examples."""
    from proxyscale.data.tasks import build_task

    out, found = folder(args.out), [Path(file) for file in args.found]
    build_task(out, json.loads(args.spec), folder(args.items), found)
    return f"{out.name} · {task_line(out)}"


@verb("plugin=", "spec", "out")
def questions(args: Arguments) -> str:
    """Take a test set's items for models that are there."""
    from proxyscale.data import builtin_tasks, task_kinds  # noqa: F401 (they register kinds)
    from proxyscale.data.questions import build_questions
    from proxyscale.registry import load_plugins

    load_plugins(args.plugin)
    out = folder(args.out)
    build_questions(out, json.loads(args.spec))
    return f"{out.name} · {task_line(out)}"


@verb("plugin=", "pool", "tokenizer", "target?", "scores?", "losses?", "processes?", "spec", "out")
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
        processes=int(args.processes or 1),
    )
    out = Path(args.out)
    return f"{out.stem} · {rows_line(out, 'examples')}"


@verb("pool", "distribution=", "task=", "spec", "losses", "runs")
def rivals(args: Arguments) -> str:
    """Ask what trains nothing of every test set."""
    from proxyscale.selection.rivals import write_rivals

    losses, runs = Path(args.losses), Path(args.runs)
    named, distributions = json.loads(args.spec)["rivals"], pairs(args.distribution)
    write_rivals(losses, runs, named, Path(args.pool), distributions, pairs(args.task))
    return f"{', '.join(named)} · {rows_line(losses, 'losses')}"


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


@verb("plugin=", "run", "pool", "title", "code", "spec", "out")
def feature_shard(args: Arguments) -> None:
    """Project a model's gradients on a part of the candidates."""
    from proxyscale.attribution.features import shard
    from proxyscale.registry import load_plugins

    load_plugins(args.plugin)
    spec, run = json.loads(args.spec), folder(args.run)
    shard(folder(args.out), run, Path(args.pool), spec, args.title, version=args.code)


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


@verb("task+", "title", "spec", "code", "out")
def measure(args: Arguments) -> str:
    """Take the losses of a model that is there on every test example."""
    from proxyscale.training.published_losses import measure_published

    tasks, spec = pairs(args.task), json.loads(args.spec)
    measure_published(folder(args.out), spec, tasks, title=args.title, version=args.code)
    return f"{args.title} · {len(tasks)} tasks"


@verb("plugin=", "run", "task+", "title", "spec", "code", "out")
def evaluate(args: Arguments) -> str:
    """Take a model's loss on every test example."""
    from proxyscale.registry import load_plugins
    from proxyscale.training.evaluate import evaluate

    load_plugins(args.plugin)
    out, run, tasks, spec = Path(args.out), folder(args.run), pairs(args.task), args.spec
    evaluate(out, run, tasks, title=args.title, version=args.code, **json.loads(spec))
    return f"{args.title} · {len(tasks)} tasks"
