"""Jobs that need no interpreter of their own: one process has loaded what all of them need, and
forks for those who ask.

Loading torch takes longer than training a small model. So the workflow of one machine starts a
process that loads the package and what it imports once. `python -m proxyscale VERB`, as a rule
calls it, hands that process its words, folder, environment and streams, and waits: it ends as its
fork ends, and its fork ends when it is ended. Where there is no such process (another system than
Linux, a cluster's node, an environment of a rule's own) the job runs in its own interpreter.

The workflow's own Snakemake asks without a shell and an interpreter between (`hand_over`), and of
jobs that are alike one fork does many, one after another: small runs share a process.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import json
import os
import re
import shlex
import signal
import socket
import struct
import sys
from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess

ENVIRONMENT = "PROXYSCALE_JOB_SERVER"  # "address prefix": where it listens, and its installation
THREADS = (  # read by libraries when they are loaded; Snakemake sets them for every job
    *("OMP_NUM_THREADS", "GOTO_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS"),
)
FEW = 4  # jobs that are done before a server has loaded what they need
FORKING = ("select",)  # verbs whose threads are forks (base/forks.py), of one thread each
ALIKE = ("select", "train", "evaluate")  # verbs whose jobs leave nothing behind in a process
# A rule's command takes its shell's place, so that it is Snakemake's own child and dies with it.
PREFIX = "set -euo pipefail; exec "
BEGUN = b"b"  # said by a fork that has understood what it is to do
# What a shell would hand on as it stands: words, and what `shlex.quote` makes of others.
_PLAIN = re.compile(
    rf"""{PREFIX} *python -m proxyscale ((?:[\w@%+=:,./ -]|'[^']*'|"'")*)""", re.ASCII
)
_DONE = struct.Struct("i?")  # exit code, and whether the fork waits for another job
_LENGTH = struct.Struct("Q")
_PEER = struct.Struct("3i")  # struct ucred: process, user, group
_asked_by: int | None = None  # the parent of the process that this fork works for
_waiting: list[socket.socket] = []  # forks that have done a job of this process


