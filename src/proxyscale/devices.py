"""GPUs of this machine, one job each: Snakemake counts GPUs but assigns none.

A job that needs a GPU takes the first whose lock file is free and shows no other to CUDA. The
kernel frees the lock when the job ends, however it ends. All studies and users of a machine share
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
INTERVAL = 0.2  # seconds between two looks for a free GPU
_held = ExitStack()  # keeps the locks until the process ends


def visible() -> list[str]:
    """Names of the GPUs that CUDA would show here, without asking CUDA."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name.strip() not in ("", "-1")]
    found = (re.fullmatch(r"nvidia(\d+)", path.name) for path in Path("/dev").glob("nvidia*"))
    return sorted((match[1] for match in found if match), key=int)


def take(count: int) -> None:
    """Wait until `count` of the shared GPUs are free, and make them this process's own."""
    shared = os.environ.get(ENVIRONMENT)
    if not count or not shared:
        return
    while True:
        with ExitStack() as tried:
            free = (name for name in shared.split(",") if _lock(name, tried))
            found = list(islice(free, count))
            if len(found) == count:
                _held.enter_context(tried.pop_all())
                os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(found)
                return
        time.sleep(INTERVAL)


def _lock(name: str, stack: ExitStack) -> bool:
    """Whether a GPU's lock was free; it is held until the stack closes."""
    path = LOCKS / f"proxyscale-gpu-{name.replace('/', '-')}.lock"
    if not path.exists():
        path.touch()
    file = path.open("rb")  # another user's file may be read, and that is enough to lock it
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return False
    stack.enter_context(file)
    return True
