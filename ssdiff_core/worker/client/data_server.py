"""Reads blocks of scenes on behalf of the computing process.

Only the requesting program opens files, so the worker's Python needs no GDAL (see `server.remote_data`).
"""

from __future__ import annotations

from collections.abc import Sequence

from ...domain.scene import Scene
from ...domain.window import Window
from ...raster.reader import Reader
from ..shared_memory import Memory, write_block


class DataServer:
    """Answers the read requests of the computing process, each through the shared memory."""

    def __init__(self, scenes: Sequence[Scene]):
        self._readers = [Reader(scene) for scene in scenes]

    def __call__(self, memory: Memory, request: dict) -> dict:
        window = Window(*request["window"])
        block = self._readers[request["scene"]].read(window, request["reach"], request["ms_halo"])
        return write_block(memory, block)
