"""The profiles for clusters, as far as they can be tried without one."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.dry_runs import dry_run
from support.paths import ROOT

from proxyscale.study.validation import read_yaml

PROFILES = [next(path.glob("*.yaml")) for path in sorted(ROOT.glob("profiles/[!d]*"))]
STUDIES = ["config.yaml", "workflow/studies/vision.yaml", "tests/studies/small.yaml"]


def test_the_profiles_group_alike() -> None:
    groups = [read_yaml(path)["groups"] for path in PROFILES]
    assert len(groups) == 2
    assert groups[0] == groups[1]


@pytest.mark.parametrize("study", STUDIES)
def test_the_groups_are_possible(study: str, tmp_path: Path) -> None:
    groups = [f"{rule}={group}" for rule, group in read_yaml(PROFILES[0])["groups"].items()]
    words = ["--quiet", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
    words += ["--configfile", str(ROOT / study)]
    dry_run(tmp_path, *words, "--groups", *groups)
