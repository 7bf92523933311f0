"""The process that forks for the jobs of one machine's workflow: base/job_server.py starts it.

python -m proxyscale.cli.serve_jobs DESCRIPTOR PARENT
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pkgutil
import select
import selectors
import signal
import socket
import sys
import threading
import time
from typing import NoReturn

import proxyscale
from proxyscale.base import job_server, lock

ELSEWHERE = ("proxyscale.__main__", "proxyscale.training.llm_foundry_worker")
TOGETHER = 60.0  # CPU seconds after which a fork takes no other job: the dear ones have their own
LATER = (  # what the package imports inside functions, and most jobs or figures need
    "matplotlib.backends.backend_pdf",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "safetensors.numpy",
)


def load() -> None:
    """Import the package and what it stands on. What is not installed is left out."""
    found = pkgutil.walk_packages(proxyscale.__path__, "proxyscale.")
    for name in (*(module.name for module in found), *LATER):
        if name not in ELSEWHERE:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    gc.collect()
    gc.freeze()  # forks share what is loaded: no collection is to touch it


def serve(listening: socket.socket) -> socket.socket:
    """Fork for everybody who asks, and tell each how its fork ended. Returns in forks alone."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    waiting: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(listening, selectors.EVENT_READ)
        selector.register(reading, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select()]
            if reading in ready:
                _drain(reading)
                _reap(waiting)
            if listening in ready:
                asking, _ = listening.accept()
                process = os.fork()
                if not process:
                    break
                waiting[process] = asking
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for open_one in (listening, *waiting.values()):
        open_one.close()
    os.close(reading)
    os.close(writing)
    return asking


def _drain(reading: int) -> None:
    with contextlib.suppress(BlockingIOError):
        while os.read(reading, 4096):
            pass


def _reap(waiting: dict[int, socket.socket]) -> None:
    while waiting:
        process, status = os.waitpid(-1, os.WNOHANG)
        if not process:
            return
        job_server.tell(waiting.pop(process), status)


def _end_with(asking: socket.socket) -> None:
    """End this process, with no time for it to clean up after itself, when nobody waits for it."""
    watched = select.poll()
    watched.register(asking, select.POLLRDHUP)
    watched.poll()
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> NoReturn:
    """Serve until this process's parent ends; in a fork, do the jobs that are asked for."""
    from proxyscale.cli.main import main as job

    descriptor, parent = map(int, sys.argv[1:])
    lock.end_with_parent(parent)
    listening, server = socket.socket(fileno=descriptor), os.getpid()
    load()
    asking = serve(listening)
    lock.end_with_parent(server)
    threading.Thread(target=_end_with, args=(asking,), daemon=True).start()
    while True:
        words = sys.argv[1:] = job_server.asked(asking)  # which several GPUs start again for each
        code = job(words)
        sys.stdout.flush()
        sys.stderr.flush()
        if code or not job_server.alike(words) or time.process_time() > TOGETHER:
            os._exit(code)  # an interpreter that ends touches, and so copies, all that forks share
        job_server.tell_done(asking)


if __name__ == "__main__":
    main()
