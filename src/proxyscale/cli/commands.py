"""The commands for people."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from proxyscale.base.errors import UserError
from proxyscale.base.verbs import COMMANDS, Arguments, command


@command(
    "run: the run's folder: results/runs/SCALE/DISTRIBUTION/DRAW-SEED",
    "tokenizer: the study's tokenizer.json",
    "out: folder to write",
)
def export(args: Arguments) -> None:
    """Write a run's model as a folder for Hugging Face transformers."""
    from proxyscale.training.export import export

    export(Path(args.out), Path(args.run), Path(args.tokenizer))


@command(
    "folder*: the folder to make",
    "files=: documents of a source, raw='raw/*.jsonl'; may be repeated",
    "hub=: a dataset of the Hugging Face hub, web=NAME@COMMIT; may be repeated",
    "runs?: a table of losses, of runs that somebody trained",
    "reference?: its largest scale, which the others are to foretell",
)
def init(args: Arguments) -> None:
    """Begin a study in a folder of one's own: a config to edit, and a Snakefile.

    proxyscale init mine --files raw='raw/*.jsonl' --files filtered='filtered/*.jsonl'
    proxyscale init theirs --runs losses.csv --reference 1B
    """
    from proxyscale.cli.init_study import init, named

    if len(args.folder) != 1:
        raise UserError("one folder is wanted", where="init")
    sources = named(args.files, "files"), named(args.hub, "hub")
    for path in init(Path(args.folder[0]), *sources, args.runs, args.reference):
        print(path)
    if len(args.files) + len(args.hub) == 1:
        print("one distribution compares nothing: R² needs three, by other sources or methods")
    print(f"next: cd {args.folder[0]}; snakemake --cores all")


@command(
    "target*: files of the study, results/correlation_fig1.pdf: what they alone need; default: all",
    "configfile=: the study's config (default: config.yaml); another one adds to it",
    "cores?: cores that it may take (default: this machine's; 8 a GPU with --on)",
    "on?: GPUs, or cores where none are asked for: how long it takes on so many, and why",
    "spent!: what its jobs took when they last ran, by rule",
)
def plan(args: Arguments) -> None:
    """What a study will do and what it will cost.

    proxyscale plan results/correlation_fig1.pdf
    proxyscale plan --configfile workflow/studies/paper-language.yaml --on 64
    proxyscale plan --spent
    """
    from proxyscale.cli.load_study import config_of, load
    from proxyscale.study import plan_jobs
    from proxyscale.study.job_graph import job_graph
    from proxyscale.study.validation import read_yaml

    def calibrate(*scale: Any) -> float:
        from proxyscale.training.native import calibrate

        return calibrate(*scale)

    files = args.configfile or ["config.yaml"]
    cores = None if args.cores is None else whole(args.cores, "cores")
    count = None if args.on is None else whole(args.on, "on")
    if count and args.spent:
        raise UserError("either what is to come or what has been", where="--on and --spent")
    raw, *more = map(read_yaml, files)
    if more:
        from snakemake.utils import update_config
    for config in more:
        update_config(raw, config)
    with config_of(files):
        study = load(raw)
        study.check_inputs()
    planned = job_graph(args.configfile, args.target)
    if args.spent:
        print(plan_jobs.spent(planned, study.needs(plan_jobs.here())))
    elif count:
        print(plan_jobs.on(planned, study.needs(plan_jobs.here()), count, cores))
    else:
        print(study.plan(planned, cores or os.cpu_count() or 1, calibrate))


@command(
    "folder*: the results, where the config names another folder",
    "configfile=: the study's config (default: config.yaml); another one adds to it",
    "code!: take what an earlier version made: its code differs, its meaning does not",
)
def adopt(args: Arguments) -> None:
    """Mark results that were copied from elsewhere as done, as far as they vouch for themselves.

    proxyscale adopt
    proxyscale adopt /shared/results --configfile mine.yaml

    Every file is held against its sum, every job against its record: what it read, its part of the
    config, its code. What is not as said is told, and made again by the next snakemake.
    """
    from proxyscale.cli.adopt import adopt

    if len(args.folder) > 1:
        raise UserError("one folder is wanted", where="adopt")
    folder = args.folder[0] if args.folder else None
    print("\n".join(adopt(args.configfile, folder, args.code)))


TABLES = "table*: tables, SCALE=TABLE for each scale, or folders of result files"
READING = (  # how tables from outside are read
    "recipe?: column of recipes, where it has no usual name; several together: w1,w2",
    "scale?: column of scales",
    "seed?: column of training seeds",
    "task?: column of tasks",
    "example?: column of test examples",
    "step?: column of checkpoints: the last of each run counts",
    "metrics=: columns of losses or metrics, as a glob; may be repeated (default: loss)",
    "higher=: metrics of which higher is better, as a glob; may be repeated",
    "lower=: metrics of which lower is better, as a glob; may be repeated",
    "by=: column that tells runs of one scale and recipe apart (tokens, …); may be repeated",
    "repeats?: `seeds`: rows that differ in nothing but their values are training seeds",
    "ignore=: column that means nothing here, or not what its name says; may be repeated",
    "pattern?: how models are named: '{recipe}-{scale}', with {seed}, {step}, {tokens}, {_}",
    "header?: names of the columns of a file that has none: recipe,scale,loss",
    "scales?: the scales to compare: 10M,60M or globs (default: all)",
    "parameters=: 60M=6e7, or the column that tells; may be repeated",
    "tokens=: training tokens, 60M=1.2e9, or the column that tells; may be repeated",
    "flops=: compute of a run, 60M=4e17, or the column that tells; may be repeated",
    "tokens-per-parameter?: tokens of the scales for which none are given",
    "weights?: a table of mixture weights by recipe: they are regressed on, too",
    "weights-columns?: its columns of shares, as a glob (default: all)",
    "results?: folder to write to",
)
FAMILY = "family?: `resnet` for a study of image models (default: language)"
OBJECTIVE = "objective?: standardized (default), worst, or weights of tasks: docs=1,code=2"


