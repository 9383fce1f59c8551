"""Scenes in the computing process, which opens no files: the requesting program reads them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import astuple, dataclass, replace

from ...domain.block import Block
from ...domain.window import Window
from ..shared_memory import Memory, arrays_of, read_block


class RemoteReader:
    """Reads blocks through the requesting program, one at a time. Any thread may use it."""

    def __init__(self, memory: Memory, request: Callable[[dict], dict]):
        """request: sends a read request to the requesting program and returns its answer."""
        self._memory, self._request, self._lock = memory, request, threading.Lock()

    def read(self, core: Window, reach: int = 0, ms_halo: int = 0, scene: int = 0) -> Block:
        """Returns a block of one of the scenes, the same as `raster.reader.Reader.read`."""
        with self._lock:
            position = {"window": [int(n) for n in astuple(core)], "reach": reach, "ms_halo": ms_halo}
            block, _ = read_block(self._memory, self._request({**position, "scene": scene}))
            copies = {name: array.copy() for name, array in arrays_of(block).items()}
            return replace(block, **copies)


@dataclass(frozen=True)
class RemoteScene:
    """Reader of one of several scenes, with the methods of `raster.reader.Reader`."""

    reader: RemoteReader
    number: int

    def read(self, core: Window, reach: int = 0, ms_halo: int = 0) -> Block:
        return self.reader.read(core, reach, ms_halo, self.number)
