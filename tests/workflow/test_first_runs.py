"""Of every scale one run starts first: a mistake in a small one is told before dear ones."""

from __future__ import annotations

import re
from pathlib import Path

from support.workflow_run import Workflow

RUN = re.compile(
    r"^rule train:\n(?: .*\n)*?    wildcards: scale=(\w+), distribution=(\w+),.*\n"
    r"    priority: (\d+)",
    re.MULTILINE,
)


def test_a_run_of_every_scale_comes_before_all_others(tmp_path: Path):
    workflow = Workflow(tmp_path)
    told = RUN.findall(workflow.dry_run())
    ranked = sorted(told, key=lambda run: -int(run[2]))
    assert len(ranked) == 9
    assert [scale for scale, *_ in ranked[:3]] == ["xs", "s", "ref"]
    assert [scale for scale, *_ in ranked[3:5]] == ["ref", "ref"]