def start() -> None:
    """Start the server of this process's jobs; it ends with this process.

    Jobs may ask at once: they wait until it has loaded everything.
    """
    import secrets
    import subprocess

    address = f"proxyscale-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"\0{address}")  # a name without a file: nothing is left behind
        listening.listen(socket.SOMAXCONN)
        told = str(listening.fileno()), str(os.getpid())
        server = subprocess.Popen(
            [sys.executable, "-m", "proxyscale.cli.serve_jobs", *told],
            pass_fds=[listening.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for those who wait
            env=os.environ | dict.fromkeys(THREADS, "1"),
        )
    atexit.register(_end, server)
    os.environ[ENVIRONMENT] = f"{address} {sys.prefix}"


class Asked:
    """A job that a fork is doing; to Snakemake it is as a process of its own."""

    def __init__(self, fork: socket.socket) -> None:
        self.fork = fork

    def wait(self) -> int:
        """The exit code, negative that of a signal, as `subprocess` has it."""
        told = self.fork.recv(_DONE.size, socket.MSG_WAITALL)
        if len(told) < _DONE.size:
            self.fork.close()
            return 1  # the server was ended, and its forks with it
        code, waits = _DONE.unpack(told)
        if waits:
            _waiting.append(self.fork)
        else:
            self.fork.close()
        return int(code)


def set_threads(words: list[str]) -> None:
    """Before a job's libraries are loaded: one thread, where the others that it was given are for
    its forks."""
    if words[:1] and words[0] in FORKING:
        os.environ.update(dict.fromkeys(THREADS, "1"))


def run(words: list[str]) -> int | None:
    """Have a job done by this workflow's server; its exit code, or None if there is no server."""
    asked = ask(words, os.environ, os.getppid())
    if asked is None:
        return None
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    code = asked.wait()
    if code < 0:
        os.kill(os.getpid(), -code)
    return code


def hand_over() -> None:
    """Have this process's Snakemake ask the server itself, where a job's command is plain words."""
    import subprocess

    def begun(command: str, **options: Any) -> Any:
        words = plain(command)
        if words and options["stdout"] is not subprocess.PIPE:
            asked = ask(words, options["env"], os.getpid())
            if asked is not None:
                return asked
        return subprocess.Popen(command, **options)

    shells = sys.modules["snakemake.shell"]  # an import finds the class of that name
    vars(shells)["sp"] = SimpleNamespace(**{**vars(subprocess), "Popen": begun})


def plain(command: str) -> list[str]:
    """The words of a job's command; none if a shell would make something of them."""
    found = _PLAIN.fullmatch(command)
    return shlex.split(found[1]) if found else []


def alike(words: list[str]) -> bool:
    """Whether a process that has done this job can do another: it has loaded nobody's plugins,
    holds no GPU and has compiled nothing, of which torch allows a process so much and no more."""
    said = dict(itertools.pairwise(words))
    compiled = json.loads(said.get("--execution", "{}")).get("compile", False)
    own = "--plugin" in said or said.get("--gpus", "0") != "0" or compiled
    return words[0] in ALIKE and not own


def ask(words: list[str], environment: Mapping[str, str], parent: int) -> Asked | None:
    """Have a job of `parent` begun by a fork that has done one like it, or by a new one; None if
    there is no server."""
    address, _, prefix = environment.get(ENVIRONMENT, "").partition(" ")
    one_thread = all(environment.get(name, "1") == "1" for name in THREADS)
    if not address or prefix != sys.prefix or not one_thread:
        return None
    told = {"words": words, "folder": os.getcwd(), "environment": dict(environment)}
    text = json.dumps({**told, "parent": parent}).encode()
    while alike(words):
        try:
            fork = _waiting.pop()
        except IndexError:
            break
        if _begun(fork, text):
            return Asked(fork)
    server = socket.socket(socket.AF_UNIX)
    try:
        server.connect(f"\0{address}")
        _check_user(server)
    except OSError:
        server.close()
        return None
    return Asked(server) if _begun(server, text) else None


def _begun(fork: socket.socket, text: bytes) -> bool:
    """Whether a fork has begun what it is told; if not, it is gone."""
    with contextlib.suppress(OSError):
        socket.send_fds(fork, [_LENGTH.pack(len(text))], [0, 1, 2])
        fork.sendall(text)
        if fork.recv(len(BEGUN)) == BEGUN:
            return True
    fork.close()
    return False


def asked(server: socket.socket) -> list[str]:
    """In a fork: wait for what is to be done, and take the place of the one who asks. Its words."""
    global _asked_by
    _check_user(server)
    header, descriptors, *_ = socket.recv_fds(server, _LENGTH.size, 3)
    if not header:
        sys.exit("who asked is gone")
    (length,) = _LENGTH.unpack(header)
    told: dict[str, Any] = json.loads(server.recv(length, socket.MSG_WAITALL))
    for place, found in enumerate(descriptors):
        os.dup2(found, place)
        os.close(found)
    os.chdir(told["folder"])
    os.environ.clear()
    os.environ.update(told["environment"])
    del os.environ[ENVIRONMENT]  # what a job itself starts is its own
    _asked_by = told["parent"]
    server.sendall(BEGUN)
    words: list[str] = told["words"]
    return words


def tell(server: socket.socket, status: int) -> None:
    """Tell the one who asked how its fork ended; it may be gone."""
    with contextlib.suppress(OSError), server:
        server.sendall(_DONE.pack(os.waitstatus_to_exitcode(status), False))


def tell_done(server: socket.socket) -> None:
    """In a fork: tell the one who asked that its job is done, and that another may follow."""
    server.sendall(_DONE.pack(0, True))


def parent() -> int:
    """The process that started this job."""
    return os.getppid() if _asked_by is None else _asked_by


def _check_user(peer: socket.socket) -> None:
    """PermissionError if another user is at the other end: names without a file are open to all."""
    told = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    if _PEER.unpack(told)[1] != os.getuid():
        raise PermissionError("jobs of another user")


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    server.wait()
