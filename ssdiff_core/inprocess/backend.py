"""The backend that computes in this process, for the command line.

Workflows take a backend: this one, or worker.client.backend.WorkerBackend for programs that must not import torch. Both
have the same methods.
"""

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
from ..fusion.parallel import default_workers, processors, scene_stats
from ..raster.reader import Reader


class LocalBackend:
    """Computes in this process, with its torch."""

    def workers(self, engine) -> int:
        """Returns how many blocks to compute at once: one for each processor, or one with all of them."""
        return os.cpu_count() or 1 if engine.one_thread_per_block else 1

    def thread_limit(self, workers: int) -> AbstractContextManager:
        """Returns a context in which each of several workers computes with one thread."""
        return processors(workers)

    def network(self, weights: Path, groups: Sequence[tuple[int, ...]], sampling: SamplingOptions, notify: Notify):
        """Returns the engine of a weights file; with groups, one that fuses each group of bands separately."""
        from ..fusion.engine import Engine
        from ..fusion.grouped_engine import Grouped
        from ..model.checkpoint import load

        engine = Engine(load(weights), sampling, notify=notify)
        return Grouped(engine, list(groups)) if groups else engine

    def classical(self, method: str, ratio: float, notify: Notify):
        """Returns the engine of a classical method."""
        from ..fusion.methods.engine import ClassicalEngine

        return ClassicalEngine(method, ratio)

    def adapt(self, scenes: Sequence[Scene], job: Job, notify: Notify, progress: Callable[[float], None]) -> dict:
        """Adapts weights to scenes (see adaptation.adapt.adapt)."""
        from ..adaptation.adapt import adapt

        return adapt(scenes, [Reader(scene) for scene in scenes], job, notify, progress)

    def stats(self, scene: Scene, survey: dict, memory: int, workers: int) -> SceneStats:
        """Returns the statistics of the whole scene. survey: the arguments of fusion.scene_statistics.Survey."""
        from ..fusion.scene_statistics import Survey

        return scene_stats(scene, partial(Reader, scene), Survey(**survey), memory, max(workers, default_workers()))
