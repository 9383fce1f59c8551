"""A network for a few bands on a scene of any number of bands: each band group is fused by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ..domain.block import Block, SceneStats
from .quantise import Quantising

OF_BANDS = ("gains", "mtf", "limits", "haze", "caps")
OF_GROUPS = ("weights", "match")


class Grouped(Quantising):
    """An engine for `size` bands as one for any number: each group is fused by itself."""

    def __init__(self, engine, of_bands: list[tuple[int, ...]]):
        self.engine, self.groups = engine, of_bands

    def __repr__(self) -> str:
        return f"Grouped({self.engine}, {self.groups})"

    @property
    def reach(self) -> int:
        return self.engine.reach

    @property
    def ms_halo(self) -> int:
        return self.engine.ms_halo

    def fuse(self, block: Block, progress: Callable[[float], None] | None = None) -> np.ndarray:
        return self._by_group(lambda *asked: [self.engine.fuse(*asked)], 1, block, progress)[0]

    def fuse_with_spread(self, block: Block, progress: Callable[[float], None] | None = None):
        mean, std = self._by_group(self.engine.fuse_with_spread, 2, block, progress)
        return mean, std

    def _by_group(self, fuse: Callable, images: int, block: Block, progress) -> np.ndarray:
        """What fuse answers to each group, put together (images, C, h, w)."""
        report = progress or (lambda share: None)
        answer = np.empty((images, len(block.ms), *block.core.shape), np.float32)
        block = whole_holes(block)
        for k, bands in enumerate(self.groups):
            made = fuse(only(block, bands, k), lambda share, k=k: report((k + share) / len(self.groups)))
            for band in dict.fromkeys(bands):
                answer[:, band] = [image[bands.index(band)] for image in made]
        return answer


def whole_holes(block: Block) -> Block:
    """The block with a hole in any band being one in all."""
    if block.ms.dtype.kind != "f":
        return block
    return replace(block, ms=np.where(np.isfinite(block.ms).all(0), block.ms, np.float32(np.nan)))


def only(block: Block, bands: Sequence[int], number: int = 0) -> Block:
    """The block with these of its bands, and what is known of them; number: which of the surveyed groups they are."""
    return replace(block, ms=block.ms[list(bands)], stats=_stats_of(block.stats, bands, number))


def _stats_of(stats: SceneStats, bands: Sequence[int], number: int) -> SceneStats:
    """Of these bands; of means and spreads, PAN's come last."""
    picked = {name: getattr(stats, name)[number : number + 1] for name in OF_GROUPS}
    picked |= {name: tuple(getattr(stats, name)[band] for band in bands) for name in OF_BANDS if getattr(stats, name)}
    if stats.means:
        picked |= {name: tuple(getattr(stats, name)[i] for i in (*bands, -1)) for name in ("means", "spreads")}
    return replace(stats, **picked)
