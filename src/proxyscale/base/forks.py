"""Work that processes share: forks of this one, which have what it has, and send back results."""

from __future__ import annotations

import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from proxyscale.base import lock

T = TypeVar("T")
_function: Callable[[int], Any]  # of a fork: what it was made for


def in_order(function: Callable[[int], T], count: int, processes: int = 1) -> Iterator[T]:
    """function(0), …, function(count - 1), in this order, worked out by so many processes.

    By one alone, this process does it; else forks do, which end with it, and what a call changes
    stays in its fork. An error arrives as it was raised; MemoryError if a fork was killed.
    """
    processes = min(processes, count)
    if processes <= 1:
        yield from map(function, range(count))
        return
    forking = multiprocessing.get_context("fork")
    told = function, os.getpid()
    with ProcessPoolExecutor(processes, forking, initializer=_begin, initargs=told) as pool:
        with warnings.catch_warnings():
            # Later Pythons warn of locks that other threads hold: those here take none of a fork's.
            warnings.simplefilter("ignore", DeprecationWarning)
            results = pool.map(_call, range(count))
        try:
            yield from results
        except BrokenProcessPool:
            raise MemoryError("a process was killed, as it is where memory is short") from None


def _begin(function: Callable[[int], Any], parent: int) -> None:
    """In a fork: know what to do, and end with its parent."""
    global _function
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    lock.end_with_parent(parent)
    _function = function


def _call(number: int) -> Any:
    return _function(number)
