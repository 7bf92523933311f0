"""The profiles for clusters, as far as they can be tried without one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.dry_runs import dry_run
from support.paths import ROOT
from support.workflow_run import Workflow

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


def test_slurm_is_asked_for_the_nodes_of_a_run_that_several_share(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path)
    workflow.config["training"]["batch_tokens"] = 64
    workflow.config["execution"] = {"device": "h100"}
    workflow.config["scales"]["ref"] |= {"gpus": 4, "nodes": 2}
    told = re.split(r"^rule ", workflow.dry_run("--cores", "4", "--jobs", "4"), flags=re.MULTILINE)
    runs = [job for job in told if job.startswith("train:")]
    shared = [job for job in runs if "scale=ref" in job]
    assert shared
    for job in runs:
        resources = re.sub('execution=.*"sharded":false}', "", job.partition("resources:")[2])
        asked = dict(re.findall(r"(\w+)=([^,\n]*)", resources))
        if job in shared:
            assert "threads: 2\n" in job
            assert (asked["mpi"], asked["nodes"], asked["tasks"]) == ("srun", "2", "2")
            assert asked["tasks_per_gpu"] == "0"  # or Slurm would be asked for a task a GPU
            assert asked["slurm_extra"] == "--gpus-per-node=2"
        else:
            assert not {"mpi", "nodes", "tasks", "slurm_extra"} & asked.keys()
