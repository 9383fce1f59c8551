"""The backend of a large scene: its statistics and its blocks are computed by all workers."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path

from ..classical.scene_statistics import Survey
from ..common.fingerprints import sha256_of
from ..common.notices import Notify
from ..domain.block import SceneStats
from ..domain.options import SamplingOptions
from ..domain.pixel_type import PixelType
from ..domain.scene import Scene
from ..domain.window import Window
from ..workflows.block_writer import FusedImage
from . import shared_weights
from .job import ArchiveRun, SceneJob
from .parts import EngineSpec, Part, fuse_part, gather_part, groups_of, images_of, part_name
from .pulse import Pulse
from .storage import Storage
from .task_backend import TaskBackend

RETRIES = 2
"times that a failed part of a scene is computed again"
PRIORITY = 1
"priority of parts: scenes that have begun are completed before others begin"


class SpreadBackend(TaskBackend):
    """Has all workers compute the statistics and the blocks of a scene.

    The task of the scene itself opens it, adapts weights, and assembles the image.
    """

    def __init__(self, client, job: SceneJob, run: ArchiveRun, pulse: Pulse):
        super().__init__(run.processors)
        self.client, self.job, self.run, self.pulse = client, job, run, pulse
        self.published: set[str] = set()

    def classical(self, method: str, ratio: float, notify: Notify) -> SpreadEngine:
        """Returns the engine of a classical method."""
        return SpreadEngine(super().classical(method, ratio, notify), EngineSpec(method, ratio), self)

    def network(self, weights: Path, groups, sampling: SamplingOptions, notify: Notify) -> SpreadEngine:
        """Returns the engine of a weights file, which workers that lack the file get."""
        digest = sha256_of(weights)
        if digest != self.job.weights:  # those were adapted to the scene here
            self.published.add(shared_weights.publish(self.client, weights))
        spec = EngineSpec(weights=digest, groups=tuple(groups), sampling=sampling)
        return SpreadEngine(super().network(weights, groups, sampling, notify), spec, self)

    def stats(self, scene: Scene, survey: Survey, memory: int) -> SceneStats:
        """Returns the statistics of the whole scene: its blocks' sums, added in their order."""
        parts = [
            Part(self._name("sums", number), scene, windows=group)
            for number, group in enumerate(groups_of(self.blocks(scene, survey, memory)))
        ]
        sums = {part.name: of_part for part, of_part in self._computed(gather_part, parts, survey)}
        return survey.stats(reduce(operator.add, (each for part in parts for each in sums[part.name])))

    def fused_parts(self, parts: Sequence[Part]) -> Iterator[Part]:
        """Yields parts as soon as they are in the storage."""
        return (part for part, _ in self._computed(fuse_part, parts))

    def _computed(self, function: Callable, parts: Sequence[Part], *arguments) -> Iterator[tuple[Part, object]]:
        """Yields each part, and what the function returns for it, in the order in which they are done."""
        from distributed import as_completed

        futures = {
            self.client.submit(
                *(function, part, self.job, self.run, *arguments),
                key=f"{function.__name__}-{self.run.id}-{part.name}",
                retries=RETRIES,
                priority=PRIORITY,
                pure=False,
            ): part
            for part in parts
        }
        try:
            for future, result in as_completed(list(futures), with_results=True):
                self.pulse.beat()
                yield futures[future], result
                future.release()
        finally:
            self.client.cancel(list(futures))

    def _name(self, kind: str, number: int) -> str:
        return f"{self.job.name}#{kind}{number}"


class SpreadEngine:
    """An engine whose blocks are fused by all workers; everything else is that of the engine itself."""

    def __init__(self, engine, spec: EngineSpec, backend: SpreadBackend):
        self._engine, self._spec, self._backend = engine, spec, backend

    def __getattr__(self, name: str):
        return getattr(self._engine, name)

    def fused_blocks(
        self, scene: Scene, stats: SceneStats, todo: dict[int, Window], types: Sequence[PixelType], stop
    ) -> Iterator[tuple[int, list[FusedImage]]]:
        """Yields the number of each block and its images."""
        job, storage = self._backend.job, Storage(self._backend.run.root)
        whole = Part("", scene, stats, self._spec, tuple(types))
        parts = [replace(whole, windows=group) for group in groups_of(todo)]
        parts = [replace(part, name=f"{job.name}#{part_name(part)}") for part in parts]
        for part in self._backend.fused_parts(parts):
            if stop.is_set():
                return
            yield from images_of(part, job, storage)
