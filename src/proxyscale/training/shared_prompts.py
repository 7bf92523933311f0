"""Choices of one prompt as one sequence: the prompt is computed once, its choices stand behind it.

Every choice's positions go on from the prompt's, and it sees the prompt and itself alone; so its
logits are those that it has in a sequence of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from proxyscale.training.model import Layout


class Shared(NamedTuple):
    """Rows that share their prompt."""

    rows: list[int]
    prompt: int  # how many tokens it has
    answers: list[np.ndarray]  # of each row, all of whose tokens are scored
    tokens: np.ndarray  # the prompt, and of each answer all that predicts some of its tokens


class Arranged(NamedTuple):
    """A batch of them, padded on the right."""

    tokens: np.ndarray  # [batch, length]
    positions: np.ndarray  # [batch, length] in a choice's own sequence
    choices: np.ndarray  # [batch, length] 0 of the prompt, then from 1 on; -1 of padding
    places: np.ndarray  # [n] in [batch · length] of what predicts a scored token
    targets: np.ndarray  # [n] the scored tokens
    rows: np.ndarray  # [n] whose they are

    def layout(self, device: torch.device) -> Layout:
        """What each token sees."""
        choices = torch.from_numpy(self.choices).to(device)
        seen = choices[:, None] == choices[:, :, None]
        seen |= (choices == 0)[:, None]
        seen &= torch.ones(seen.shape[1:], dtype=torch.bool, device=device).tril()
        mask = torch.where(seen, 0.0, -torch.inf)
        return Layout(torch.from_numpy(self.positions).to(device), mask[:, None])


def found(tokens: list[np.ndarray], starts: list[int], context: int) -> list[Shared]:
    """Rows that share a prompt: those of one prompt, as many as have no more tokens than it.

    `tokens` of each row, scored from `starts` on. Rows that are longer than the context lose their
    beginning, each its own, and are none of these. Many or long answers would cost more in
    attention to what they do not see than the prompt does.
    """
    groups: list[list[int]] = []
    latest: dict[bytes, list[int]] = {}
    for row, (own, start) in enumerate(zip(tokens, starts, strict=True)):
        if len(own) > context + 1:
            continue
        mine = latest.get(prompt := own[:start].tobytes())
        if mine is None or sum(len(tokens[other]) - start for other in (*mine, row)) > start:
            mine = latest[prompt] = []
            groups.append(mine)
        mine.append(row)
    return [_shared(tokens, rows, starts[rows[0]]) for rows in groups if len(rows) > 1]


def _shared(tokens: list[np.ndarray], rows: list[int], start: int) -> Shared:
    answers = [tokens[row][start:] for row in rows]
    parts = [tokens[rows[0]][:start], *(answer[:-1] for answer in answers)]
    return Shared(rows, start, answers, np.concatenate(parts))


def arranged(batch: list[Shared], alignment: int) -> Arranged:
    """A batch, longest first, of a length that is a multiple of `alignment`."""
    length = -(-len(batch[0].tokens) // alignment) * alignment
    shape = len(batch), length
    tokens, positions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    choices = np.full(shape, -1, np.int16)
    sizes = [np.array([len(answer) for answer in item.answers]) for item in batch]
    places = []
    for line, (item, scored) in enumerate(zip(batch, sizes, strict=True)):
        start, end = item.prompt, len(item.tokens)
        number = np.repeat(np.arange(len(scored)), scored - 1)
        before = np.cumsum(scored - 1) - (scored - 1)  # tokens of the choices before each
        behind = np.arange(end - start)
        tokens[line, :end] = item.tokens
        positions[line, :start] = np.arange(start)
        positions[line, start:end] = start + behind - before[number]
        choices[line, :start], choices[line, start:end] = 0, 1 + number
        # the prompt's end predicts the first token of every choice
        own = np.full(scored.sum(), start - 1)
        own[np.delete(np.arange(len(own)), np.cumsum(scored) - scored)] = start + behind
        places.append(line * length + own)
    targets = np.concatenate([answer for item in batch for answer in item.answers])
    rows = np.repeat([row for item in batch for row in item.rows], np.concatenate(sizes))
    return Arranged(
        tokens, positions, choices, np.concatenate(places), targets.astype(np.int64), rows
    )
