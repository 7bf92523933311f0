"""Figure 2: intervals of many groups stand side by side, not upon each other."""

from __future__ import annotations

import itertools

from support.drawn import make
from support.synthetic_study import SIMILAR, TASKS, synthetic

from proxyscale.statistics.grid_reading import read_grid
from proxyscale.statistics.proxy_statistics import summarize


def test_groups_of_one_scale_stand_before_the_next_scale() -> None:
    scales = {"a": 20_000, "b": 22_000, "c": 24_500, "ref": 300_000}
    study = synthetic(scales=scales, tasks=TASKS[:1], examples=2)
    groups = {f"g{i}": SIMILAR[: 3 + i] for i in range(4)}
    grid = read_grid(study["losses"], study["runs"])
    study |= {"statistics": summarize(grid, reference="ref", groups=groups)}
    figure, rows = make("compute_fig2", study)
    assert len({row["group"] for row in rows}) == 5
    (panel,) = figure.subfigs[0].axes
    through = [line.get_xdata() for line in panel.lines if len(line.get_xdata()) == 3]
    assert len(through) == 5
    places = [sorted(line[scale] for line in through) for scale in range(3)]
    for own, following in itertools.pairwise(places):
        assert len(set(own)) == 5
        assert max(own) < min(following)
