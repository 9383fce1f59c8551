"""The backend that computes in this process, for the command line.

Workflows take a backend: this one, or worker.client.backend.WorkerBackend for programs that must not import torch. Both
have the same methods.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ..common.notices import Notify
from ..domain.adaptation_job import Job
from ..domain.options import AUTO, SamplingOptions
from ..domain.scene import Scene
from ..raster.reader import Reader
from ..workflows.classical_backend import ClassicalBackend
from ..workflows.speeds import CPU
from .drivers import may_have_gpu


class LocalBackend(ClassicalBackend):
    """Computes in this process; torch is imported when a network is needed, which takes seconds."""

    def device(self, name: str) -> tuple[str, str]:
        """Returns the id of the device that an option means, and the name of a GPU."""
        if name == CPU or (name == AUTO and not may_have_gpu()):
            return CPU, ""
        from ..model import devices

        found = str(devices.choose(name))
        return found, "" if found == CPU else devices.describe(found)

    def network(self, weights: Path, groups: Sequence[tuple[int, ...]], sampling: SamplingOptions, notify: Notify):
        """Returns the engine of a weights file; with groups, one that fuses each group of bands separately."""
        from ..fusion.engine import Engine
        from ..fusion.grouped_engine import grouped
        from ..model.checkpoint import load

        engine = Engine(load(weights), sampling, notify=notify)
        return grouped(engine, groups)

    def adapt(self, scenes: Sequence[Scene], job: Job, notify: Notify, progress: Callable[[float], None]) -> dict:
        """Adapts weights to scenes (see adaptation.adapt.adapt)."""
        from ..adaptation.adapt import adapt

        return adapt(scenes, [Reader(scene) for scene in scenes], job, notify, progress)
