"""The door: what it lists, and for whom; what it says to what it does not know."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from proxyscale import __version__
from proxyscale.base.verbs import COMMANDS, VERBS
from proxyscale.cli.main import WORDS, main, parser, people


def listed(told: str) -> list[str]:
    """The words that a help text lists."""
    return [
        line.split()[0] for line in told.splitlines() if line.startswith("  ") and line[2] != "-"
    ]


def test_people_see_commands_and_rules_find_verbs_beside_them(capsys) -> None:
    with pytest.raises(SystemExit) as end:
        people([])
    assert end.value.code == 0
    assert listed(capsys.readouterr().out) == list(COMMANDS)
    assert listed(parser(WORDS).format_help()) == [*COMMANDS, *VERBS]
    assert {"plan", "compare", "explain"} <= set(COMMANDS)
    assert {"corpus", "train", "train_ensemble"} <= set(VERBS)
    assert not set(COMMANDS) & set(VERBS)


def test_every_option_of_a_command_has_a_line_of_help_and_stands_once() -> None:
    for name, (_, flags) in COMMANDS.items():
        names = [flag.partition(": ")[0] for flag in flags]
        assert len({n.rstrip("=+?*!") for n in names}) == len(names), name
        assert all(flag.partition(": ")[2].strip() for flag in flags), name


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["compere"], ["no such command: compere", "did you mean 'compare'?"]),
        (["compare", "--refrence", "1B"], ["--reference"]),
        (["plan", "--configfil", "x.yaml"], ["no such option", "did you mean '--configfile'?"]),
        (["schema", "x.yaml"], ["schema: no such argument: x.yaml"]),
        (["export", "--run", "x"], ["the following arguments are required: --tokenizer, --out"]),
        (["train"], ["no such command: train"]),
        (["plan", "--gpus", "1"], ["no such option: --gpus"]),
    ],
)
def test_what_is_not_known_is_one_mistake_with_the_nearest_name(capsys, argv, told) -> None:
    assert people(argv) == 2
    said = capsys.readouterr().err
    assert all(part in said for part in told), said
    assert "Traceback" not in said


def test_rules_find_their_verbs(capsys) -> None:
    assert main(["train"]) == 2
    assert "the following arguments are required" in capsys.readouterr().err


def test_the_version_is_told(capsys) -> None:
    with pytest.raises(SystemExit) as end:
        people(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"proxyscale {__version__}\n"


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("co", {"compare", "completion"}),
        ("pl", {"plan"}),
        ("tra", set()),
        ("compare --re", {"--recipe", "--reference", "--repeats", "--results"}),
        ("compare --reference ta", {"table.csv"}),
        ("compare ta", {"table.csv"}),
        ("plan --spent ta", {"table.csv"}),
    ],
)
def test_a_shell_completes_commands_options_and_files(capsys, tmp_path, line, offered) -> None:
    assert people(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    (tmp_path / "table.csv").touch()
    script += f"""
COMP_WORDS=(proxyscale {line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_shtab_proxyscale; printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == offered


@pytest.mark.parametrize("shell", [[], ["nosuch"], ["bash", "zsh"]])
def test_a_shell_that_nothing_completes_for_is_told(capsys, shell) -> None:
    assert people(["completion", *shell]) == 2
    assert "one of bash, zsh, tcsh, " in capsys.readouterr().err
