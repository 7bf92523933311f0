"""One workflow at a time writes into a results folder, and no job outlives its workflow.

The kernel, or the file server, drops a process's locks when it dies, however it dies: no lock can
be stale, and nothing has to be unlocked by hand. In `{results}/.claim`:

    workflow.lock   held alone by the workflow at work
    owner.json      who that is: a token made at its start, which its jobs carry in ENVIRONMENT
    jobs.lock       shared by its running jobs
    ended           a line for each of its jobs that ended itself by an error: code, log

A job whose token is no longer the owner's ends itself before it has touched a file, or within a
second; a new workflow waits until no job of an earlier one holds `jobs.lock`. Whether the jobs run
here or on the nodes of a cluster makes no difference.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import secrets
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from proxyscale.base.errors import UserError, room
from proxyscale.base.paths import CLAIM, own_files

ENVIRONMENT = "PROXYSCALE_CLAIM"  # "token folder"
PARENT = "PROXYSCALE_PARENT"  # process id of the Snakemake that starts a job
PARTIAL = ".partial-"  # how names of half-written files begin
ENDED = "ended"
MISTAKE = 2  # exit code of a job that ended by a mistake of the user's
INTERVAL = 1.0  # seconds between two looks at the owner
PR_SET_PDEATHSIG = 1  # from <linux/prctl.h>
_UNSUPPORTED = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK}
_held: list[int] = []  # descriptors that keep a lock until the process ends
_joined: list[str] = []  # claims that this process watches


def take(results: str | Path) -> None:
    """Make this process the one workflow that writes below `results`, until it ends.

    Waits for jobs that an earlier workflow left running, and removes what they left half written.
    UserError if another workflow is at work.
    """
    folder = Path(results).absolute() / CLAIM
    try:
        with room(folder):
            folder.mkdir(parents=True, exist_ok=True)
            workflow = _open(folder / "workflow.lock")
    except OSError as error:
        raise UserError(f"{results} cannot be made: {error.strerror}", where="results") from None
    if not _lock(workflow, fcntl.LOCK_EX | fcntl.LOCK_NB):
        raise UserError(
            f"another call is at work on {results}: {_told(folder)}",
            where="results",
            hint="wait for it, or end it: nothing has to be unlocked by hand",
        )
    _held.append(workflow)
    token = secrets.token_hex(8)
    owner = {"token": token, "host": socket.gethostname(), "process": os.getpid()}
    temporary = folder / f"{PARTIAL}{token}"
    with room(temporary):
        temporary.write_text(json.dumps(owner))
        temporary.replace(folder / "owner.json")
    (folder / ENDED).unlink(missing_ok=True)
    _wait_for_orphans(folder)
    for file in own_files(results):
        if file.name.startswith(PARTIAL):
            Path(file).unlink(missing_ok=True)
    os.environ[ENVIRONMENT] = f"{token} {folder}"


def briefly(results: str | Path) -> int | None:
    """The workflow's lock as a descriptor to be closed soon; None if a workflow is at work."""
    workflow = _open(Path(results) / CLAIM / "workflow.lock")
    if _lock(workflow, fcntl.LOCK_EX | fcntl.LOCK_NB):
        return workflow
    os.close(workflow)
    return None


def join(parent_dies: bool) -> None:
    """Make this process a job of the workflow whose claim is in the environment, if one is.

    It ends, together with the jobs it started, when the claim passes to another workflow, and with
    `parent_dies` also when its parent ends. Ends at once if that has happened already.
    """
    claim = os.environ.get(ENVIRONMENT)
    if not claim or claim in _joined:
        return
    _joined.append(claim)
    token, _, place = claim.partition(" ")
    folder = Path(place)
    if parent_dies:
        end_with_parent()
        if _is_orphan():
            sys.exit("this job's workflow is gone")
    jobs = _open(folder / "jobs.lock")
    _lock(jobs, fcntl.LOCK_SH)
    _held.append(jobs)
    if not _is_owner(folder, token):
        sys.exit("this job's workflow is gone")
    threading.Thread(target=_watch, args=(folder, token), daemon=True).start()


def end_with_parent(parent: int | None = None) -> None:
    """Have the kernel end this process when its parent ends; on Linux, elsewhere it can't.

    Ends at once if `parent`, who started it, has ended before.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        sys.exit("who started this process is gone")


def note_end(code: int, log: str) -> None:
    """Let this job's workflow, if it has one, know that the job ends itself with an exit code.

    More memory, more time or another node would not help it.
    """
    if claim := os.environ.get(ENVIRONMENT):
        with (Path(claim.partition(" ")[2]) / ENDED).open("a") as file:
            file.write(f"{code} {log}\n")


def ended(results: str | Path) -> dict[str, int]:
    """Logs of the jobs that ended themselves under the workflow that claims these results, and
    their exit codes."""
    try:
        lines = (Path(results) / CLAIM / ENDED).read_text().splitlines()
    except FileNotFoundError:
        return {}
    return {log: int(code) for code, _, log in (line.partition(" ") for line in lines)}


def mistaken(results: str | Path) -> bool:
    """Whether a job of the workflow that claims these results ended by a mistake of the user's."""
    return MISTAKE in ended(results).values()


def _is_orphan() -> bool:
    """Whether this process's parent ended before the kernel was asked to tell of that."""
    try:
        os.kill(int(os.environ.get(PARENT, os.getpid())), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def _watch(folder: Path, token: str) -> None:
    """End this process, with no time for it to clean up after itself, when the owner changes."""
    while _is_owner(folder, token):
        time.sleep(INTERVAL)
    os.kill(os.getpid(), signal.SIGKILL)


def _is_owner(folder: Path, token: str) -> bool:
    try:
        return bool(json.loads((folder / "owner.json").read_text())["token"] == token)
    except FileNotFoundError:
        return False  # the results were removed
    except OSError:
        return True  # a file server that does not answer decides nothing


def _wait_for_orphans(folder: Path) -> None:
    jobs = _open(folder / "jobs.lock")
    told = False
    while not _lock(jobs, fcntl.LOCK_EX | fcntl.LOCK_NB):
        if not told:
            told = True
            print("waiting for jobs that an earlier call left running", file=sys.stderr)
        time.sleep(INTERVAL / 10)
    os.close(jobs)


def _open(path: Path) -> int:
    """A descriptor that programs started by this process do not inherit."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


def _lock(descriptor: int, kind: int) -> bool:
    """Whether the lock was had; on a file system without locks it always is."""
    try:
        fcntl.flock(descriptor, kind)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        print("this file system has no locks: run one call at a time", file=sys.stderr)
    return True


def _told(folder: Path) -> str:
    """Who the owner is, in words."""
    try:
        owner: dict[str, Any] = json.loads((folder / "owner.json").read_text())
    except (OSError, ValueError):
        return "it has just begun"
    return f"process {owner['process']} on {owner['host']}"
