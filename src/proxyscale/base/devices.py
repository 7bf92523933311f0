"""GPUs of this machine among jobs: Snakemake counts GPUs but assigns none.

A GPU has `SLOTS` slots, a lock file each. A job that needs a GPU takes all slots of the first that
is free, a job that needs a share of one takes so many of them, and shows no other GPU to CUDA. The
kernel frees the locks when the job ends, however it ends. All studies and users of a machine share
the lock files. Where a cluster's scheduler assigns GPUs, none of this is used.
"""

from __future__ import annotations

import ctypes
import fcntl
import math
import os
import time
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from proxyscale.base.errors import UserError

ENVIRONMENT = "PROXYSCALE_GPUS"  # the GPUs that jobs share, "0,1"; unset where a scheduler assigns
PRETENDED = "PROXYSCALE_PRETENDED_GPUS"  # set where a scheduler hands out GPUs that do not exist
LOCKS = Path("/tmp")
SLOTS = 20  # so many runs can be on a GPU at once
INTERVAL = 0.2  # seconds between two looks for a free GPU
NVML = "libnvidia-ml.so.1"  # the driver's own library
UUID_LENGTH = 96  # bytes, NVML_DEVICE_UUID_V2_BUFFER_SIZE
_held = ExitStack()  # keeps the locks until the process ends
_given = False  # whether this process was given a GPU


def visible() -> list[str]:
    """Names of the GPUs that CUDA would show here, without asking CUDA.

    Those of CUDA_VISIBLE_DEVICES, or the UUIDs that the driver tells: files under /dev are numbered
    as the host numbers them, CUDA counts what a container has.
    """
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name.strip() not in ("", "-1")]
    try:
        nvml = ctypes.CDLL(NVML)
    except OSError:
        return []
    return _uuids(nvml)


def _uuids(nvml: Any) -> list[str]:
    """The GPUs that the driver's library tells of; none where it cannot tell."""
    count, found = ctypes.c_uint(), []
    if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)):
        return []
    for number in range(count.value):
        handle, name = ctypes.c_void_p(), ctypes.create_string_buffer(UUID_LENGTH)
        failed = nvml.nvmlDeviceGetHandleByIndex_v2(number, ctypes.byref(handle))
        if not failed and not nvml.nvmlDeviceGetUUID(handle, name, UUID_LENGTH):
            found.append(name.value.decode())
    nvml.nvmlShutdown()
    return found


class Most(NamedTuple):
    """The most GPUs that a job asks for, what says so, the device's name, and on how many nodes."""

    gpus: float
    where: str
    device: str
    nodes: int = 1


def check(found: list[str], most: Most) -> str | None:
    """What is to be said of jobs that ask for more GPUs than are found here, if they do.

    UserError if that would be waited for for ever, and of several nodes; without any GPU, jobs of a
    device that is not named (`auto`) run on CPU cores.
    """
    asked, where, named, nodes = most
    if nodes > 1:
        message = f"a job asks for {nodes} nodes, and this is one machine"
        raise UserError(message, where=where, hint="--profile profiles/slurm, or `nodes: 1`")
    if asked <= len(found):
        return None
    message = f"a job asks for {math.ceil(asked)} GPUs, and this machine has {len(found) or 'none'}"
    if not found and named == "auto":
        return f"{where}: {message}: CPU cores do its work"
    hint = "fewer `gpus`, a cluster's profile, or `device: cpu`"
    raise UserError(message, where=where, hint=hint)


def given() -> bool:
    """Whether this process was given a GPU, by the lock of one or by a scheduler."""
    return _given and PRETENDED not in os.environ


def slots(gpus: float) -> int:
    """Slots of so many GPUs, or of a share of one."""
    return max(1, round(gpus * SLOTS))


def take(count: int) -> None:
    """Wait until `count` slots are free, and make their GPUs this process's own; 0 shows it none.

    Up to a GPU's slots are of one GPU; more are whole GPUs.
    """
    global _given
    _given = count > 0
    if not count:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
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
