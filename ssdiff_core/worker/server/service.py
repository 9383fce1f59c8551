"""The commands of the computing process, and how errors are reported."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import astuple, dataclass

import torch

from ... import __version__
from ...classical.engine import ClassicalEngine
from ...classical.parallel import default_workers, scene_stats
from ...classical.scene_statistics import Survey
from ...common.errors import SSDiffError, WorkerError
from ...common.failures import failure_of
from ...common.notices import Notice, Notify, described, notice
from ...common.texts import on_one_line
from ...fusion.engine import Engine
from ...fusion.grouped_engine import Grouped, grouped
from ...fusion.out_of_memory import is_out_of_memory
from ...model import devices
from ...model.checkpoint import load
from ..serialization import decode, encode
from ..shared_memory import PROTOCOL, Memory, read_block
from .remote_data import RemoteReader, RemoteScene

COMMANDS = ("hello", "open", "classical", "fuse", "close", "stats", "adapt")


@dataclass(frozen=True)
class OpenEngine:
    """An engine that a request has opened."""

    engine: Engine | ClassicalEngine
    fuses: Engine | ClassicalEngine | Grouped
    "the engine itself, or one that applies it to each group of bands"
    device: torch.device


class Service:
    """Runs the commands and holds the open engines. Each command returns the values of the line `done`."""

    def __init__(self, memory: Memory, notify: Notify, progress: Callable[[float], None], read: Callable[[dict], dict]):
        """read: sends a read request to the requesting program and returns its answer."""
        self._memory, self._notify, self._progress = memory, notify, progress
        self._reader = RemoteReader(memory, read)
        self._engines: dict[int, OpenEngine] = {}
        self._last_number = 0

    def run(self, command: str, arguments: dict) -> dict:
        if command not in COMMANDS:
            raise WorkerError(f"unknown command {command!r}: the worker's commands are {', '.join(COMMANDS)}, bye")
        return getattr(self, command)(**arguments)

    def hello(self) -> dict:
        versions = {"ssdiff": __version__, "python": platform.python_version(), "torch": torch.__version__}
        return {"protocol": PROTOCOL, **versions, "devices": devices.survey()}

    def open(self, weights: str, sampling: dict, groups: list) -> dict:
        """Opens a network. sampling: encoded SamplingOptions."""
        loaded = load(weights)
        engine = Engine(loaded, decode(sampling), notify=self._notify)
        band_groups = [tuple(group) for group in groups]
        fuses = grouped(engine, band_groups)
        card = {"id": loaded.card.id, "sha256": loaded.sha256, "steps": engine.steps, "device": str(engine.device)}
        return card | self._add(OpenEngine(engine, fuses, engine.device))

    def classical(self, method: str, ratio: float) -> dict:
        """Opens a classical method."""
        engine = ClassicalEngine(method, ratio, threads=default_workers())
        return self._add(OpenEngine(engine, engine, torch.device("cpu")))

    def _add(self, opened: OpenEngine) -> dict:
        self._last_number += 1
        self._engines[self._last_number] = opened
        return {"engine": self._last_number, "reach": opened.engine.reach, "ms_halo": opened.engine.ms_halo}

    def fuse(self, engine: int, block: dict, types: list) -> dict:
        """Fuses a block into the output images in the shared memory and returns the sums of their bands.

        types: encoded PixelType of each output image.
        """
        read, outputs = read_block(self._memory, block)
        images = self._engine(engine).fuses.fuse_counts(read, decode(types), self._progress)
        for output, (counts, _) in zip(outputs, images):
            output[:] = counts
        return {"sums": [[astuple(band) for band in sums] for _, sums in images]}

    def close(self, engine: int) -> dict:
        device = self._engine(engine).device
        del self._engines[engine]
        devices.release(device)
        return {}

    def stats(self, scene: dict, survey: dict, memory: int) -> dict:
        """Returns the statistics of a scene. survey: arguments of Survey."""
        stats = scene_stats(decode(scene), lambda: self._reader, Survey(**decode(survey)), memory, default_workers())
        return {"stats": encode(stats)}

    def adapt(self, scenes: list, job: dict) -> dict:
        """Adapts weights, writes them to the path in the job and returns the result."""
        decoded = decode(scenes)
        readers = [RemoteScene(self._reader, number) for number in range(len(decoded))]
        from ...adaptation.adapt import adapt

        return adapt(decoded, readers, decode(job), self._notify, self._progress)

    def _engine(self, number: int) -> OpenEngine:
        if number not in self._engines:
            raise WorkerError(f"no engine {number} is open")
        return self._engines[number]


def describe_error(error: Exception) -> dict[str, object]:
    """Returns class (one of common.errors) and message of an error, and the notice that the message is, if any."""
    kind = type(error).__name__ if isinstance(error, SSDiffError) else "WorkerError"
    told = failure_of(error).message
    if is_out_of_memory(error) and not isinstance(error, SSDiffError):
        kind, told = "DeviceError", notice("device_out_of_memory")
    answer = {"kind": kind, "sentence": on_one_line(str(told))}
    if isinstance(told, Notice):
        answer["notice"] = described(told)
    return answer
