"""The MS samples that the pixels of a core are interpolated from, and PAN at these samples."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

from ..domain.block import Block
from ..domain.fill import fill_masked
from ..domain.kernels import REACH
from .resample import Strip, blurrer, reader, take_cols, take_rows, transposed


def masks(block: Block) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Returns the masks of PAN and MS, None for one that is valid everywhere; integers are not searched for NaN."""
    if block.valid is None and block.pan.dtype.kind in "iub" and block.ms.dtype.kind in "iub":
        return None, None
    return tuple(None if ok.all() else ok for ok in block.masks())


class MsSamples:
    """The MS samples that the pixels of a block's core are interpolated from."""

    def __init__(self, block: Block, kernel: str):
        self.block, self.kernel = block, kernel
        self.pan_ok, self.ms_ok = masks(block)
        self.rows, self.cols = (self._samples(axis) for axis in (0, 1))
        if self.ms_ok is None:
            self.ms = self.cut(block.ms).astype(np.float32)
        else:
            self.ms = self.cut(fill_masked(block.ms, self.ms_ok, REACH[kernel]))

    def _samples(self, axis: int) -> np.ndarray:
        """Returns the samples along an axis as indices into block.ms; beyond its ends the last sample is repeated."""
        core, reach = self.block.core, REACH[self.kernel]
        ends = np.array([(core.row, core.col)[axis], core.stop[axis] - 1])
        first, last = np.floor(self.block.on_ms(ends, axis) + 1e-9).astype(int)
        return np.arange(first - reach, last + reach + 2)

    def cut(self, field: np.ndarray) -> np.ndarray:
        """Returns a field on block.ms (..., hm, wm) at the samples."""
        r, c = (np.clip(i, 0, n - 1) for i, n in zip((self.rows, self.cols), field.shape[-2:]))
        return field[..., r[:, None], c]

    def ok(self) -> np.ndarray | None:
        """Returns where the core is valid (h, w); None: everywhere."""
        if self.pan_ok is None and self.ms_ok is None:
            return None
        ok = np.ones(self.block.window.shape, bool) if self.pan_ok is None else self.pan_ok
        if self.ms_ok is not None:
            ok = ok & self.block.nearest_on_ms(self.ms_ok)
        return ok[self.block.core.within(self.block.window)]

    def pan(self) -> np.ndarray:
        """Returns PAN over the core (h, w)."""
        return self.block.pan[self.block.core.within(self.block.window)].astype(np.float32)

    @functools.cached_property
    def up(self) -> tuple[list[Strip], list[Strip]]:
        """Strips that interpolate the samples to the core's rows and columns."""
        block, core = self.block, self.block.core
        return tuple(
            reader(block.on_ms(start, axis) - samples[0], n, block.ratio, self.kernel)
            for axis, (start, n, samples) in enumerate(
                ((core.row, core.height, self.rows), (core.col, core.width, self.cols))
            )
        )

    @functools.cached_property
    def _whole_pan(self) -> np.ndarray:
        pan = np.asarray(self.block.pan, np.float32)
        return pan if self.pan_ok is None else np.where(self.pan_ok, pan, np.float32(0))

    def seen(self, gains: Sequence[float]) -> np.ndarray:
        """Returns PAN at the samples as MS sensors with these MTF gains see it (gains, h, w), from its valid pixels."""
        low, share = self._blurred(self._whole_pan, gains), self.share(gains)
        if share is None:
            return low
        known, reach = share > 0, REACH[self.kernel]
        low = np.divide(low, share, out=np.zeros_like(low), where=known)
        return np.concatenate([fill_masked(image[None], ok, reach) for image, ok in zip(low, known)])

    def share(self, gains: Sequence[float]) -> np.ndarray | None:
        """Returns the valid share of the PAN pixels that such sensors see; None: all are valid."""
        return None if self.pan_ok is None else self._blurred(self.pan_ok.astype(np.float32), gains)

    def _blurred(self, image: np.ndarray, gains: Sequence[float]) -> np.ndarray:
        block = self.block
        strips, index = [], []
        for axis, samples in enumerate((self.rows, self.cols)):
            start, stop = (block.window.row, block.window.col)[axis], block.window.stop[axis]
            first, last = block.on_ms(np.array([start, stop - 1]), axis)
            # PAN ends with its window; beyond it the last samples that see it are repeated.
            used = np.arange(max(samples[0], math.floor(first)), min(samples[-1], math.ceil(last)) + 1)
            centre = used[0] * block.ratio + block.ms_at[axis] - start
            strips.append(blurrer(centre, len(used), gains, block.ratio))
            index.append(np.clip(samples, used[0], used[-1]) - used[0])
        low = take_cols(strips[1], take_rows(strips[0], image))
        return low[:, index[0][:, None], index[1]]

    def contributions(self, image: np.ndarray) -> np.ndarray:
        """Returns how much each sample contributes to the core's pixels, weighted with an image (..., h, w)."""
        return transposed(*self.up, image, (len(self.rows), len(self.cols)))

    def in_core(self) -> tuple[slice, slice]:
        """Returns the samples in the core; however a scene is divided into cores, each sample is in exactly one."""
        core, spans = self.block.core, []
        for axis, samples in enumerate((self.rows, self.cols)):
            pixel = np.floor(samples * self.block.ratio + self.block.ms_at[axis] + 0.5 + 1e-6)
            strips = (samples >= 0) & (samples < self.block.ms.shape[1 + axis])
            inside = np.flatnonzero(strips & (pixel >= (core.row, core.col)[axis]) & (pixel < core.stop[axis]))
            spans.append(slice(inside[0], inside[-1] + 1) if len(inside) else slice(0, 0))
        return tuple(spans)
