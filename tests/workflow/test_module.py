"""The workflow from other folders: as a module of another workflow, and with a folder told."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import yaml
from support.dry_runs import dry_run
from support.paths import ROOT
from support.workflow_run import Workflow

from proxyscale.cli.init_study import SNAKEFILE


def called(folder: Path, *arguments: str) -> str:
    """What Snakemake says, called in a folder; AssertionError if it fails."""
    command = [sys.executable, "-m", "snakemake", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_another_workflow_uses_this_one_as_a_module(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    there = Workflow(tmp_path / "there")
    own = tmp_path / "own"
    own.mkdir()
    for name in (*there.config["sources"], "last", "plugin", "unused"):
        file = there.config["sources"].get(name, {}).get("files") or f"{name}.jsonl"
        file = f"{name}.py" if "plug" in name or name == "unused" else file
        (own / file).parent.mkdir(parents=True, exist_ok=True)
        (there.folder / file).rename(own / file)
    (own / "config.yaml").write_text(yaml.safe_dump(there.config))
    snakefile = json.dumps(str(ROOT / "Snakefile"))
    (own / "Snakefile").write_text(SNAKEFILE.format(snakefile=snakefile))
    said = called(own, "--cores", "1", "results/pool/manifest.json")
    assert re.search(r"^pool [\d,]+ examples", said, re.MULTILINE)
    assert (own / "results/study.json").is_file(), "the folder is claimed"
    counts = dict(re.findall(r"^(\w+) +(\d+)$", dry_run(own), re.MULTILINE))
    assert counts["train"] == "9"
    assert not counts.keys() & {"pool", "pack", "corpus"}

    module = (own / "Snakefile").read_text()
    prefixed = module.replace("    config: config\n", '    prefix: "in"\n    config: config\n')
    assert prefixed != module
    (own / "Snakefile").write_text(prefixed)
    asked = dry_run(own, "--printshellcmds")
    assert len(re.findall(r"\bin/results/", asked)) > 500
    assert re.findall(r"(?<!in/)\bresults/.{0,60}", asked) == []


def test_a_folder_may_be_told(tmp_path: Path) -> None:
    here = "--directory", str(tmp_path / "there")
    said = dry_run(tmp_path, *here, "-s", str(ROOT / "Snakefile"), "results/pool/manifest.json")
    assert re.search(r"^pool +1$", said, re.MULTILINE)
    assert f"no config.yaml here: the study is {ROOT}/config.yaml" in said
