"""Classical fusions for comparison, computed on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..classical.engine import ClassicalEngine
from ..classical.parallel import default_workers, scene_stats
from ..common.pipeline import PerThread
from ..domain.block import SceneStats
from ..domain.methods import LABELS
from ..domain.scene import Scene
from ..domain.sensors import Sensor
from ..domain.study import within
from ..domain.window import Window


@dataclass
class BaselineImage:
    """A classical fusion of a scene, computed for each requested window; safe to use from several threads."""

    name: str
    scene: Scene
    engine: ClassicalEngine
    stats: SceneStats
    reader: PerThread
    path = None

    @staticmethod
    def of(
        method: str,
        scene: Scene,
        sensor: Sensor,
        open_reader: Callable,
        memory: int,
        tick: Callable[[], None] = lambda: None,
    ) -> BaselineImage:
        """Returns the fusion of a scene by a classical method. tick: see classical.parallel.scene_stats."""
        engine = ClassicalEngine(method, scene.placement.ratio)
        stats = SceneStats(mtf=sensor.mtf)
        if engine.needs_survey:
            stats = scene_stats(
                scene, open_reader, engine.survey(sensor.mtf, sensor.pan_mtf), memory, default_workers(), tick
            )
        return BaselineImage(LABELS.get(method, method), scene, engine, stats, PerThread(open_reader))

    def close(self) -> None:
        """Closes the files of the scene; they are reopened on demand."""
        self.reader.close()

    def read(self, window: Window) -> np.ndarray:
        """Returns the fused image (bands, h, w) over a window; NaN beyond the scene."""
        overlap = window & self.scene.window
        image = self._fused(overlap) if overlap else None
        return within(image, overlap, window, len(self.scene.ms))

    def _fused(self, core: Window) -> np.ndarray:
        block = self.reader().read(core, self.engine.reach, self.engine.ms_halo)
        return self.engine.fuse(replace(block, stats=self.stats))
