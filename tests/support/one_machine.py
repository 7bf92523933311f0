"""A Slurm of two nodes, both here, each with a GPU that is none, from Debian's packages, on the
loopback alone.

    with OneMachine() as slurm: ...    or, by hand:    python tests/support/one_machine.py

Needs root. What it starts it stops, by process id. The configuration lies where every Slurm
command looks for it, because the executor's job steps forget SLURM_CONF.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge", "rsync")
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged", "rsync")
CONFIG = Path("/etc/slurm/slurm.conf")
NODES = {"node1": 17001, "node2": 17002}  # and the ports that they listen at
GPUS = len(NODES)
CPUS, MEMORY = 4, 12_000  # of a node; MB; Slurm believes what it is told
PATIENCE = 60  # seconds for any one command, and for a daemon to come up

SLURM_CONF = """\
ClusterName=proxyscale
SlurmctldHost={host}(127.0.0.1)
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
AuthInfo=socket={run}/munge/socket
CryptoType=crypto/munge
SlurmUser=root
StateSaveLocation={run}/state
SlurmdSpoolDir={run}/spool-%n
SlurmctldLogFile={run}/slurmctld.log
SlurmdLogFile={run}/slurmd-%n.log
SlurmctldPidFile={run}/slurmctld.pid
SlurmdPidFile={run}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
JobCompType=jobcomp/filetxt
JobCompLoc={run}/jobs.log
MinJobAge=3600
KillWait=2
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=DEFAULT CPUs={cpus} RealMemory={memory} Gres=gpu:1
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=60
"""
GRES_CONF = "Name=gpu File=/dev/null\n"


class Unavailable(Exception):
    """There can be no Slurm here; the message says why."""


def run(*command: str, **options: Any) -> str:
    """A command's output. CalledProcessError if it fails, TimeoutExpired if it hangs."""
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=PATIENCE, **options
    )
    return done.stdout


def install() -> None:
    """Install what is missing. Unavailable without root, the packages, or on a real cluster."""
    if os.geteuid() != 0:
        raise Unavailable("a Slurm of one's own needs root")
    if CONFIG.exists() and "ClusterName=proxyscale\n" not in CONFIG.read_text():
        raise Unavailable(f"this machine belongs to a Slurm already: {CONFIG}")
    if all(map(shutil.which, PROGRAMS)):
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        for words in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
            command = ["apt-get", "--quiet", *words]
            subprocess.run(
                command, env=environment, check=True, capture_output=True, timeout=5 * PATIENCE
            )
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"Debian's packages are not to be had: {error}") from None


class OneMachine:
    """The cluster, up while the block runs. `folder` holds its logs and its list of jobs."""

    def __enter__(self) -> OneMachine:
        install()
        self.begun = time.time()
        self.folder = Path(tempfile.mkdtemp(prefix="proxyscale-slurm-", dir="/run"))
        self.folder.chmod(0o711)
        self.daemons: list[subprocess.Popen[bytes]] = []
        try:
            self._configure()
            munge = self.folder / "munge"
            self._start("munged", "--foreground", "--force", *_munge_flags(munge))
            self._wait(lambda: (munge / "socket").exists(), "munged")
            self._start("slurmctld", "-D")
            for node in NODES:
                self._start("slurmd", "-D", "-N", node)
            idle = ["idle"] * len(NODES)
            self._wait(lambda: run("sinfo", "-h", "-N", "-o", "%T").split() == idle, "slurmd")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        if self._alive():
            subprocess.run(["scancel", "--user=root"], timeout=PATIENCE, check=False)
            self._settle()
        for daemon in reversed(self.daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(timeout=10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for step in self._steps():
            with contextlib.suppress(psutil.NoSuchProcess):
                for process in (*step.children(recursive=True), step):
                    process.kill()
        CONFIG.unlink(missing_ok=True)
        CONFIG.with_name("gres.conf").unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _steps(self) -> list[psutil.Process]:
        """Keepers of jobs that outlived their cluster: there is no other on this machine."""
        found = psutil.process_iter(["name", "create_time"])
        later = [process for process in found if process.info["create_time"] >= self.begun]
        return [process for process in later if process.info["name"].startswith("slurmstepd")]

    def _alive(self) -> bool:
        return all(daemon.poll() is None for daemon in self.daemons)

    def _settle(self) -> None:
        """Wait a little for cancelled jobs to be gone."""
        for _ in range(20):
            left = subprocess.run(["squeue", "-h"], capture_output=True, timeout=PATIENCE)
            if not left.stdout.strip():
                return
            time.sleep(0.5)

    def _configure(self) -> None:
        for name in ("munge", "state", *(f"spool-{node}" for node in NODES)):
            (self.folder / name).mkdir(mode=0o711)
        key = self.folder / "munge/key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        each = {"cpus": CPUS, "memory": MEMORY}
        host = socket.gethostname().split(".")[0]
        here = f"NodeHostname={host} NodeAddr=127.0.0.1"
        nodes = "\n".join(f"NodeName={name} {here} Port={port}" for name, port in NODES.items())
        words = {**each, "host": host, "nodes": nodes, "run": self.folder}
        CONFIG.parent.mkdir(exist_ok=True)
        CONFIG.write_text(SLURM_CONF.format(**words))
        CONFIG.with_name("gres.conf").write_text(GRES_CONF)

    def _start(self, *command: str) -> None:
        with (self.folder / f"{command[0]}-{len(self.daemons)}.out").open("wb") as log:
            self.daemons.append(subprocess.Popen(command, stdout=log, stderr=log))

    def _wait(self, ready: Any, daemon: str) -> None:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self._alive():
            try:
                if ready():
                    return
            except subprocess.SubprocessError:
                pass
            time.sleep(0.2)
        said = "\n".join(log.read_text() for log in self.folder.glob("*.out"))
        raise RuntimeError(f"{daemon} does not come up:\n{said[-3000:]}")


def _munge_flags(folder: Path) -> list[str]:
    places = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log"}
    named = [f"--{flag}={folder / name}" for flag, name in places.items()]
    return [*named, f"--seed-file={folder}/seed"]


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with OneMachine() as slurm:
        print(run("scontrol", "show", "node"), f"logs: {slurm.folder}; Ctrl-C ends it", sep="\n")
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
