"""How often a task's examples are answered right without a model: what a model is to beat.

Simple rules that look at the words alone. Where a rule cannot tell answers apart it guesses among
them, so that a rule that sees nothing has the accuracy of chance.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pyarrow as pa

WORD = re.compile(r"\w+")
INDENT = 4  # columns that a line after a colon stands further right


class _Example(NamedTuple):
    """One example: a prompt for each choice, the choices, which one is right."""

    prompts: Sequence[str]
    choices: Sequence[str]
    gold: int


Rule = Callable[[str, str], float]  # prompt, choice → score; the highest is taken


def guesses(asked: pa.Table) -> dict[str, float]:
    """The accuracy of every rule on a task's examples (columns of schema task), `chance` first.

    Of choices: chance, one of them at random; majority, the one that is right most often; longest,
    in characters; copy, most of whose words stand in the prompt; indentation, that of the line
    before, four more after a colon; unigram, whose words are the commonest in all prompts. Of
    scored continuations: majority, the commonest; copy, what of all answers stands last in the
    prompt. Nothing of whole texts, which have no right and wrong.
    """
    examples = _examples(asked)
    if not examples:
        return {}
    if min(len(one.choices) for one in examples) < 2:
        single = [one for one in examples if len(one.choices) == 1 and one.prompts[0]]
        return _of_continuations(single) if len(single) == len(examples) else {}
    words = Counter(word for one in examples for p in set(one.prompts) for word in WORD.findall(p))
    rules: dict[str, Rule] = {
        "longest": lambda _, choice: len(choice.strip()),
        "copy": copied_share,
        "indentation": _indentation,
        "unigram": lambda _, choice: _mean_log(words, choice),
    }
    found = {
        "chance": math.fsum(1 / len(one.choices) for one in examples) / len(examples),
        "majority": _majority(examples),
    }
    for name, rule in rules.items():
        right = (_right(one, list(map(rule, one.prompts, one.choices))) for one in examples)
        found[name] = math.fsum(right) / len(examples)
    return found


def best_guess(asked: pa.Table) -> float:
    """The accuracy of the best rule; 0 where there is none."""
    return max(guesses(asked).values(), default=0.0)


def guesses_told(found: dict[str, float]) -> str:
    """The accuracies in words; nothing of none."""
    return ", ".join(f"{name} {value:.1%}" for name, value in found.items())


def copied_share(prompt: str, choice: str) -> float:
    """Which share of the different words of a choice stand in the prompt; 0 without words."""
    words = set(WORD.findall(choice))
    return len(words & set(WORD.findall(prompt))) / max(len(words), 1)


def _examples(asked: pa.Table) -> list[_Example]:
    columns = ["example", "gold", "prompt", "continuation"]
    rows: dict[int, list[dict[str, str]]] = {}
    for row in asked.select(columns).to_pylist():
        rows.setdefault(row["example"], []).append(row)
    return [
        _Example(
            [row["prompt"] for row in own],
            [row["continuation"] for row in own],
            next((n for n, row in enumerate(own) if row["gold"]), 0),
        )
        for own in rows.values()
    ]


def _right(one: _Example, scores: Sequence[float]) -> float:
    """How often the right choice is taken: 1/k of k that score highest, if it is among them."""
    best = max(scores)
    return (scores[one.gold] == best) / scores.count(best)


def _majority(examples: Sequence[_Example]) -> float:
    """The answer that is right most often, of which examples are told by the others.

    Where all have the same choices that is one answer for all.
    """
    right = [one.choices[one.gold] for one in examples]
    if len({frozenset(one.choices) for one in examples}) == 1:
        return Counter(right).most_common(1)[0][1] / len(right)
    halves = [Counter(right[start::2]) for start in (0, 1)]
    taken = (
        _right(one, [halves[1 - number % 2][choice] for choice in one.choices])
        for number, one in enumerate(examples)
    )
    return math.fsum(taken) / len(examples)


def _indentation(prompt: str, choice: str) -> float:
    lines = [line for line in prompt.splitlines() if line.strip()]
    if not lines:
        return 0.0
    wanted = _column(lines[-1]) + INDENT * lines[-1].rstrip().endswith(":")
    return -abs(_column(choice) - wanted)


def _column(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _mean_log(words: Counter[str], choice: str) -> float:
    """Mean logarithm of the counts of a choice's words, each counted once more than it is seen."""
    own = WORD.findall(choice)
    return math.fsum(math.log(words[word] + 1) for word in own) / max(len(own), 1)


def _of_continuations(examples: Sequence[_Example]) -> dict[str, float]:
    answers = [tuple(WORD.findall(one.choices[0])) for one in examples]
    commonest = Counter(one.choices[0] for one in examples).most_common(1)[0][1]
    known = set(answers) - {()}
    widths = sorted({len(answer) for answer in known}, reverse=True)
    copied = sum(
        _last_answer(WORD.findall(one.prompts[0]), known, widths) == answer
        for one, answer in zip(examples, answers, strict=True)
    )
    return {"majority": commonest / len(examples), "copy": copied / len(examples)}


def _last_answer(
    words: Sequence[str], known: set[tuple[str, ...]], widths: Sequence[int]
) -> tuple[str, ...] | None:
    """The known answer that ends last in the words of a prompt, the longest of those."""
    for end in range(len(words), 0, -1):
        for width in widths:
            if width <= end and tuple(words[end - width : end]) in known:
                return tuple(words[end - width : end])
    return None
