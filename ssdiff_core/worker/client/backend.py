"""Backend that computes in the computing process, for programs that must not import torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from ...classical.scene_statistics import Survey
from ...common.notices import Notify
from ...domain.adaptation_job import Job
from ...domain.block import SceneStats
from ...domain.options import SamplingOptions
from ...domain.scene import Scene
from ..serialization import decode, encode
from .data_server import DataServer
from .engine import Callbacks, RemoteClassical, RemoteEngine, Worker


class WorkerBackend:
    """Computes in the process of a worker."""

    def __init__(self, worker: Worker, notify: Notify, cancelled: Callable[[], bool] = lambda: False, run: str = ""):
        """cancelled: called ten times a second; once it returns True, the process is ended and Cancelled raised.

        run: name of the run, which other runs are told while they wait for this one.
        """
        self._worker, self._callbacks = worker, Callbacks(notify=notify, cancelled=cancelled, run=run)

    def device(self, name: str) -> tuple[str, str]:
        """Returns the id of the device that an option means, and the name of a GPU."""
        found = self._worker.hello(self._callbacks)["devices"]
        works = [each for each in found if found[each]["works"] and each != "cpu"]
        chosen = next(iter(works), "cpu") if name == "auto" else name
        return chosen, found.get(chosen, {}).get("name") or "" if chosen != "cpu" else ""

    def workers(self, engine) -> int:
        """Returns 1: the process computes one block after the other, with all threads."""
        return 1

    def thread_limit(self, workers: int) -> AbstractContextManager:
        return nullcontext()

    def beside(self, function: Callable[[], object]) -> AbstractContextManager[Callable[[], object]]:
        """Returns a context with the function itself: the process answers one request after the other."""
        return nullcontext(function)

    def network(
        self, weights: Path, groups: Sequence[tuple[int, ...]], sampling: SamplingOptions, notify: Notify
    ) -> RemoteEngine:
        """Opens a network, for each group of bands if there are several."""
        kept = {"cancelled": self._callbacks.cancelled, "run": self._callbacks.run}
        return RemoteEngine(self._worker, weights, sampling, groups=groups, notify=notify, **kept)

    def classical(self, method: str, ratio: float, notify: Notify) -> RemoteClassical:
        """Opens a classical method."""
        return RemoteClassical(self._worker, method, ratio, notify=notify, cancelled=self._callbacks.cancelled)

    def stats(self, scene: Scene, survey: Survey, memory: int) -> SceneStats:
        """Returns the statistics of a scene."""
        callbacks = replace(self._callbacks, read=DataServer([scene]))
        arguments = {"scene": encode(scene), "survey": encode(vars(survey)), "memory": memory}
        return decode(self._worker.request(callbacks, "stats", **arguments)["stats"])

    def adapt(self, scenes: Sequence[Scene], job: Job, notify: Notify, progress: Callable[[float], None]) -> dict:
        """Adapts weights as `adaptation.adapt.adapt` does, and returns its result."""
        callbacks = replace(self._callbacks, notify=notify, read=DataServer(scenes), progress=progress)
        return self._worker.request(callbacks, "adapt", scenes=encode(list(scenes)), job=encode(job))
