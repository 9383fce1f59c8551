"""Who computes: this process, on the command line. A program that must not hold torch hands in another (elsewhere.py)
that answers the same."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from ..common.notices import Notify
from ..domain.adaptation_job import Job
from ..domain.block import SceneStats
from ..domain.options import SamplingOptions
from ..domain.scene import Scene
from ..fusion.parallel import processors, scene_stats
from ..raster.reader import Reader


class LocalBackend:
    """Computes in this process."""

    def workers(self, method: str) -> int:
        """Returns how many blocks to compute at once: a network uses all processors for one block."""
        return 1 if method == "ssdiff" else os.cpu_count() or 1

    def thread_limit(self, workers: int) -> AbstractContextManager:
        """Returns a context in which each of several workers computes with one thread."""
        return processors(workers)

    def network(self, weights: Path, groups: Sequence[tuple[int, ...]], sampling: SamplingOptions, notify: Notify):
        """The engine of a weights file; for bands in groups, if there are any."""
        from ..fusion.engine import Engine
        from ..fusion.grouped_engine import Grouped
        from ..model.checkpoint import load

        engine = Engine(
            load(weights),
            sampling.device,
            steps=sampling.steps,
            samples=sampling.samples,
            seed=sampling.seed,
            notify=notify,
        )
        return Grouped(engine, list(groups)) if groups else engine

    def classical(self, method: str, ratio: float, notify: Notify):
        """The engine of a classical method."""
        from ..fusion.classical import Classical

        return Classical(method, ratio)

    def adapt(self, scenes: Sequence[Scene], job: Job, notify: Notify, progress: Callable[[float], None]) -> dict:
        """Adapts weights to scenes (see adapt.adapt)."""
        from ..adaptation.adapt import adapt

        return adapt(scenes, [Reader(scene) for scene in scenes], job, notify, progress)

    def stats(self, scene: Scene, wanted: dict, memory: int, workers: int) -> SceneStats:
        """What belongs to the whole scene; wanted: what the survey is made of (see statistics.Survey)."""
        from ..fusion.scene_statistics import Survey

        return scene_stats(scene, partial(Reader, scene), Survey(**wanted), memory, workers)
