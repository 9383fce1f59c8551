"""Exchange of arrays between the requesting program and the computing process through shared memory.

Both processes map one file without a name; the worker inherits the open file. So there is nothing to remove: however
either process ends, the system frees the memory. Named shared memory would need a resource tracker, which differs
between Python versions, and containers often limit it too much.

This module also holds the version of the protocol. It needs numpy only, because it is imported where torch must not be.
"""

from __future__ import annotations

import mmap
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple

import numpy as np

from ..common.errors import WorkerError
from ..common.notices import notice
from ..domain.block import Block, SceneStats
from ..domain.window import Window

PROTOCOL = 5
"version of the messages between the two processes, which must be equal; raise it when a command of service.py changes"
ALIGNMENT = 64
"alignment of each array in bytes"
ZEROS = bytes(1 << 20)
BLOCK_ARRAYS = ("pan", "ms", "valid", "requested")
"fields of a block that are arrays"


class Memory:
    """Memory that two processes share. One of them enlarges it; the other maps it again when it learns the new size."""

    def __init__(self, handle: int):
        self._handle, self._map = handle, None

    @staticmethod
    def make() -> Memory:
        """Creates shared memory: a memory file where the system has them, otherwise a temporary file."""
        if hasattr(os, "memfd_create"):
            return Memory(os.memfd_create("ssdiff"))
        with tempfile.TemporaryFile() as file:
            return Memory(os.dup(file.fileno()))

    @staticmethod
    def inherited(number: int) -> Memory:
        """Returns the memory that the parent process passed on.

        number: the one that `for_child` returned in the parent process.
        """
        if os.name != "nt":
            return Memory(number)
        import msvcrt

        return Memory(msvcrt.open_osfhandle(number, os.O_RDWR | os.O_BINARY))

    def for_child(self) -> tuple[int, dict]:
        """Returns the number by which a child process opens the memory, and the arguments of Popen that pass it on."""
        if os.name != "nt":
            return self._handle, {"pass_fds": (self._handle,)}
        import msvcrt

        number = msvcrt.get_osfhandle(self._handle)
        os.set_handle_inheritable(number, True)
        return number, {"startupinfo": subprocess.STARTUPINFO(lpAttributeList={"handle_list": [number]})}

    def __len__(self) -> int:
        return len(self._map) if self._map else 0

    def reserve(self, size: int) -> None:
        """Enlarges the memory to at least `size` bytes.

        Raises WorkerError if the system has too little; without the reservation the first write would crash.
        """
        if size <= len(self):
            return
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._handle, 0, size)
            else:
                self._lengthen(size)
            self.map(size)
        except OSError as error:
            raise WorkerError(
                notice("shared_memory", size_mb=size / 1000000.0, reason=error.strerror or str(error))
            ) from None

    def _lengthen(self, size: int) -> None:
        end = os.lseek(self._handle, 0, os.SEEK_END)
        while end < size:
            end += os.write(self._handle, ZEROS[: size - end])

    def map(self, size: int) -> None:
        """Maps at least `size` bytes. Arrays of an earlier mapping stay valid."""
        if size > len(self):
            self._map = mmap.mmap(self._handle, size)

    def array(self, offset: int, dtype: str, shape: list[int]) -> np.ndarray:
        """Returns a view of an array at this offset in bytes."""
        return np.ndarray(tuple(shape), np.dtype(dtype), self._map, offset)

    def close(self) -> None:
        handle, self._handle, self._map = self._handle, -1, None  # the system may reuse the number for another file
        os.close(handle)


# --- blocks ----------------------------------------------------------------------------------------------------------


def write_arrays(memory: Memory, arrays: Mapping[str, np.ndarray], reserved: Mapping[str, tuple] | None = None) -> dict:
    """Writes arrays into the memory and returns their layout, which JSON can hold.

    reserved: types and shapes of further arrays, for which space is left.
    """
    written = {name: np.asarray(array) for name, array in arrays.items()}
    shapes = {name: (array.dtype, array.shape) for name, array in written.items()}
    layout, size = lay_out({**shapes, **(reserved or {})})
    memory.reserve(size)
    for name, array in written.items():
        memory.array(*layout[name])[...] = array
    return {"size": size, "arrays": layout}


def read_arrays(memory: Memory, message: Mapping) -> dict[str, np.ndarray]:
    """Returns the arrays of a layout as views, which are valid until the next ones are written."""
    memory.map(message["size"])
    return {name: memory.array(*position) for name, position in message["arrays"].items()}


def write_block(memory: Memory, block: Block, outputs: Sequence[np.dtype] = ()) -> dict:
    """Writes the arrays of a block into the memory and returns everything else about it, which JSON can hold.

    outputs: type of each image of the block's core that the other process is to write.
    """
    shape = len(block.ms), *block.core.shape
    reserved = {f"output {number}": (np.dtype(kind), shape) for number, kind in enumerate(outputs)}
    return {
        **write_arrays(memory, arrays_of(block), reserved),
        "ms_at": [float(at) for at in block.ms_at],
        "ratio": float(block.ratio),
        "window": [int(n) for n in astuple(block.window)],
        "core": [int(n) for n in astuple(block.core)],
        "stats": asdict(block.stats),
    }


def arrays_of(block: Block) -> dict[str, np.ndarray]:
    """Returns all arrays of a block by the names of their fields."""
    named = ((name, getattr(block, name)) for name in BLOCK_ARRAYS)
    return {name: array for name, array in named if array is not None}


def read_block(memory: Memory, message: Mapping) -> tuple[Block, list[np.ndarray]]:
    """Returns the block that `write_block` has written, and the arrays for its output images.

    All arrays are views, which are valid until the next block is written.
    """
    arrays = read_arrays(memory, message)
    of_block = {name: arrays.pop(name) for name in BLOCK_ARRAYS if name in arrays}
    stats = SceneStats(**{name: _tuples(value) for name, value in message["stats"].items()})
    window, core = Window(*message["window"]), Window(*message["core"])
    ms_at, ratio = tuple(message["ms_at"]), message["ratio"]
    return Block(ms_at=ms_at, ratio=ratio, window=window, core=core, stats=stats, **of_block), list(arrays.values())


def lay_out(shapes: Mapping[str, tuple[np.dtype, tuple[int, ...]]]) -> tuple[dict[str, list], int]:
    """Returns offset, type and shape of arrays that are stored one after the other, and the number of bytes in all."""
    layout, end = {}, 0
    for name, (dtype, shape) in shapes.items():
        start = -(-end // ALIGNMENT) * ALIGNMENT
        layout[name] = [start, dtype.str, [int(n) for n in shape]]
        end = start + dtype.itemsize * int(np.prod(shape))
    return layout, max(end, 1)


def _tuples(value):
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
