"""A run that several GPUs share is started again by torchrun, with the very words of its job."""

from __future__ import annotations

import subprocess
import sys

import pytest
from torch.distributed.run import get_args_parser

from proxyscale.training import engines


def test_torchrun_takes_no_option_of_a_job_for_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["train", "--log", "logs/a.log", "--gpus", "40", "--title", "a b", "--run", "x"]
    started: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        started.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(sys, "argv", ["proxyscale", *words])
    monkeypatch.setattr(subprocess, "run", run)
    engines.spread(2)
    ((_, _, program, *options),) = started
    assert program == "torch.distributed.run"
    read = get_args_parser().parse_args(options)
    assert (read.nproc_per_node, read.module) == ("2", True)
    assert [read.training_script, *read.training_script_args] == ["proxyscale", *words]
