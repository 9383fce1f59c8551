"""Handling of exhausted memory: the engine computes less at a time, and finally on the CPU.

All decisions are made here. The engine passes an error to `is_out_of_memory` and then calls `ReducedWork.reduce`; the
computing process reports an error that remains as the notice `device_out_of_memory`.
"""

from __future__ import annotations

import errno

import torch

from ..common.errors import DeviceError
from ..common.notices import Notify, notice
from ..model import devices

PHRASES = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",  # the system's message, passed on by libraries that torch calls
    "not enough memory",
    "alloc_failed",
    "could not create a primitive",  # oneDNN without memory for a kernel
)


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error means that memory ran out. torch has no separate exception class for this on CPUs."""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error).lower() for phrase in PHRASES)


FACTOR = 2
"factor by which the batch and the side of pieces are divided when memory runs out"


class ReducedWork:
    """How much an engine computes at a time on a device. Each reduction is permanent."""

    def __init__(self, device: torch.device, batch: int, notify: Notify):
        """batch: number of tiles computed at a time."""
        self.device, self.batch, self.reductions = device, batch, 0
        self._notify = notify

    def side(self, side: int) -> int:
        """Returns the side of a piece of a block, reduced as often as the batch."""
        return side // FACTOR**self.reductions

    def reduce(self) -> torch.device:
        """Reduces the batch and the side of pieces; with single tiles, changes to the CPU instead.

        Returns the device to go on with. Raises DeviceError if the CPU cannot compute single tiles.
        """
        devices.release(self.device)
        if self.batch > 1:
            self.batch = max(self.batch // FACTOR, 1)
            self.reductions += 1
            if self.reductions == 1:
                self._notify(notice("fewer_tiles", device=str(self.device)))
            return self.device
        if self.device.type == "cpu":
            raise DeviceError(notice("cpu_out_of_memory"))
        self._notify(notice("cpu_instead", device=str(self.device)))
        return torch.device("cpu")
