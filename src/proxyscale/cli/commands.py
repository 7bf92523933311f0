"""The commands for people."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from proxyscale.base.errors import UserError
from proxyscale.base.verbs import Arguments, command


@command("run", "tokenizer", "out")
def export(args: Arguments) -> None:
    """Write a run's model as a folder for Hugging Face transformers."""
    from proxyscale.training.export import export

    export(Path(args.out), Path(args.run), Path(args.tokenizer))


@command("configfile?", "cores?")
def plan(args: Arguments) -> None:
    """What a study will do and what it will cost."""
    from proxyscale.cli.load_study import config_of, load
    from proxyscale.study.validation import read_yaml

    def calibrate(*scale: Any) -> float:
        from proxyscale.training.native import calibrate

        return calibrate(*scale)

    file = args.configfile or "config.yaml"
    cores = whole(args.cores, "cores") if args.cores is not None else os.cpu_count() or 1
    raw = read_yaml(file)
    with config_of([file]):
        study = load(raw)
        study.check_inputs()
    print(study.plan(args.configfile, cores, calibrate))


READING = (  # how tables from outside are read
    *("table*", "recipe?", "scale?", "seed?", "task?", "example?", "step?", "metrics=", "higher="),
    *("lower=", "by=", "repeats?", "ignore=", "pattern?", "header?", "scales?", "parameters="),
    *("tokens=", "flops=", "tokens-per-parameter?", "weights?", "weights-columns?", "results?"),
)


@command("reference", "trust?", *READING)
def compare(args: Arguments) -> None:
    """Compare runs that somebody trained: statistics, figures, verdict and report at once.

    proxyscale compare table.csv --reference 1B
    proxyscale compare 1M=a.csv 60M=b.csv --recipe index --metrics 'metric/*' --reference 60M
    proxyscale compare evaluations/ --pattern '{recipe}-{scale}' --reference 1B

    Tables (CSV of any separator, TSV, JSON, parquet, arrow, xlsx, packed or not) with a row per
    run, and per task or test example if they are long, or a column per scale or model; tables for
    each scale; or the files of lm-evaluation-harness and OLMES.

    --recipe, --scale, --seed, --task, --example   columns, where they have no usual name; a recipe
                        may be named by several: --recipe w1,w2
    --step              column of checkpoints: the last of each run counts
    --by                column that tells runs of one scale and recipe apart (tokens, architecture);
                        may be repeated
    --repeats seeds     rows that differ in nothing but their values are training seeds
    --ignore            column that means nothing here, or not what its name says; may be repeated
    --pattern           how models are named: '{recipe}-{scale}', with {seed}, {step}, {tokens}, {_}
    --header            names of the columns of a file that has none: recipe,scale,loss
    --scales            the scales to compare: 10M,60M or globs (default: all)
    --metrics           columns of losses or metrics, as a glob; may be repeated (default: loss)
    --higher, --lower   metrics of which higher or lower is better, as a glob; may be repeated
    --parameters, --tokens, --flops   60M=6e7: what a scale is and took, or the column that tells;
                        may be repeated
    --tokens-per-parameter   tokens of the scales for which none are given
    --weights           a table of mixture weights by recipe: they are regressed on, too
    --weights-columns   its columns of shares, as a glob (default: all)
    --trust             decision accuracy that a scale must be known to exceed (default: 0.9); or
                        regret=0.1 or compute=1.2, what it must be known to stay below
    --results           folder to write to (default: compared)
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
    *("reference?", "objective?", "tokens-to-train?", "passes?", "available=", "floors=", "caps="),
    *("fixed=", *READING),
)
def propose(args: Arguments) -> None:
    """Propose the mixture to train on, from losses of mixtures.

    proxyscale propose results/study
    proxyscale propose 1M=a.csv 1B=b.csv --recipe index --metrics 'metric/*' --reference 1B \
        --weights weights.csv --caps wiki=0.2

    A study's results folder, or tables and their options as of `compare`.

    --reference         the scale that is proposed for
    --objective         standardized (default), worst, or weights of tasks: docs=1,code=2
    --tokens-to-train, --passes, --available   tokens to train on, how often one may be seen, and
                        those of a source (wiki=3B): together they cap its share
    --floors, --caps, --fixed   shares of a source: wiki=0.1; may be repeated
    --results           folder of proposal.json, .csv and .yaml (default: decided)
    """
    from proxyscale.reporting.decide import propose

    print("\n".join(propose(args.table, read_as(args))))


@command("reference?", "objective?", "forecast?", *READING)
def next(args: Arguments) -> None:
    """Plan what to train next, and tell what to expect of a larger model.

    proxyscale next results/study --forecast 7B:140B

    A study's results folder, or tables and their options as of `compare`.

    --reference         the scale that is decided for
    --objective         standardized (default), worst, or weights of tasks: docs=1,code=2
    --forecast          parameters and tokens of a model that is larger than any here
    --results           folder of next.json, .csv and .yaml (default: decided)
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


@command("family?", "key*")
def explain(args: Arguments) -> None:
    """What a key of the config means; `--family resnet` for a study of image models."""
    from proxyscale.cli.explain import explain
    from proxyscale.cli.load_study import known

    print(explain(".".join(args.key), known(args.family or "language")))


@command("family?")
def schema(args: Arguments) -> None:
    """The JSON schema of a study, for editors; `--family resnet` for one of image models."""
    from proxyscale.cli.explain import schema
    from proxyscale.cli.load_study import known

    print(schema(known(args.family or "language")), end="")
