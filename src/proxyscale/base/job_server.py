"""Jobs that need no interpreter of their own: one process has loaded what all of them need, and
forks for each.

Loading torch takes longer than training a small model. So the workflow of one machine starts a
process that loads the package and what it imports once. `python -m proxyscale VERB`, as a rule
calls it, hands that process its words, folder, environment and streams, and waits: it ends as its
fork ends, and its fork ends when it is ended. Where there is no such process (another system than
Linux, a cluster's node, an environment of a rule's own) the job runs in its own interpreter.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess

ENVIRONMENT = "PROXYSCALE_JOB_SERVER"  # "address prefix": where it listens, and its installation
THREADS = (  # read by libraries when they are loaded; Snakemake sets them for every job
    *("OMP_NUM_THREADS", "GOTO_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS"),
)
FEW = 4  # jobs that are done before a server has loaded what they need
BEGUN = b"b"  # said by a fork that has understood what it is to do
_CODE = struct.Struct("i")
_LENGTH = struct.Struct("Q")
_PEER = struct.Struct("3i")  # struct ucred: process, user, group
_asked_by: int | None = None  # the parent of the process that this fork works for


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


def run(words: list[str]) -> int | None:
    """Have a job done by this workflow's server; its exit code, or None if there is no server."""
    address, _, prefix = os.environ.get(ENVIRONMENT, "").partition(" ")
    one_thread = all(os.environ.get(name, "1") == "1" for name in THREADS)
    if not address or prefix != sys.prefix or not one_thread:
        return None
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.connect(f"\0{address}")
            _check_user(server)
            _send(server, words)
            if server.recv(len(BEGUN)) != BEGUN:
                return None
        except OSError:
            return None
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        told = server.recv(_CODE.size, socket.MSG_WAITALL)
    if len(told) < _CODE.size:
        return 1  # the server was ended, and its forks with it
    (code,) = _CODE.unpack(told)
    if code < 0:
        os.kill(os.getpid(), -code)
    return int(code)


def asked(server: socket.socket) -> list[str]:
    """In a fork: read what is to be done, and take the place of the one who asks. Its words."""
    global _asked_by
    _check_user(server)
    header, descriptors, *_ = socket.recv_fds(server, _LENGTH.size, 3)
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
        server.sendall(_CODE.pack(os.waitstatus_to_exitcode(status)))


def parent() -> int:
    """The process that started this job."""
    return os.getppid() if _asked_by is None else _asked_by


def _send(server: socket.socket, words: list[str]) -> None:
    told = {
        "words": words,
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "parent": os.getppid(),
    }
    text = json.dumps(told).encode()
    socket.send_fds(server, [_LENGTH.pack(len(text))], [0, 1, 2])
    server.sendall(text)


def _check_user(peer: socket.socket) -> None:
    """PermissionError if another user is at the other end: names without a file are open to all."""
    told = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    if _PEER.unpack(told)[1] != os.getuid():
        raise PermissionError("jobs of another user")


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    server.wait()
