"""What the worker can be asked for, and how it speaks of what goes wrong."""

from __future__ import annotations

import errno
import platform
from collections.abc import Callable
from dataclasses import dataclass

import torch

from . import __version__, devices
from .engine import Engine
from .errors import SSDiffError, WorkerError, one_line
from .groups import Grouped
from .weights import load
from .wire import PROTOCOL, Memory, read_block

COMMANDS = ("hello", "open", "fuse", "close")
MEMORY_FULL = "out of memory: allow less memory, or choose another device or fewer bands"


@dataclass(frozen=True)
class Opened:
    engine: Engine
    fuses: Engine | Grouped
    "the same, or the same group by group"


class Service:
    """The engines that are open. Each command answers what the line `done` shall hold."""

    def __init__(self, memory: Memory, say: Callable[[str], None], progress: Callable[[float], None]):
        self._memory, self._say, self._progress = memory, say, progress
        self._open: dict[int, Opened] = {}
        self._last = 0

    def do(self, command: str, wishes: dict) -> dict:
        if command not in COMMANDS:
            raise WorkerError(f"the worker knows no {command!r}; it knows {', '.join(COMMANDS)}, bye")
        return getattr(self, command)(**wishes)

    def hello(self) -> dict:
        versions = {"ssdiff": __version__, "python": platform.python_version(), "torch": torch.__version__}
        return {"protocol": PROTOCOL, **versions, "devices": devices.survey()}

    def open(self, weights, device="auto", steps=None, samples=1, seed=0, groups=()) -> dict:
        used = load(weights)
        engine = Engine(used, device, steps=steps, samples=samples, seed=seed, say=self._say)
        of_bands = [tuple(group) for group in groups]
        self._last += 1
        self._open[self._last] = Opened(engine, Grouped(engine, of_bands) if of_bands else engine)
        told = {"id": used.card.id, "sha256": used.sha256, "steps": engine.steps, "device": str(engine.device)}
        return {"engine": self._last, "reach": engine.reach, "ms_halo": engine.ms_halo, **told}

    def fuse(self, engine: int, block: dict) -> dict:
        asked, answer = read_block(self._memory, block)
        answer[:] = self._find(engine).fuses.fuse(asked, self._progress)
        return {}

    def close(self, engine: int) -> dict:
        device = self._find(engine).engine.device
        del self._open[engine]
        devices.release(device)
        return {}

    def _find(self, number: int) -> Opened:
        if number not in self._open:
            raise WorkerError(f"no engine {number} is open")
        return self._open[number]


def in_short(error: Exception) -> dict[str, str]:
    """The kind of an error (a class of errors.py), and a sentence."""
    if isinstance(error, SSDiffError):
        return {"kind": type(error).__name__, "sentence": str(error)}
    if devices.is_out_of_memory(error) or getattr(error, "errno", None) == errno.ENOMEM:
        return {"kind": "DeviceError", "sentence": MEMORY_FULL}
    return {"kind": "WorkerError", "sentence": f"the worker has failed: {type(error).__name__}: {one_line(error)}"}
