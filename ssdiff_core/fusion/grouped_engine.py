"""Engine for scenes with more bands than the network: fuses one group of bands after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ..classical.quantise import Quantising
from ..domain.block import Block, SceneStats

OF_BANDS = ("gains", "mtf", "limits", "haze", "caps")
"fields of SceneStats with one value for each band"
OF_GROUPS = ("weights", "match")
"fields of SceneStats with one value for each group of bands"


def grouped(engine, of_bands: Sequence[tuple[int, ...]]):
    """Returns the engine, applied to each of these groups of bands if there are any."""
    return Grouped(engine, list(of_bands)) if of_bands else engine


class Grouped(Quantising):
    """Applies an engine for a few bands to each group of bands (see domain.band_groups)."""

    def __init__(self, engine, of_bands: list[tuple[int, ...]]):
        self.engine, self.groups = engine, of_bands

    def __repr__(self) -> str:
        return f"Grouped({self.engine}, {self.groups})"

    @property
    def one_thread_per_block(self) -> bool:
        return self.engine.one_thread_per_block

    @property
    def reach(self) -> int:
        return self.engine.reach

    @property
    def ms_halo(self) -> int:
        return self.engine.ms_halo

    def fuse(self, block: Block, progress: Callable[[float], None] | None = None) -> np.ndarray:
        return self._by_group(lambda *arguments: [self.engine.fuse(*arguments)], 1, block, progress)[0]

    def fuse_with_spread(self, block: Block, progress: Callable[[float], None] | None = None):
        mean, std = self._by_group(self.engine.fuse_with_spread, 2, block, progress)
        return mean, std

    def _by_group(self, fuse: Callable, images: int, block: Block, progress) -> np.ndarray:
        """Returns the images that fuse returns for each group, with all bands together (images, C, h, w)."""
        report = progress or (lambda share: None)
        fused = np.empty((images, len(block.ms), *block.core.shape), np.float32)
        block = mask_all_bands(block)
        for k, bands in enumerate(self.groups):
            of_group = fuse(only(block, bands, k), lambda share, k=k: report((k + share) / len(self.groups)))
            for band in dict.fromkeys(bands):
                fused[:, band] = [image[bands.index(band)] for image in of_group]
        return fused


def mask_all_bands(block: Block) -> Block:
    """Returns the block with a pixel masked in all bands where it is masked in any."""
    if block.ms.dtype.kind != "f":
        return block
    return replace(block, ms=np.where(np.isfinite(block.ms).all(0), block.ms, np.float32(np.nan)))


def only(block: Block, bands: Sequence[int], number: int = 0) -> Block:
    """Returns the block with only these bands and their statistics.

    number: index of their group in the statistics that each group has (OF_GROUPS).
    """
    return replace(block, ms=block.ms[list(bands)], stats=_stats_of(block.stats, bands, number))


def _stats_of(stats: SceneStats, bands: Sequence[int], number: int) -> SceneStats:
    """Returns the statistics of these bands; the means and standard deviations keep PAN's as the last."""
    picked = {name: getattr(stats, name)[number : number + 1] for name in OF_GROUPS}
    picked |= {name: tuple(getattr(stats, name)[band] for band in bands) for name in OF_BANDS if getattr(stats, name)}
    if stats.means:
        picked |= {name: tuple(getattr(stats, name)[i] for i in (*bands, -1)) for name in ("means", "deviations")}
    return replace(stats, **picked)
