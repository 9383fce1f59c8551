"""A scene and its images in a process that opens no file: whoever asked it to compute reads them (serving.py)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import astuple, dataclass, replace

import numpy as np

from ...domain.block import Block
from ...domain.window import Window
from ..shared_memory import Memory, arrays_of, read_arrays, read_block


class Served:
    """The way to whoever reads; one request at a time, from any thread."""

    def __init__(self, memory: Memory, want: Callable[[dict], dict]):
        self._memory, self._want, self._one = memory, want, threading.Lock()

    def read(self, core: Window, reach: int = 0, ms_halo: int = 0, scene: int = 0) -> Block:
        """As reading.Reader.read."""
        with self._one:
            wanted = {"window": [int(n) for n in astuple(core)], "reach": reach, "ms_halo": ms_halo}
            told = self._want({**wanted, "scene": scene})
            block, _ = read_block(self._memory, told)
            own = {name: array.copy() for name, array in arrays_of(block).items()}
            return replace(block, **own)

    def over(self, image: int, window: Window) -> np.ndarray:
        with self._one:
            told = self._want({"window": astuple(window), "image": image})
            return read_arrays(self._memory, told)["image"].copy()


@dataclass(frozen=True)
class ServedScene:
    """One scene of several, as reading.Reader."""

    served: Served
    number: int

    def read(self, core: Window, reach: int = 0, ms_halo: int = 0) -> Block:
        return self.served.read(core, reach, ms_halo, self.number)


@dataclass(frozen=True)
class ServedImage:
    """As images.Raster."""

    name: str
    path: str
    said: dict
    number: int
    served: Served

    def over(self, window: Window) -> np.ndarray:
        return self.served.over(self.number, window)
