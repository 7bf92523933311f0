"""No option of a command for people ends in a traceback, whatever its value."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxyscale.base.verbs import COMMANDS
from proxyscale.cli.main import main

VALUES = (
    *(
        "",
        "nobody-knows-this",
        "-1",
        "0",
        "nan",
        "inf",
        "1e400",
        "99999999999999999999",
        "x=",
        "=5",
    ),
    *(
        "=",
        "x=-1",
        "x=nan",
        "a\x00b\x1b[2J",
        "n" * 300,
        "../../etc/passwd",
        "*",
        "[",
        "{",
        "{x",
        "(",
    ),
    *("true", "null", "1B,1B", ",", "é", "{scale}", "1B=0", "loss", "recipe"),
)
LINES = ["recipe,scale,seed,loss,acc,w1,w2"] + [
    f"r{i},{scale},{seed},{3 - i / 9 - k + seed / 50},{i / 9},{i / 8},{1 - i / 8}"
    for i in range(8)
    for k, scale in enumerate(("1M", "60M", "1B"))
    for seed in (0, 1)
]
READING = ["runs.csv", "--reference", "1B"]
BASES = {
    "compare": READING,
    "propose": [*READING, "--weights", "weights.csv"],
    "next": READING,
    "init": ["mine", "--files", "a=a.jsonl"],
    "plan": [],
    "adopt": ["--configfile", "own.yaml"],
    "explain": ["--family", "language"],
    "schema": [],
    "export": ["--run", "run", "--tokenizer", "tokenizer.json", "--out", "out"],
}
Case = tuple[str, str, str]


def cases() -> list[Case]:
    """Every option of every command, with every value."""
    return [
        (command, name.rstrip("?=+!"), value)
        for command, (_, flags) in COMMANDS.items()
        for name in (flag.partition(":")[0] for flag in flags)
        for value in VALUES
        if not name.endswith("*")
    ]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a table; nothing is drawn."""
    monkeypatch.chdir(tmp_path)
    Path("runs.csv").write_text("\n".join(LINES) + "\n")
    Path("own.yaml").write_text("{study: own, reference: 1B, runs: {table: runs.csv}}\n")
    weights = [f"r{i},{i / 8},{1 - i / 8}" for i in range(8)]
    Path("weights.csv").write_text("\n".join(["recipe,w1,w2", *weights]) + "\n")
    for name in ("draw_all", "write_report"):
        monkeypatch.setattr(f"proxyscale.reporting.compare.{name}", lambda *_, **__: None)


def unclear(some: list[Case]) -> Iterator[tuple[Case, object, str]]:
    """Cases that end with neither 0 nor a mistake that is told."""
    for command, option, value in some:
        words, said = BASES[command], io.StringIO()
        code: object
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            try:
                code = main([command, *words, f"--{option}={value}"])
            except SystemExit as end:
                code = end.code
        told = said.getvalue()
        if code not in (0, 2) or "Traceback" in told or (code == 2 and not told.strip()):
            yield (command, option, value), code, told[-600:]


def test_some_bad_options_are_told() -> None:
    assert len(cases()) > 1500
    assert list(unclear(cases()[::197])) == []


@pytest.mark.slow
def test_every_bad_option_is_told() -> None:
    assert list(unclear(cases())) == []
