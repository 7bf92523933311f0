"""What `compare` prints: every R² with its sign and with what one recipe less makes of it."""

from __future__ import annotations

import re

import numpy as np
from support.synthetic_study import synthetic

from proxyscale.reporting.compare import told
from proxyscale.statistics.grid_reading import read_grid


def test_every_r2_of_the_console_has_its_sign_and_what_moves_it_most() -> None:
    names, tasks = tuple(f"d{i}" for i in range(9)), ("wiki", "turned")
    given = {"distributions": names, "tasks": tasks, "scales": {"s": 20_000, "ref": 90_000}}
    made = synthetic(**given, examples=2, falling="turned")
    grid = read_grid(made["losses"], made["runs"])
    lines = told(grid, "ref", made["statistics"])
    assert "less one (most moved by)" in lines[-3]
    for line, task in zip(lines[-2:], tasks, strict=True):
        x, y = grid.means(task)
        r = np.corrcoef(x, y)[0, 1]
        others = [np.corrcoef(np.delete(x, i), np.delete(y, i))[0, 1] for i in range(len(x))]
        most = int(np.abs(np.arctanh(others) - np.arctanh(r)).argmax())
        ends = [f"{value * abs(value):.3f}" for value in (min(others), max(others))]
        assert f" {ends[0]} to {ends[1]} (d{most}) " in line
        assert re.match(rf" *{task} +s +9 +{r * r:.3f} \[\S+ \S+\]( r < 0)? ", line)
        assert ("r < 0" in line) == (r < 0) == (task == "turned")
