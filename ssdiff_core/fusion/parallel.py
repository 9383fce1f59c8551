"""Blocks worked on side by side, each by one processor: all of them on one block would mostly wait for each other."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import operator
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import torch

from ..common.pipeline import run_threads
from ..domain.block import Block, SceneStats
from ..domain.block_passes import MEMORY, block_side, blocks_of, read_and_use
from ..domain.scene import Scene
from ..domain.window import Window

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


@contextlib.contextmanager
def processors(hands: int):
    """Several hands get a processor each: to share all of them they would have to wait for each other at every step."""
    if hands == 1:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def scene_stats(scene: Scene, open_reader: Callable, survey, memory: int = MEMORY, hands: int = 1) -> SceneStats:
    """One pass over the scene, block by block; what it answers does not depend on which block is ready first.

    open_reader answers what reads the scene's blocks, and is called in the thread that reads.
    """
    stop, sums = threading.Event(), {}
    side = block_side(memory, len(scene.ms), survey.reach, hands)
    blocks = dict(enumerate(blocks_of(scene.window, side)))

    def gather(number: int, window: Window, block: Block) -> None:
        sums[number] = survey.gather(block)

    with processors(hands):
        run_threads(read_and_use(open_reader, blocks, survey, hands, gather, stop), stop)
    return survey.stats(functools.reduce(operator.add, (sums[number] for number in blocks)))
