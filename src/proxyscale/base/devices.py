"""GPUs of this machine among jobs: Snakemake counts GPUs but assigns none.

A GPU has `SLOTS` slots, a lock file each. A job that needs a GPU takes all slots of the first that
is free, a job that needs a share of one takes so many of them, and shows no other GPU to CUDA. The
kernel frees the locks when the job ends, however it ends. All studies and users of a machine share
the lock files. Where a cluster's scheduler assigns GPUs, none of this is used.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

ENVIRONMENT = "PROXYSCALE_GPUS"  # the GPUs that jobs share, "0,1"; unset where a scheduler assigns
LOCKS = Path("/tmp")
SLOTS = 20  # so many runs can be on a GPU at once
INTERVAL = 0.2  # seconds between two looks for a free GPU
_held = ExitStack()  # keeps the locks until the process ends


def visible() -> list[str]:
    """Names of the GPUs that CUDA would show here, without asking CUDA."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name.strip() not in ("", "-1")]
    found = (re.fullmatch(r"nvidia(\d+)", path.name) for path in Path("/dev").glob("nvidia*"))
    return sorted((match[1] for match in found if match), key=int)


def slots(gpus: float) -> int:
    """Slots of so many GPUs, or of a share of one."""
    return max(1, round(gpus * SLOTS))


def take(count: int) -> None:
    """Wait until `count` slots are free, and make their GPUs this process's own.

    Up to a GPU's slots are of one GPU; more are whole GPUs.
    """
    shared = os.environ.get(ENVIRONMENT)
    if not count or not shared:
        return
    while True:
        with ExitStack() as tried:
            with ExitStack() as turn:  # one looks at a time: two would be in each other's way
                _lock("all", turn, wait=True)
                found = _free(shared.split(","), count, tried)
            if len(found) == -(-count // SLOTS):
                _held.enter_context(tried.pop_all())
                os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(found)
                return
        time.sleep(INTERVAL)


def _free(names: list[str], count: int, stack: ExitStack) -> list[str]:
    """GPUs that together have `count` slots free, or those there are; the stack holds the slots."""
    each = min(count, SLOTS)
    found: list[str] = []
    for name in names:
        with ExitStack() as own:
            free = (slot for slot in range(SLOTS) if _lock(f"{name}-{slot}", own))
            if len(list(islice(free, each))) == each:
                stack.enter_context(own.pop_all())
                found.append(name)
        if len(found) * SLOTS >= count:
            break
    return found


def _lock(name: str, stack: ExitStack, wait: bool = False) -> bool:
    """Whether a lock was free; it is held until the stack closes."""
    path = LOCKS / f"proxyscale-gpu-{name.replace('/', '-')}.lock"
    if not path.exists():
        path.touch()
    file = path.open("rb")  # another user's file may be read, and that is enough to lock it
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        file.close()
        return False
    stack.enter_context(file)
    return True
