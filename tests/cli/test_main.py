"""The door: what it lists, and for whom."""

from __future__ import annotations

from proxyscale.base.verbs import COMMANDS, VERBS
from proxyscale.cli.main import parser


def test_commands_for_people_and_verbs_for_rules_are_told_apart() -> None:
    told = parser().format_help()
    people, rules = (
        told.split(f"\n{title}:\n")[1] for title in ("commands, for people", "verbs, for rules")
    )
    people = people.split("\n\n")[0]
    assert [line.split()[0] for line in people.splitlines()] == list(COMMANDS)
    assert [line.split()[0] for line in rules.splitlines()] == list(VERBS)
    assert {"plan", "compare", "explain"} <= set(COMMANDS)
    assert {"corpus", "train", "train_ensemble"} <= set(VERBS)
    assert not set(COMMANDS) & set(VERBS)
