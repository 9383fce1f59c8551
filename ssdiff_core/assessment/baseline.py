"""What a classical method makes of a scene, computed over just the windows that are looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..common.pipeline import PerThread
from ..domain.block import SceneStats
from ..domain.methods import LABELS
from ..domain.scene import Scene
from ..domain.sensors import Sensor
from ..domain.study import within
from ..domain.window import Window
from ..fusion.methods.engine import ClassicalEngine
from ..fusion.parallel import hands, scene_stats


@dataclass
class Computed:
    """What a classical method makes of a scene, computed where it is asked for, by any thread."""

    name: str
    scene: Scene
    engine: ClassicalEngine
    stats: SceneStats
    reader: PerThread
    path = None

    @staticmethod
    def of(method: str, scene: Scene, sensor: Sensor, open_reader: Callable, memory: int) -> Computed:
        engine = ClassicalEngine(method, scene.placement.ratio)
        stats = SceneStats(mtf=sensor.mtf)
        if engine.needs_survey:
            stats = scene_stats(scene, open_reader, engine.survey(sensor.mtf, sensor.pan_mtf), memory, hands())
        return Computed(LABELS.get(method, method), scene, engine, stats, PerThread(open_reader))

    def close(self) -> None:
        """Closes the files of the scene, which are opened again if need be."""
        self.reader.close()

    def over(self, window: Window) -> np.ndarray:
        here = window & self.scene.window
        image = self._fused(here) if here else None
        return within(image, here, window, len(self.scene.ms))

    def _fused(self, core: Window) -> np.ndarray:
        block = self.reader().read(core, self.engine.reach, self.engine.ms_halo)
        return self.engine.fuse(replace(block, stats=self.stats))
