"""The engine of the classical methods."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import numpy as np

from ..common.errors import BlockError, ConfigError
from ..common.pipeline import PerThread
from ..domain.block import Block
from ..domain.kernels import BLUR_REACH, REACH
from .methods import registry
from .methods.brovey import brovey
from .methods.method import column
from .ms_samples import MsSamples
from .parallel import side_by_side
from .quantise import Quantising
from .resample import Strip, take_cols
from .scene_statistics import Survey


class ClassicalEngine(Quantising):
    """A classical method as an engine (see docs/architecture.md)."""

    one_thread_per_block = True

    def __init__(
        self,
        method: str,
        ratio: float = 4.0,
        kernel: str = "cubic",
        weights: tuple[float, ...] = (),
        threads: int = 1,
    ):
        """weights: weights of the bands in Brovey's intensity; by default all the same.

        threads: threads that compute a block; the pixels do not depend on it.
        """
        if weights and (method != "brovey" or min(weights) < 0 or not sum(weights) > 0):
            raise ConfigError(f"the weights {weights} are not valid for {method}: Brovey takes nonnegative ones")
        self._method = brovey(tuple(weights)) if weights else registry.get(method)
        self.method, self.ratio, self.kernel, self.weights = method, ratio, kernel, tuple(weights)
        self.threads = threads

    def __repr__(self) -> str:
        return f"ClassicalEngine({self.method}, {self.kernel})"

    @property
    def reach(self) -> int:
        """PAN pixels that block.window must extend beyond block.core, wherever the scene does."""
        return blur_reach(self.ratio, self.kernel) + round(self.ratio) if self._method.blurs_pan else 0

    @property
    def ms_halo(self) -> int:
        """MS pixels that block.ms must extend beyond the ground of block.window."""
        return 2 * REACH[self.kernel] + 2

    @property
    def needs_survey(self) -> bool:
        """Whether the method is fitted to the scene."""
        return self._method.fit is not None

    def survey(self, mtf: tuple[float, ...], pan_mtf: float = 0.15) -> Survey:
        """Returns the pass over the scene that fits the method."""
        return Survey(self.method, tuple(mtf), self.ratio, self.kernel, pan_mtf)

    def fuse(self, block: Block, progress: Callable[[float], None] | None = None) -> np.ndarray:
        """Returns the fused core in counts (C, h, w) float32, NaN where PAN or MS is masked.

        progress: receives the share done.
        """
        self._check(block)
        samples = MsSamples(block, self.kernel)
        ok = samples.ok()
        if ok is not None and not ok.any():
            return np.full((len(block.ms), *block.core.shape), np.nan, np.float32)
        fused = np.empty((len(block.ms), *block.core.shape), np.float32)
        self._fill(fused, samples, progress or (lambda share: None))
        if ok is not None:
            np.copyto(fused, np.nan, where=~ok)
        return fused

    def _fill(self, fused: np.ndarray, samples: MsSamples, report: Callable[[float], None]) -> None:
        """Fuses strip by strip, so that a strip stays in the processor's cache."""
        stats = samples.block.stats
        coarse, finish = self._method.prepare(stats, samples)
        rows, cols = samples.up
        across, pan = take_cols(cols, coarse), samples.pan()
        limits = [column(values) for values in zip(*stats.limits)]
        # New memory for each strip would cost more time than the fusion.
        buffer = PerThread(lambda: np.empty((len(across), rows[0].outputs, fused.shape[2]), np.float32))
        stops = itertools.accumulate(strip.outputs for strip in rows)

        def fuse_strip(job: tuple[Strip, int]) -> int:
            strip, stop = job
            part = slice(stop - strip.outputs, stop)
            with np.errstate(all="ignore"):
                image = buffer()[:, : strip.outputs]
                image = finish(np.matmul(strip.matrix, across[:, strip.start : strip.stop], out=image), pan[part])
                if limits:
                    np.minimum(np.maximum(image, limits[0], out=image), limits[1], out=fused[:, part])
                else:
                    fused[:, part] = image
            return stop

        run = map if self.threads == 1 else partial(side_by_side, workers=self.threads, release=False)
        for stop in run(fuse_strip, zip(rows, stops)):
            report(stop / fused.shape[1])

    def _check(self, block: Block) -> None:
        bands = len(block.ms)
        if self.weights and len(self.weights) != bands:
            raise BlockError(f"Brovey has {len(self.weights)} weights for {bands} MS bands: one for each is needed")
        if not self._method.has_statistics(block.stats, bands):
            raise BlockError(f"{self.method} needs statistics of the scene; the block has none for {bands} bands")


def blur_reach(ratio: float, kernel: str) -> int:
    """Returns how many PAN pixels around a pixel influence PAN as the MS sensor sees it there."""
    return round((BLUR_REACH + REACH[kernel] + 1) * ratio)
