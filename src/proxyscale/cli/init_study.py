"""A study in a folder of one's own: a config to edit, and a Snakefile that takes our workflow."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from proxyscale.base.errors import UserError
from proxyscale.base.shipped import workflow_folder
from proxyscale.data.records import matching, no_match

PROFILE = "profiles/default/config.yaml"  # Snakemake finds it beside a Snakefile by itself
SNAKEFILE = """\
# The workflow of proxyscale, on the study in config.yaml:  snakemake --cores all
configfile: "config.yaml"
module proxyscale:
    snakefile: {snakefile}
    config: config
use rule * from proxyscale
onstart: proxyscale.onstart()
onsuccess: proxyscale.onsuccess()
onerror: proxyscale.onerror()
"""
HEAD = """\
# `proxyscale explain KEY` tells what a key means, `proxyscale plan` what the study will cost.
study: {study}
results: results         # everything is written below this folder
"""
TRAINED = """\
seeds: 2                 # training seeds of every run
sources:                 # corpora; documents are split, so that none is trained and tested on
{sources}
tasks:                   # test sets; other kinds take records: proxyscale explain tasks
  text: {{kind: text, sources: all}}
selection: {{size: 2000}}  # examples of 128 tokens, in every distribution
distributions:           # what is compared
{distributions}
training: {{tokens_per_parameter: 4}}
scales:                  # widths are multiples of 4; every key of training can be said again here
  xs: {{width: 16, layers: 1}}
  s: {{width: 32, layers: 1}}
  ref: {{width: 64, layers: 2}}
reference: ref           # the scale that the others are to foretell
"""
OWN_RUNS = """\
reference: {reference}   # the scale that the others are to foretell
runs:                    # a row a run; proxyscale explain runs
  table: {table}
"""


def init(
    folder: Path,
    files: Mapping[str, str],
    hub: Mapping[str, str],
    table: str | None,
    reference: str | None,
) -> list[Path]:
    """Write config.yaml, Snakefile and a profile into a folder; all, in this order.

    `files` are patterns by source, relative to where the command is called; `hub` are NAME@COMMIT
    by source. With a `table` of runs, nothing is trained. UserError for a pattern that matches no
    file, and for a file of ours that is there.
    """
    for pattern in files.values():
        if not matching(pattern):
            raise no_match(pattern)
    sources = {name: {"files": os.path.abspath(path)} for name, path in files.items()}
    for name, told in hub.items():
        repository, _, commit = told.partition("@")
        if not commit:
            hint = "a dataset and its commit of 40 hex digits: NAME@COMMIT"
            raise UserError("the commit is missing", where=f"--hub {name}={told}", hint=hint)
        sources[name] = {"hub": repository, "revision": commit}
    if bool(sources) == bool(table):
        hint = "--files raw='raw/*.jsonl', or --runs losses.csv --reference 1B"
        raise UserError("either corpora or a table of runs is wanted", hint=hint)
    if table and not reference:
        raise UserError("the largest scale is to be named", where="--reference")
    config = HEAD.format(study=json.dumps(folder.resolve().name))
    if table:
        config += OWN_RUNS.format(
            reference=json.dumps(reference), table=json.dumps(os.path.abspath(table))
        )
    else:
        distributions = [f"  {name}: {{method: source, sources: {name}}}" for name in sources]
        mixed = ["  mix: {method: random}     # of all"] if len(sources) > 1 else []
        config += TRAINED.format(
            sources="\n".join(f"  {name}: {json.dumps(told)}" for name, told in sources.items()),
            distributions="\n".join([*distributions, *mixed]),
        )
    root = workflow_folder()
    written = {
        "config.yaml": config,
        "Snakefile": SNAKEFILE.format(snakefile=json.dumps(str(root / "Snakefile"))),
        PROFILE: (root / PROFILE).read_text("utf-8"),
    }
    return [_new(folder / name, text) for name, text in written.items()]


def named(values: Sequence[str], option: str) -> dict[str, str]:
    """NAME=VALUE as a mapping. UserError if it is none."""
    found = {}
    for value in values:
        name, _, told = value.partition("=")
        if not name or not told:
            raise UserError(f"is {value!r}: NAME=VALUE is wanted", where=f"--{option}")
        found[name] = told
    return found


def _new(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UserError("is there already", where=str(path)) from None
    return path
