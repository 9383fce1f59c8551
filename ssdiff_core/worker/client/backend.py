"""Who computes for a program that must not hold torch: another process (computing.py says what is asked of it)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields, replace
from pathlib import Path

from ...common.notices import Notify
from ...domain.adaptation_job import Job
from ...domain.block import SceneStats
from ...domain.options import SamplingOptions
from ...domain.scene import Scene
from ...domain.options import AssessOptions
from ...domain.study import Study
from ..serialization import meant, plain
from .data_server import Serving
from .engine import Asker, RemoteClassical, RemoteEngine, Worker

TOLD = ("scene", "sensor", "rounded", "convention", "warnings", "crs")
"what of a study is told as it is; its images are asked for"


class WorkerBackend:
    """Computes in a worker's process; `cancelled` is asked ten times a second."""

    def __init__(self, worker: Worker, notify: Notify, cancelled: Callable[[], bool] = lambda: False):
        self._worker, self._asker = worker, Asker(notify=notify, cancelled=cancelled)

    def workers(self, method: str) -> int:
        """Returns 1: the process computes one block after the other, with all threads."""
        return 1

    def thread_limit(self, workers: int) -> AbstractContextManager:
        return nullcontext()

    def network(
        self, weights: Path, groups: Sequence[tuple[int, ...]], sampling: SamplingOptions, notify: Notify
    ) -> RemoteEngine:
        how = {field.name: getattr(sampling, field.name) for field in fields(sampling)}
        return RemoteEngine(self._worker, weights, **how, groups=groups, notify=notify, cancelled=self._asker.cancelled)

    def classical(self, method: str, ratio: float, notify: Notify) -> RemoteClassical:
        return RemoteClassical(self._worker, method, ratio, notify=notify, cancelled=self._asker.cancelled)

    def stats(self, scene: Scene, wanted: dict, memory: int, workers: int) -> SceneStats:
        asker = replace(self._asker, serve=Serving([scene]))
        told = self._worker.request(asker, "stats", scene=plain(scene), wanted=plain(wanted), memory=memory)
        return meant(told["stats"])

    def adapt(self, scenes: Sequence[Scene], job: Job, notify: Notify, progress: Callable[[float], None]) -> dict:
        """As adapt.adapt."""
        asker = replace(self._asker, notify=notify, serve=Serving(scenes), progress=progress)
        return self._worker.request(asker, "adapt", scenes=plain(list(scenes)), job=plain(job))

    def assess(self, study: Study, asked: AssessOptions, page: Path | None, progress: Callable[[float], None]) -> dict:
        """As report.assessed."""
        images = [*study.images, *([study.reference] if study.reference else [])]
        asker = replace(self._asker, serve=Serving([study.scene], images), progress=progress)
        values = {name: getattr(study, name) for name in TOLD}
        told = self._worker.request(
            asker,
            "assess",
            study=plain(values),
            images=[{"name": image.name, "path": image.path, "said": image.said} for image in images],
            asked=plain(asked),
            page=page and str(page),
            reference=len(study.images) if study.reference else None,
        )
        return told["document"]
