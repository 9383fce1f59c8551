"""The backend of one task of a worker."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ..classical.parallel import all_processors, blocks_of_statistics, scene_stats
from ..classical.scene_statistics import Survey
from ..common.fingerprints import sha256_of
from ..common.notices import Notify
from ..domain.block import SceneStats
from ..domain.options import SamplingOptions
from ..domain.scene import Scene
from ..domain.window import Window
from ..inprocess.backend import LocalBackend
from ..raster.reader import Reader


class TaskBackend(LocalBackend):
    """Computes a scene in this process with the processors of one task; the pixels are those of a run alone."""

    def __init__(self, processors: int):
        super().__init__()
        self.processors = processors

    def workers(self, engine) -> int:
        """Returns how many blocks to compute at once."""
        return min(super().workers(engine), self.processors)

    def network(self, weights: Path, groups: Sequence[tuple[int, ...]], sampling: SamplingOptions, notify: Notify):
        """Returns the engine of a weights file; the network is loaded once in a process."""
        import torch

        from ..fusion.engine import Engine
        from ..fusion.grouped_engine import grouped

        torch.set_num_threads(self.processors)
        engine = Engine(_loaded(weights, sha256_of(weights)), sampling, notify=notify)
        return grouped(engine, groups)

    def stats(self, scene: Scene, survey: Survey, memory: int) -> SceneStats:
        """Returns the statistics of the whole scene."""
        blocks = self.blocks(scene, survey, memory)
        return scene_stats(scene, partial(Reader, scene), survey, workers=self.processors, blocks=blocks)

    def blocks(self, scene: Scene, survey: Survey, memory: int) -> dict[int, Window]:
        """Returns the blocks of a run alone on this machine: other blocks change the last bits of the statistics."""
        return blocks_of_statistics(scene, survey, memory, all_processors())


@functools.lru_cache(maxsize=2)
def _loaded(weights: Path, digest: str):
    from ..model.checkpoint import load

    return load(weights)
