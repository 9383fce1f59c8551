"""Geometry and sensor of a scene for the measures without a reference, and views of its blocks."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

import numpy as np

from ..classical.ms_samples import MsSamples
from ..classical.resample import take_cols, take_rows
from ..domain.block import Block
from ..domain.fill import fill_masked
from ..domain.kernels import reflect
from ..domain.window import Window
from .conventions import TOLERANCE, Geometric, Point, downsampling_filter
from .reference import extract
from .similarity import local_correlation, unmasked

KERNEL = "23tap"


@dataclass(frozen=True)
class Setting:
    """Geometry, sensor and convention of an assessment without a reference."""

    scene: Window
    "measured window of PAN; squares of 32 pixels start at its first pixel"
    ms_at: Point
    "position of the first sample of the whole MS on PAN, absolute as in Block"
    ms_size: tuple[int, int]
    "rows and columns of the whole MS"
    ratio: float
    mtf: tuple[float, ...]
    "gain of each MS band at the MS Nyquist frequency"
    convention: Geometric
    rounded: bool = True
    "as in Referenced"

    @functools.cached_property
    def placed(self) -> tuple[Point, float]:
        """The position of the first MS sample and the ratio in the convention."""
        return self.convention.place(self.ms_at, self.ratio)

    def centre(self, row: float, col: float) -> Point:
        """Returns the position of an MS sample on PAN in the convention."""
        at, ratio = self.placed
        return at[0] + row * ratio, at[1] + col * ratio

    def first_sample(self, block: Block) -> tuple[int, int]:
        """Returns the row and column in the whole MS of a block's first sample."""
        row, col = (round((here - first) / self.ratio) for here, first in zip(block.ms_at, self.ms_at))
        return row, col


class View:
    """A block clipped to the scene, with MS positioned by the convention and masked pixels filled."""

    def __init__(self, setting: Setting, block: Block, fused):
        self.setting, self.window = setting, block.window & setting.scene
        self.first = setting.first_sample(block)
        self.block = block = replace(block, ms_at=setting.centre(*self.first), ratio=setting.placed[1])
        part = (..., *self.window.within(block.window))
        fused, pan = np.asarray(fused, np.float32)[part], np.asarray(block.pan, np.float32)[part]
        pan_ok, ms_ok = block.masks()
        ok = pan_ok[part] & np.isfinite(fused).all(0)
        self.image_ok = ok
        if not ok.all():
            rounds = setting.convention.reach(setting.ratio)
            fused, pan = fill_masked(fused, ok, rounds), fill_masked(pan[None], ok, rounds)[0]
        ok = ok & block.nearest_on_ms(ms_ok)[part]
        self.ok = None if ok.all() else ok
        self.fused, self.pan = fused, pan

    @functools.cached_property
    def ground(self) -> MsSamples:
        return MsSamples(self.block, KERNEL)

    def core(self, image: np.ndarray) -> np.ndarray:
        """Returns the core of an image over the window."""
        return image[(..., *self.block.core.within(self.window))]

    def interpolated(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns MS interpolated at the pixels of the core, and likewise PAN at the resolution of MS."""
        rows, cols = self.ground.up
        fine = take_rows(rows, take_cols(cols, np.concatenate([self.ground.ms, self._coarse_pan()[None]])))
        return fine[:-1], fine[-1]

    def _coarse_pan(self) -> np.ndarray:
        """Returns PAN at the MS samples used for the core; beyond the scene the edge values are repeated, as for MS."""
        image, along, index = self.pan, [], []
        ends = zip((self.window.row, self.window.col), self.window.shape, (self.ground.rows, self.ground.cols))
        for axis, (start, n, samples) in enumerate(ends):
            samples = np.clip(samples, 0, self.block.ms.shape[1 + axis] - 1)
            used = np.arange(samples[0], samples[-1] + 1)
            centres = self.setting.convention.pan_at(used * self.block.ratio + self.block.ms_at[axis]) - start
            margin = math.ceil(2 * self.block.ratio) + 1
            mirror = reflect(np.arange(-margin, n + margin), 0, n).astype(np.intp)
            image = image.take(mirror, axis)
            along.append(downsampling_filter(centres + margin, self.block.ratio))
            index.append(samples - samples[0])
        low = take_cols(along[1], take_rows(along[0], image))
        return low[index[0][:, None], index[1]]

    def blurred_by_mtf(self) -> np.ndarray:
        """Returns the fused image at the pixels of the core, each band blurred by its MTF."""
        core = self.block.core
        at = np.arange(core.row, core.stop[0]), np.arange(core.col, core.stop[1])
        return np.stack([self.blurred(band, gain, *at) for band, gain in zip(self.fused, self.setting.mtf)])

    def blurred(self, image: np.ndarray, gain: float, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
        """Returns an image over the window, blurred by an MTF with this gain, at absolute rows and columns."""
        blur = self.setting.convention.blur
        down, across = (
            blur(at - start, gain, self.block.ratio) for at, start in ((rows, self.window.row), (cols, self.window.col))
        )
        return take_cols(across, take_rows(down, image))

    def correlation(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the local correlation of each band with PAN (bands, h, w) over the core, and its mask (h, w)."""
        setting, core = self.setting, self.block.core
        half = math.ceil(setting.ratio / 2 - TOLERANCE)
        back, on = 2 * (half - 1), 2 * half
        target = Window(core.row - back, core.col - back, core.height + back + on, core.width + back + on)
        inside = np.ones(self.window.shape, np.float32)
        ok = inside.astype(bool) if self.ok is None else self.ok
        fused, pan, inside = (
            extract(field, self.window, target, setting.scene).astype(np.float64)
            for field in (self.fused, self.pan, inside)
        )
        known = unmasked(extract(ok, self.window, target, setting.scene, setting.convention.rim), back + on + 1)
        return local_correlation(fused, pan, half, inside), known