@command(
    "reference: the scale that the others are to foretell",
    "trust?: share of pairs that a scale must be known to order right (default: 0.9); or "
    "regret=0.1 or compute=1.2, what it must be known to stay below",
    TABLES,
    *READING,
)
def compare(args: Arguments) -> None:
    """Compare runs that somebody trained: statistics, figures, verdict and report at once.

    proxyscale compare table.csv --reference 1B
    proxyscale compare 1M=a.csv 60M=b.csv --recipe index --metrics 'metric/*' --reference 60M
    proxyscale compare evaluations/ --pattern '{recipe}-{scale}' --reference 1B

    Tables (CSV of any separator, TSV, JSON, parquet, arrow, xlsx, packed or not) with a row per
    run, and per task or test example if they are long, or a column per scale or model; tables for
    each scale; or the files of lm-evaluation-harness and OLMES.

    It writes to `compared`, if --results says nothing else.
    """
    from proxyscale.reporting.compare import compare, config_of

    said = read_as(args)
    if said["trust"] is not None:
        kind, _, level = said["trust"].rpartition("=")
        said["trust"] = {kind: number(level, "trust")} if kind else number(level, "trust")
    compare(config_of(args.table, said))


def read_as(args: Arguments) -> dict[str, Any]:
    """The options of `READING` as `config_of` takes them."""
    said = {"trust": None} | vars(args)
    if said["tokens_per_parameter"] is not None:
        said["tokens_per_parameter"] = number(said["tokens_per_parameter"], "tokens-per-parameter")
    return said


@command(
    "reference?: the scale that is proposed for",
    OBJECTIVE,
    "tokens-to-train?: tokens that the mixture is for",
    "passes?: how often a token may be seen (default: 1)",
    "available=: tokens of a source, wiki=3B: caps its share, by the two above; may be repeated",
    "floors=: least share of a source, wiki=0.1; may be repeated",
    "caps=: largest share of a source, wiki=0.3; may be repeated",
    "fixed=: share of a source that stays, wiki=0.2; may be repeated",
    f"{TABLES}, or a study's results",
    *READING,
)
def propose(args: Arguments) -> None:
    """Propose the mixture to train on, from losses of mixtures.

    proxyscale propose results/study
    proxyscale propose 1M=a.csv 1B=b.csv --recipe index --metrics 'metric/*' --reference 1B \\
        --weights weights.csv --caps wiki=0.2

    A study's results folder, or tables and their options as of `compare`. Of a folder the tables
    alone are read: limits and objective are those given here.

    proposal.json, .csv and .yaml are written to `decided`, if --results says nothing else.
    """
    from proxyscale.reporting.decide import propose

    print("\n".join(propose(args.table, read_as(args))))


@command(
    "reference?: the scale that is decided for",
    OBJECTIVE,
    "largest?: the largest scale that can still be trained at (default: the reference)",
    "forecast?: parameters and tokens of a model that is larger than any here: 7B:140B",
    f"{TABLES}, or a study's results",
    *READING,
)
def next(args: Arguments) -> None:
    """Plan what to train next, and tell what to expect of a larger model.

    proxyscale next results/study --forecast 7B:140B

    A study's results folder, or tables and their options as of `compare`. Of a folder the tables
    alone are read: the objective is the one given here.

    next.json, .csv and .yaml are written to `decided`, if --results says nothing else.
    """
    from proxyscale.reporting.decide import next_steps

    print("\n".join(next_steps(args.table, read_as(args))))


def number(text: str, key: str) -> float:
    """A number from the command line. UserError if it is none."""
    try:
        return float(text)
    except ValueError:
        raise UserError(f"is {text!r}, which is no number", where=f"--{key}") from None


def whole(text: str, key: str) -> int:
    """A count from the command line. UserError if it is none."""
    if not re.fullmatch("0*[1-9][0-9]{0,8}", text):
        raise UserError(f"is {text!r}, which is no count", where=f"--{key}")
    return int(text)


@command(
    FAMILY,
    "all!: every key of every kind of study with its default, as a table",
    "key*: training.tokens, tasks, scales.xs.width, sources.installed, …",
)
def explain(args: Arguments) -> None:
    """What a key of the config means."""
    from proxyscale.cli.explain import explain, keys_table
    from proxyscale.cli.load_study import known

    if args.all:
        print(keys_table(), end="")
        return
    print(explain(".".join(args.key), known(args.family or "language")))


@command(FAMILY)
def schema(args: Arguments) -> None:
    """The JSON schema of a study, for editors."""
    from proxyscale.cli.explain import schema
    from proxyscale.cli.load_study import known

    print(schema(known(args.family or "language")), end="")


@command("shell*: bash, zsh, fish, …")
def completion(args: Arguments) -> None:
    """Print what lets a shell complete commands and options.

    proxyscale completion bash > ~/.local/share/bash-completion/completions/proxyscale
    """
    import shtab

    from proxyscale.cli.main import parser

    if len(args.shell) != 1 or args.shell[0] not in shtab.SUPPORTED_SHELLS:
        raise UserError(f"one of {', '.join(shtab.SUPPORTED_SHELLS)} is wanted", where="shell")
    print(shtab.complete(parser(COMMANDS, files=shtab.FILE), args.shell[0]))
