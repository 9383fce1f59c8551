"""Blocks worked on side by side, each by one processor: all of them on one block would mostly wait for each other."""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from .passes import processors

MOST = 4


def hands() -> int:
    return min(os.cpu_count() or 1, MOST)


def side_by_side(work: Callable, items: Iterable, at_once: int | None = None) -> Iterator:
    """What work answers to each item, in their order. Only as many items are in work or waiting as there are hands."""
    at_once, waiting = at_once or hands(), []
    with processors(at_once), ThreadPoolExecutor(at_once) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > at_once:
                    yield waiting.pop(0).result()
                    give_back()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            pool.shutdown(cancel_futures=True)


def give_back() -> None:
    """Hands the memory of blocks that are done back to the system: glibc keeps it, ever more of it in ever smaller
    pieces, so that a large scene would take more than a small one."""
    trim = _trim()
    if trim:
        trim(0)


@functools.cache
def _trim():
    """None where the system's C library has no such thing."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None


class Own:
    """A thing of which each thread has its own, such as an open file."""

    def __init__(self, make: Callable):
        self._make, self._here = make, threading.local()

    def __call__(self):
        if not hasattr(self._here, "thing"):
            self._here.thing = self._make()
        return self._here.thing

    def close(self) -> None:
        """Lets go of those of all threads."""
        self._here = threading.local()
