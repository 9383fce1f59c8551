"""Who computes: this process, on the command line. A program that must not hold torch hands in another (elsewhere.py)
that answers the same."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .blocks import SceneStats
from .job import Job
from .passes import scene_stats
from .reading import Reader
from .scene import Scene

Say = Callable[[str], None]


@dataclass(frozen=True)
class Sampling:
    """How a network is asked."""

    device: str = "auto"
    steps: int | None = None
    samples: int | None = None
    seed: int = 0


class Here:
    """Computes in this process."""

    def hands(self, method: str) -> int:
        """Blocks that are worth computing at once: a network wants all processors for itself."""
        return 1 if method == "ssdiff" else os.cpu_count() or 1

    def network(self, weights: Path, groups: Sequence[tuple[int, ...]], sampling: Sampling, say: Say):
        """The engine of a weights file; for bands in groups, if there are any."""
        from .engine import Engine
        from .groups import Grouped
        from .weights import load

        engine = Engine(
            load(weights),
            sampling.device,
            steps=sampling.steps,
            samples=sampling.samples,
            seed=sampling.seed,
            say=say,
        )
        return Grouped(engine, list(groups)) if groups else engine

    def classical(self, method: str, ratio: float, say: Say):
        """The engine of a classical method."""
        from .classical import Classical

        return Classical(method, ratio)

    def adapt(self, scenes: Sequence[Scene], job: Job, say: Say, progress: Callable[[float], None]) -> dict:
        """Adapts weights to scenes (see adapt.adapt)."""
        from .adapt import adapt

        return adapt(scenes, [Reader(scene) for scene in scenes], job, say, progress)

    def stats(self, scene: Scene, wanted: dict, memory: int, hands: int) -> SceneStats:
        """What belongs to the whole scene; wanted: what the survey is made of (see statistics.Survey)."""
        from .statistics import Survey

        return scene_stats(scene, partial(Reader, scene), Survey(**wanted), memory, hands)
