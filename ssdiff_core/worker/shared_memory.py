"""What a program and its computing process (worker.py) share: the version of their language, and memory for blocks.

Needs numpy alone, as it is imported where torch must not be.

The memory is a file that was never given a name, or goes with its last handle; the worker inherits it open. So there is
nothing to unlink: however either of them ends, killed or not, the system takes the memory back. Named shared memory
would need a tracker for that, which differs from one Python to the next, and containers often give it too little room.
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
from ..domain.block import Block, SceneStats
from ..domain.window import Window

PROTOCOL = 3
ALIGNED = 64
"bytes: where an array may begin"
ZEROS = bytes(1 << 20)
OF_BLOCK = ("pan", "ms", "valid", "wanted")
"arrays of a block"


class Memory:
    """Bytes that two processes see. Who made it says how many there are; the other looks again when told of more."""

    def __init__(self, handle: int):
        self._handle, self._map = handle, None

    @staticmethod
    def make() -> Memory:
        """In memory where the system has such files, else in the folder for temporary ones."""
        if hasattr(os, "memfd_create"):
            return Memory(os.memfd_create("ssdiff"))
        with tempfile.TemporaryFile() as file:
            return Memory(os.dup(file.fileno()))

    @staticmethod
    def inherited(number: int) -> Memory:
        """What `for_child` told the program that started this one."""
        if os.name != "nt":
            return Memory(number)
        import msvcrt

        return Memory(msvcrt.open_osfhandle(number, os.O_RDWR | os.O_BINARY))

    def for_child(self) -> tuple[int, dict]:
        """The number by which a child knows it, and what Popen must be told for that."""
        if os.name != "nt":
            return self._handle, {"pass_fds": (self._handle,)}
        import msvcrt

        number = msvcrt.get_osfhandle(self._handle)
        os.set_handle_inheritable(number, True)
        return number, {"startupinfo": subprocess.STARTUPINFO(lpAttributeList={"handle_list": [number]})}

    def __len__(self) -> int:
        return len(self._map) if self._map else 0

    def reserve(self, size: int) -> None:
        """Makes it that large if it is smaller. Room that is not there is an error here, and no crash on first use."""
        if size <= len(self):
            return
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._handle, 0, size)
            else:
                self._lengthen(size)
            self.look(size)
        except OSError as error:
            raise WorkerError(
                f"there are no {size / 1e6:.0f} MB for a block on its way to the computing process "
                f"({error.strerror or error}): allow less memory"
            ) from None

    def _lengthen(self, size: int) -> None:
        end = os.lseek(self._handle, 0, os.SEEK_END)
        while end < size:
            end += os.write(self._handle, ZEROS[: size - end])

    def look(self, size: int) -> None:
        """Sees at least that many bytes. Arrays from before keep what they saw alive."""
        if size > len(self):
            self._map = mmap.mmap(self._handle, size)

    def array(self, offset: int, dtype: str, shape: list[int]) -> np.ndarray:
        return np.ndarray(tuple(shape), np.dtype(dtype), self._map, offset)

    def close(self) -> None:
        handle, self._handle, self._map = self._handle, -1, None  # the number may soon be another file's
        os.close(handle)


# --- blocks ----------------------------------------------------------------------------------------------------------


def write_arrays(memory: Memory, arrays: Mapping[str, np.ndarray], room: Mapping[str, tuple] | None = None) -> dict:
    """Puts arrays into the memory, with room for others of these types and shapes; answers where all of them lie."""
    held = {name: np.asarray(array) for name, array in arrays.items()}
    shapes = {name: (array.dtype, array.shape) for name, array in held.items()}
    places, size = lay_out({**shapes, **(room or {})})
    memory.reserve(size)
    for name, array in held.items():
        memory.array(*places[name])[...] = array
    return {"size": size, "places": places}


def read_arrays(memory: Memory, told: Mapping) -> dict[str, np.ndarray]:
    """The arrays that lie in the memory. Views: good until others are written."""
    memory.look(told["size"])
    return {name: memory.array(*place) for name, place in told["places"].items()}


def write_block(memory: Memory, block: Block, answers: Sequence[np.dtype] = ()) -> dict:
    """Puts the block's arrays into the memory; what it says else can be said in JSON.

    answers: of which type each image of the block's core is that is to be answered.
    """
    shape = len(block.ms), *block.core.shape
    room = {f"answer {number}": (np.dtype(kind), shape) for number, kind in enumerate(answers)}
    return {
        **write_arrays(memory, arrays_of(block), room),
        "ms_at": [float(at) for at in block.ms_at],
        "ratio": float(block.ratio),
        "window": [int(n) for n in astuple(block.window)],
        "core": [int(n) for n in astuple(block.core)],
        "stats": asdict(block.stats),
    }


def arrays_of(block: Block) -> dict[str, np.ndarray]:
    """All arrays that a block holds."""
    named = ((name, getattr(block, name)) for name in OF_BLOCK)
    return {name: array for name, array in named if array is not None}


def read_block(memory: Memory, told: Mapping) -> tuple[Block, list[np.ndarray]]:
    """The block that lies in the memory, and the places of its answers. Views: good until the next one is written."""
    arrays = read_arrays(memory, told)
    held = {name: arrays.pop(name) for name in OF_BLOCK if name in arrays}
    stats = SceneStats(**{name: _tuples(value) for name, value in told["stats"].items()})
    window, core = Window(*told["window"]), Window(*told["core"])
    block = Block(ms_at=tuple(told["ms_at"]), ratio=told["ratio"], window=window, core=core, stats=stats, **held)
    return block, list(arrays.values())


def lay_out(shapes: Mapping[str, tuple[np.dtype, tuple[int, ...]]]) -> tuple[dict[str, list], int]:
    """Where arrays of these types and shapes lie one behind the other: offset, type, shape; and where the last ends."""
    places, end = {}, 0
    for name, (dtype, shape) in shapes.items():
        start = -(-end // ALIGNED) * ALIGNED
        places[name] = [start, dtype.str, [int(n) for n in shape]]
        end = start + dtype.itemsize * int(np.prod(shape))
    return places, max(end, 1)


def _tuples(value):
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
