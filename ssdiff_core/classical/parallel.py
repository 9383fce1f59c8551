"""Parallel work on blocks, one thread each: several threads on one block would mostly wait for each other."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import mmap
import operator
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from ctypes import c_size_t, c_void_p

from ..common.pipeline import run_threads
from ..domain.block import Block, SceneStats
from ..domain.block_passes import MEMORY, block_side, blocks_of, reader_threads
from ..domain.scene import Scene
from ..domain.window import Window

MAXIMUM_WORKERS = 4
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
"options of glibc's mallopt"
LARGE_PAGE, ADVISED = 2 << 20, 768 << 20
"side of a large page of memory in bytes, and the bytes of the heap that large pages are requested for"


def default_workers() -> int:
    """Returns how many blocks are computed at a time by default."""
    return min(all_processors(), MAXIMUM_WORKERS)


def all_processors() -> int:
    """Returns the number of processors of this computer."""
    return os.cpu_count() or 1


def side_by_side(work: Callable, items: Iterable, workers: int | None = None, release: bool = True) -> Iterator:
    """Yields the result of work for each item, in order; about `workers` items are computed or waiting at a time.

    release: return freed memory to the system after each result.
    """
    workers, waiting = workers or default_workers(), []
    with processors(workers), ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > workers:
                    yield waiting.pop(0).result()
                    if release:
                        release_memory()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            pool.shutdown(cancel_futures=True)


def release_memory() -> None:
    """Returns freed memory to the system: glibc keeps it and fragments it, so memory use would grow with the scene."""
    trim = _trim()
    if trim:
        trim(0)


@functools.cache
def keep_memory() -> None:
    """Has glibc keep freed blocks for the next images of the same size: new ones cost a page fault for every 4 KiB.

    Blocks of all sizes come from one arena for all threads; none has a mapping of its own, which would be given back.
    """
    libc = ctypes.CDLL(None) if os.name == "posix" else None
    if hasattr(libc, "mallopt"):
        for option, value in ((M_ARENA_MAX, 1), (M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 1 << 30)):
            libc.mallopt(option, value)
        _request_large_pages(libc)


def _request_large_pages(libc: ctypes.CDLL) -> None:
    """Requests large pages for the part of the heap that grows next: a network's images then cost fewer faults.

    The heap is enlarged for that, without use of memory: a page is there only once it is written to.
    """
    advice = getattr(mmap, "MADV_HUGEPAGE", None)  # Linux only
    libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = c_void_p, [c_size_t], [c_void_p]
    block = libc.malloc(ADVISED) if advice is not None else None
    if block:
        start = -(-block // LARGE_PAGE) * LARGE_PAGE
        libc.madvise(c_void_p(start), c_size_t(ADVISED - LARGE_PAGE), advice)
        libc.free(block)


@functools.cache
def _trim():
    """Returns glibc's malloc_trim; None if the C library has no such function."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None


@contextlib.contextmanager
def processors(workers: int):
    """Limits each worker to one thread if there are several, so that they do not wait for each other."""
    with one_thread() if workers > 1 else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def one_thread():
    """Limits NumPy's products of matrices to one thread, and torch if this process has imported it."""
    settings, torch = [_blas_threads()], sys.modules.get("torch")
    if hasattr(torch, "set_num_threads"):  # otherwise another thread is importing it
        settings.append((torch.get_num_threads, torch.set_num_threads))
    before = [count() for count, _ in settings]
    try:
        for _, change in settings:
            change(1)
        yield
    finally:
        for (_, change), number in zip(settings, before):
            change(number)


@functools.cache
def _blas_threads() -> tuple[Callable[[], int], Callable[[int], object]]:
    """Returns the functions that get and set the number of threads of OpenBLAS, if NumPy uses it and they are found."""
    from numpy.linalg import _umath_linalg

    library = ctypes.CDLL(_umath_linalg.__file__)  # symbols are searched in the libraries that it loads, too
    for name in ("openblas_{}_num_threads", "openblas_{}_num_threads64_", "scipy_openblas_{}_num_threads64_"):
        found = [getattr(library, name.format(verb), None) for verb in ("get", "set")]
        if all(found):
            return tuple(found)
    return lambda: 1, lambda number: None


class InOrder:
    """Combines numbered values in the order of their numbers, each as soon as those before it are there.

    So the result does not depend on which thread is faster, and only few values are held.
    """

    def __init__(self, combine: Callable):
        self.value = None
        self._combine, self._next, self._waiting, self._lock = combine, 0, {}, threading.Lock()

    def add(self, number: int, value) -> None:
        """Adds the value with this number; numbers begin at 0. Any thread may call this."""
        with self._lock:
            self._waiting[number] = value
            while self._next in self._waiting:
                value = self._waiting.pop(self._next)
                self.value = value if self._next == 0 else self._combine(self.value, value)
                self._next += 1


def blocks_of_statistics(scene: Scene, survey, memory: int, workers: int) -> dict[int, Window]:
    """Returns the numbered blocks whose sums are added in their order: the last bits of the sum depend on them."""
    side = block_side(memory, len(scene.ms), survey.reach, workers)
    return dict(enumerate(blocks_of(scene.window, side)))


def scene_stats(
    scene: Scene,
    open_reader: Callable,
    survey,
    memory: int = MEMORY,
    workers: int = 1,
    tick: Callable[[], None] = lambda: None,
    blocks: dict[int, Window] | None = None,
) -> SceneStats:
    """Returns the statistics of a scene in one pass over its blocks; the order in which they finish does not matter.

    open_reader: returns the reader of the scene's blocks; called in the thread that reads. memory: in MB. tick: called
    ten times a second; an exception that it raises ends the pass. blocks: see blocks_of_statistics; None: those of
    memory and workers.
    """
    stop, total = threading.Event(), InOrder(operator.add)
    blocks = blocks or blocks_of_statistics(scene, survey, memory, workers)

    def gather(number: int, window: Window, block: Block) -> None:
        total.add(number, survey.gather(block))

    with processors(workers):
        run_threads(reader_threads(open_reader, blocks, survey, workers, gather, stop), stop, tick)
    return survey.stats(total.value)
