"""The backend that computes classical methods in this process, with NumPy alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial

from ..classical.engine import ClassicalEngine
from ..classical.parallel import all_processors, processors, scene_stats
from ..classical.scene_statistics import Survey
from ..common.notices import Notify
from ..domain.block import SceneStats
from ..domain.scene import Scene
from ..raster.reader import Reader
from .speeds import CPU


class ClassicalBackend:
    """Computes classical methods in this process; it has no network (see inprocess.backend for both)."""

    def __init__(self, tick: Callable[[], None] = lambda: None):
        """tick: called ten times a second during a pass over the scene; may raise Cancelled."""
        self._tick = tick

    def device(self, name: str) -> tuple[str, str]:
        """Returns the id of the device that an option means, and the name of a GPU."""
        return CPU, ""

    def workers(self, engine) -> int:
        """Returns how many blocks to compute at once: one for each processor, or one with all of them."""
        return all_processors() if engine.one_thread_per_block else 1

    def thread_limit(self, workers: int) -> AbstractContextManager:
        """Returns a context in which each of several workers computes with one thread."""
        return processors(workers)

    def classical(self, method: str, ratio: float, notify: Notify) -> ClassicalEngine:
        """Returns the engine of a classical method."""
        return ClassicalEngine(method, ratio)

    @contextlib.contextmanager
    def beside(self, function: Callable[[], object]) -> Iterator[Callable[[], object]]:
        """Calls a function while other work is done; yields one that waits for its result."""
        with ThreadPoolExecutor(1) as pool:
            yield pool.submit(function).result

    def stats(self, scene: Scene, survey: Survey, memory: int) -> SceneStats:
        """Returns the statistics of the whole scene."""
        return scene_stats(scene, partial(Reader, scene), survey, memory, all_processors(), self._tick)
