"""What the worker can be asked for, and how it speaks of what goes wrong."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import astuple, dataclass

import torch

from ... import __version__
from ...common.errors import SSDiffError, WorkerError, one_line
from ...domain.options import SamplingOptions
from ...domain.study import Study
from ...fusion.engine import Engine
from ...fusion.grouped_engine import Grouped
from ...fusion.methods.engine import ClassicalEngine
from ...fusion.out_of_memory import MESSAGE, is_out_of_memory
from ...fusion.parallel import hands, scene_stats
from ...fusion.scene_statistics import Survey
from ...model import devices
from ...model.checkpoint import load
from ..serialization import meant, plain
from ..shared_memory import PROTOCOL, Memory, read_block
from .remote_data import Served, ServedImage, ServedScene

COMMANDS = ("hello", "open", "classical", "fuse", "close", "stats", "assess", "adapt")


@dataclass(frozen=True)
class Opened:
    engine: Engine | ClassicalEngine
    fuses: Engine | ClassicalEngine | Grouped
    "the same, or the same group by group"
    device: torch.device


class Service:
    """The engines that are open. Each command answers what the line `done` shall hold."""

    def __init__(
        self,
        memory: Memory,
        notify: Callable[[str], None],
        progress: Callable[[float], None],
        want: Callable[[dict], dict],
    ):
        """want: asks whoever asked for what this process cannot read itself."""
        self._memory, self._say, self._progress = memory, notify, progress
        self._served = Served(memory, want)
        self._open: dict[int, Opened] = {}
        self._last = 0

    def do(self, command: str, wishes: dict) -> dict:
        if command not in COMMANDS:
            raise WorkerError(f"the worker knows no {command!r}; it knows {', '.join(COMMANDS)}, bye")
        return getattr(self, command)(**wishes)

    def hello(self) -> dict:
        versions = {"ssdiff": __version__, "python": platform.python_version(), "torch": torch.__version__}
        return {"protocol": PROTOCOL, **versions, "devices": devices.survey()}

    def open(self, weights, device="auto", steps=None, samples=None, seed=0, groups=()) -> dict:
        used = load(weights)
        engine = Engine(used, SamplingOptions(device, steps, samples, seed), notify=self._say)
        of_bands = [tuple(group) for group in groups]
        told = {"id": used.card.id, "sha256": used.sha256, "steps": engine.steps, "device": str(engine.device)}
        return told | self._keep(Opened(engine, Grouped(engine, of_bands) if of_bands else engine, engine.device))

    def classical(self, method: str, ratio: float) -> dict:
        engine = ClassicalEngine(method, ratio)
        return self._keep(Opened(engine, engine, torch.device("cpu")))

    def _keep(self, opened: Opened) -> dict:
        self._last += 1
        self._open[self._last] = opened
        return {"engine": self._last, "reach": opened.engine.reach, "ms_halo": opened.engine.ms_halo}

    def fuse(self, engine: int, block: dict, nodata: list) -> dict:
        """The images that the block has room for, each with its nodata value; told are the sums of their bands."""
        asked, answers = read_block(self._memory, block)
        kinds = [(answer.dtype, value) for answer, value in zip(answers, nodata)]
        found = self._find(engine).fuses.fuse_counts(asked, kinds, self._progress)
        for answer, (counts, _) in zip(answers, found):
            answer[:] = counts
        return {"sums": [[astuple(band) for band in sums] for _, sums in found]}

    def close(self, engine: int) -> dict:
        device = self._find(engine).device
        del self._open[engine]
        devices.release(device)
        return {}

    def stats(self, scene: dict, wanted: dict, memory: int) -> dict:
        known = scene_stats(meant(scene), lambda: self._served, Survey(**meant(wanted)), memory, hands())
        return {"stats": plain(known)}

    def assess(self, study: dict, images: list, asked: dict, page: str | None, reference: int | None = None) -> dict:
        """What was measured of a study (tables.document); page: where a report is to be written."""
        seen = [ServedImage(**told, number=number, served=self._served) for number, told in enumerate(images)]
        truth = None if reference is None else seen.pop(reference)
        whole = Study(**meant(study), images=tuple(seen), reference=truth, open_reader=lambda: self._served)
        from ...assessment.html_report import assessed

        return {"document": assessed(whole, meant(asked), page, self._progress)}

    def adapt(self, scenes: list, job: dict) -> dict:
        """What came of adapting weights; they lie where the job says."""
        seen = meant(scenes)
        readers = [ServedScene(self._served, number) for number in range(len(seen))]
        from ...adaptation.adapt import adapt

        return adapt(seen, readers, meant(job), self._say, self._progress)

    def _find(self, number: int) -> Opened:
        if number not in self._open:
            raise WorkerError(f"no engine {number} is open")
        return self._open[number]


def in_short(error: Exception) -> dict[str, str]:
    """The kind of an error (a class of errors.py), and a sentence."""
    if isinstance(error, SSDiffError):
        return {"kind": type(error).__name__, "sentence": str(error)}
    if is_out_of_memory(error):
        return {"kind": "DeviceError", "sentence": MESSAGE}
    return {"kind": "WorkerError", "sentence": f"the worker has failed: {type(error).__name__}: {one_line(error)}"}
