"""Figures 18 and 19: what the tasks ask, by examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from proxyscale.figures.figure_data import FigureData, Rows
from proxyscale.figures.style import SMALL
from proxyscale.figures.text_layout import EDGE, Passage, Sheet
from proxyscale.registry import figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

READS = ("statistics", "losses", "runs", "asked")
EXAMPLES, LINES = 2, 9  # of a task; of an example
SHOWN = ("example", "choice", "gold", "prompt", "continuation")  # in the CSV


@figure(
    "prompts_fig18",
    caption="Sample prompts of the first half of the tasks; what is scored stands in colour.",
    reads=READS,
)
def first_half(data: FigureData) -> tuple[Figure, Rows]:
    """Sample prompts of the first half of the tasks (Fig 18)."""
    return _prompts(data, data.tasks[: -(-len(data.tasks) // 2)])


@figure(
    "prompts_fig19",
    caption="Sample prompts of the second half of the tasks; what is scored stands in colour.",
    reads=READS,
    exists=lambda facts: facts.tasks > 1,
)
def second_half(data: FigureData) -> tuple[Figure, Rows]:
    """Sample prompts of the second half of the tasks (Fig 19)."""
    return _prompts(data, data.tasks[-(-len(data.tasks) // 2) :])


def _prompts(data: FigureData, tasks: Sequence[str]) -> tuple[Figure, Rows]:
    """The first examples of each task's holdout, which are in random order; scored text in colour.

    Of examples with choices all are shown, the right one in colour, each as far in as a model sees
    it.
    """
    sheet = Sheet(data.style, "Sample prompts; what is scored in colour")
    rows: Rows = []
    top = 0.34
    for task in tasks:
        sheet.rule(top)
        sheet.write(EDGE, top + 0.16, data.style.label(task))
        examples = data.asked(task)
        told = f"{len(examples)} test examples"
        sheet.write(sheet.width - EDGE, top + 0.16, told, size=SMALL, ends=True)
        top += 0.24
        for example in sorted(examples)[:EXAMPLES]:
            top += _example(sheet, top, examples[example]) + 0.1
            shown = [{name: row[name] for name in SHOWN} for row in examples[example]]
            rows += [{"task": task} | row for row in shown]
    return sheet.finish(top), rows


def _example(sheet: Sheet, top: float, choices: Rows) -> float:
    """Write one example, with its choices if it has any; its height."""
    start, left, room = top, 2 * EDGE, sheet.width - 3 * EDGE
    first = choices[0]
    if len(choices) == 1:
        passage = Passage.asked(first)
        return sheet.passage(left, top, room, LINES, passage, end=bool(first["prompt"]))
    prompt = Passage.asked(first | {"continuation": ""})
    top += sheet.passage(left, top, room, max(2, LINES - len(choices)), prompt, end=True)
    for choice in choices:
        text = _marked(choice["continuation"].expandtabs(4).strip("\n").rstrip(), choice["gold"])
        passage = Passage.of(*(("", text) if choice["gold"] else (text, "")))
        top += sheet.passage(left, top, room, 1, passage, end=False)
    return top - start


def _marked(text: str, gold: bool) -> str:
    """A choice behind its mark, which stands in the choice's indentation if it has any."""
    return ("●" if gold else "○") + (text[1:] if text.startswith("  ") else f" {text}")
