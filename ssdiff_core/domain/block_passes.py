"""Processing a scene block by block: block sizes, and a reader with several consumers."""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Callable

from ..common.pipeline import StoppableQueue
from .window import Window

MEMORY = 1024
"default memory limit of a run, MiB, without the memory that an engine itself needs"
MINIMUM_MEMORY = 64
"smallest memory limit, MiB, which GDAL's cache and the smallest blocks need"
EFFICIENT_SIDE = 768
"block side, in pixels, beyond which larger blocks are not faster for an engine without reach"
THREAD_BYTES = 200 << 20
"address space that a thread takes in a pass, for stack, heap, blocks and buffers of OpenBLAS; 174 MB were measured"


def block_side(memory: int, bands: int, reach: int = 0, workers: int = 1) -> int:
    """Returns the block side, in PAN pixels, that keeps a run within `memory` MiB.

    Four blocks and one for each worker are held at a time. Larger blocks read fewer pixels twice, smaller ones fit into
    the processor's cache.
    """
    pixel = 4 * bands * (4 + workers) + 32
    largest = math.isqrt(memory * 2**20 // 4 // pixel)
    return min(max(min(largest, max(EFFICIENT_SIDE, 32 * reach)) // 256 * 256, 256), 4096)


def blocks_of(window: Window, side: int) -> list[Window]:
    """Returns the windows of the blocks that cover a window, row by row."""
    rows, cols = range(window.row, window.stop[0], side), range(window.col, window.stop[1], side)
    return [Window(r, c, side, side) & window for r in rows for c in cols]


def reader_threads(open_reader, blocks: dict[int, Window], engine, workers: int, use, stop) -> list[Callable[[], None]]:
    """Returns the functions of threads: one that reads blocks, and `workers` that call `use` with them.

    engine: an engine or a survey, which defines reach and ms_halo. use: takes number, window and block.
    """
    check_room(workers)
    queue = StoppableQueue(stop)

    def reading() -> None:
        reader = open_reader()
        for number, window in blocks.items():
            queue.put((number, window, reader.read(window, engine.reach, engine.ms_halo)))
        queue.end(workers)

    def using() -> None:
        for item in queue.items():
            use(*item)

    return [reading, *[using] * workers]


def check_room(workers: int) -> None:
    """Raises MemoryError if threads cannot compute because the address space of the process is limited (ulimit -v).

    OpenBLAS would try without end to get its buffers.
    """
    if os.name != "nt":  # Windows has no such limit
        try:
            mmap.mmap(-1, workers * THREAD_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ).close()
        except (OSError, ValueError):
            raise MemoryError("the address space of the process is limited") from None
