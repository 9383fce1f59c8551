"""Passes over a scene, block by block: how large blocks are, and what is gathered from all of them."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..common.pipeline import StoppableQueue
from .window import Window

MEMORY = 1024
"MiB that a run may hold, if nobody says otherwise; what an engine needs for itself comes on top"
LEAST = 64
"MiB; GDAL's cache and the smallest blocks take that, whatever is asked for"
CACHED = 768
"side of the blocks from which on larger ones win nothing, if an engine looks at nothing around them"


def block_side(memory: int, bands: int, reach: int = 0, hands: int = 1) -> int:
    """Side of the blocks, in PAN pixels, that keep a run within memory MiB: four and one a hand are alive at a time.

    Larger blocks see less twice, smaller ones stay in the processor's cache.
    """
    pixel = 4 * bands * (4 + hands) + 32
    most = math.isqrt(memory * 2**20 // 4 // pixel)
    return min(max(min(most, max(CACHED, 32 * reach)) // 256 * 256, 256), 4096)


def blocks_of(window: Window, side: int) -> list[Window]:
    """The windows that a scene is computed in, row after row."""
    rows, cols = range(window.row, window.stop[0], side), range(window.col, window.stop[1], side)
    return [Window(r, c, side, side) & window for r in rows for c in cols]


def read_and_use(open_reader, blocks: dict[int, Window], what, hands: int, use, stop) -> list[Callable[[], None]]:
    """One work that reads blocks as an engine or a survey wants to see them, and as many as there are hands that use
    them."""
    read = StoppableQueue(stop)

    def reading() -> None:
        reader = open_reader()
        for number, window in blocks.items():
            read.put((number, window, reader.read(window, what.reach, what.ms_halo)))
        read.end(hands)

    def using() -> None:
        for item in read.items():
            use(*item)

    return [reading, *[using] * hands]
