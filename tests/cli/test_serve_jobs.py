"""Jobs that are forked behave as jobs that have interpreters of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from support.paths import ROOT

from proxyscale.base import job_server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="jobs are forked on Linux alone")

PLUGIN = '''
import os
import sys
import time

from proxyscale.data.judge import Document
from proxyscale.registry import corpus


@corpus
def told(*, told: str):
    """Documents that tell where they were made."""
    print("seen", os.environ["TOLD"], os.getcwd(), sys.argv[1:], file=sys.stderr)
    if told == "sleep":
        time.sleep(3600)
    if told == "die":
        os.kill(os.getpid(), 11)
    for number in range(0 if told == "none" else 50):
        yield Document(str(number), f"{told} {number} {os.environ['TOLD']}")
'''
SPLITS = {"holdout": 0.2, "target": 0.1, "max_bytes": None}
PARENT = """
import os, signal, sys
from proxyscale.base import job_server
job_server.start()
print(os.environ[job_server.ENVIRONMENT], flush=True)
sys.stdin.read()
"""

KILLED = """
import os, psutil
from proxyscale.base import job_server
job_server.start()
print(psutil.Process().children()[0].pid, flush=True)
os.kill(os.getpid(), 9)
"""


class Serving(NamedTuple):
    """A process with a server of jobs, as a workflow has, and what its jobs are told of that."""

    process: subprocess.Popen[str]
    address: str


@contextmanager
def serving() -> Iterator[Serving]:
    """Such a process, while the block runs."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    yield Serving(process, process.stdout.readline().strip())
    process.kill()
    process.communicate()


@pytest.fixture(scope="module")
def workflow() -> Iterator[Serving]:
    with serving() as found:
        yield found


def job(folder: Path, address: str, told: str = "text", **options: str) -> subprocess.Popen[str]:
    """A job that reads a corpus, by the server at the address or, without one, by itself."""
    (folder / "plugin.py").write_text(PLUGIN)
    spec = {"kind": "told", "options": {"told": told} | options, "seed": 0, **SPLITS}
    words = ["--plugin", "plugin.py", "--source", "a", "--spec", json.dumps(spec), "--out", "out"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "TOLD": told * 2}
    return subprocess.Popen(
        [sys.executable, "-m", "proxyscale", "corpus", "--log", "log", *words],
        cwd=folder,
        env=environment | ({job_server.ENVIRONMENT: address} if address else {}),
        stderr=subprocess.PIPE,
        text=True,
    )


def forks(workflow: Serving) -> list[psutil.Process]:
    """The jobs at work."""
    (server,) = psutil.Process(workflow.process.pid).children()
    return server.children()


def began(folder: Path, call: subprocess.Popen[str]) -> None:
    """Wait until the job has begun to read."""
    log = folder / "log"
    while not log.exists() or "seen" not in log.read_text():
        assert call.poll() is None, call.communicate()
        time.sleep(0.02)


def test_a_fork_does_what_an_interpreter_does(tmp_path: Path, workflow: Serving) -> None:
    made = []
    for name, address in ("own", ""), ("fork", workflow.address):
        folder = tmp_path / name
        folder.mkdir()
        call = job(folder, address)
        said = call.communicate()[1]
        assert call.returncode == 0, said
        assert f"seen texttext {folder} ['corpus', '--log', 'log', '--plugin'" in said
        files = [path for path in folder.rglob("*") if path.is_file() and path.name != "log"]
        made.append({str(p.relative_to(folder)): p.read_bytes() for p in files})
    assert made[0] == made[1]
    assert "out/documents.parquet" in made[0]


def test_forks_do_not_load_what_the_server_has(tmp_path: Path, workflow: Serving) -> None:
    """That is what the server is for; and the one who waits loads next to nothing."""
    call = job(tmp_path, workflow.address, "sleep")
    began(tmp_path, call)
    (fork,) = forks(workflow)
    assert any("torch" in mapped.path for mapped in fork.memory_maps())
    assert not any("numpy" in mapped.path for mapped in psutil.Process(call.pid).memory_maps())
    call.kill()
    call.communicate()
    assert not psutil.wait_procs([fork], timeout=10)[1]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_fork_ends_with_the_one_who_waits(
    tmp_path: Path, workflow: Serving, how: signal.Signals
) -> None:
    call = job(tmp_path, workflow.address, "sleep")
    began(tmp_path, call)
    (fork,) = forks(workflow)
    call.send_signal(how)
    assert call.communicate()[1].startswith("seen")
    assert call.returncode == -how
    assert not psutil.wait_procs([fork], timeout=10)[1]


def test_the_one_who_waits_ends_as_its_fork(tmp_path: Path, workflow: Serving) -> None:
    crashed = job(tmp_path, workflow.address, "die")
    crashed.communicate()
    assert crashed.returncode == -signal.SIGSEGV
    codes, told = [], []
    for address in workflow.address, "":
        call = job(tmp_path, address, "none")
        told.append(call.communicate()[1].splitlines()[-1])
        codes.append(call.returncode)
    assert codes == [2, 2], told
    assert told[0] == told[1]


def test_without_a_server_a_job_runs_by_itself(tmp_path: Path) -> None:
    for address in f"nobody {sys.prefix}", "nobody /another/installation":
        call = job(tmp_path, address)
        assert call.communicate()[1].startswith("seen")
        assert call.returncode == 0


def test_server_and_forks_end_with_the_workflow(tmp_path: Path) -> None:
    with serving() as workflow:
        call = job(tmp_path, workflow.address, "sleep")
        began(tmp_path, call)
        alive = psutil.Process(workflow.process.pid).children(recursive=True)
        assert len(alive) == 2
        workflow.process.kill()
        assert not psutil.wait_procs(alive, timeout=10)[1]
    call.communicate()
    assert call.returncode


def test_a_server_whose_workflow_is_killed_while_it_starts_ends(tmp_path: Path) -> None:
    """Before the kernel could be asked to end it with its parent."""
    told, environment = tmp_path / "told", {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with told.open("w") as out:  # not a pipe, which would be open as long as the server is there
        done = subprocess.run([sys.executable, "-c", KILLED], env=environment, stdout=out)
    assert done.returncode == -signal.SIGKILL
    server = int(told.read_text())
    for _ in range(600):
        if not psutil.pid_exists(server):
            return
        time.sleep(0.1)
    os.kill(server, signal.SIGKILL)
    pytest.fail("the server of a workflow that is gone goes on")
