"""Bringing MS to a ratio that weights know.

A network is trained for whole ratios. MS of another ratio is resampled to one of them when it is read: blurred to the
resolution of coarser pixels, and sampled at the centres of cells of PAN pixels that begin at PAN's corner, where a
network expects its samples. Where the new pixels are finer, MS is only interpolated, and its MTF at their Nyquist
frequency is accordingly lower.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .fill import fill_masked
from .grid import Grid, Placement
from .kernels import blurred_reach, blurred_taps, mtf_sigma
from .window import Window

MAXIMUM_FINER = 1.15
"ratio of MS to that of weights up to which MS is interpolated to finer pixels; beyond it weights of a larger ratio fit"


def nearest_ratio(ratio: float, known: Iterable[int]) -> int:
    """Returns the ratio of weights, of those that are known, that MS of another ratio is brought to.

    That is the smallest that is not much smaller: MS as weights see it can lack detail, but must not lack resolution.
    """
    ordered = sorted(known)
    return next((whole for whole in ordered if ratio <= MAXIMUM_FINER * whole), ordered[-1])


def blur_between(gain: float, ratio: float, target: float) -> float:
    """Returns the blur that gives MS of one ratio the resolution of a coarser one, in samples; 0 for a finer one."""
    variance = mtf_sigma(gain, target) ** 2 - mtf_sigma(gain, ratio) ** 2
    return math.sqrt(max(variance, 0.0)) / ratio


def gain_at(gain: float, ratio: float, target: float) -> float:
    """Returns the MTF gain of a band, brought to another ratio, at the Nyquist frequency there."""
    return gain if target >= ratio else gain ** ((ratio / target) ** 2)


@dataclass(frozen=True)
class Resampling:
    """How the MS samples of files become those of a scene with another ratio."""

    placement: Placement
    "position of the samples of the files on PAN"
    grid: Grid
    "grid of the files, or the grid that they are warped onto"

    def samples(self, window: Window, placement: Placement, blurs: Sequence[float]) -> Window:
        """Returns the samples of the files that the samples in a window depend on, also where some are masked.

        placement: of the new samples. blurs: of each band (see Band.blur).
        """
        reach = max(map(blurred_reach, blurs))
        spans = []
        for axis in (0, 1):
            first, *_, last = np.floor(self._positions(window, axis, placement)[[0, -1]]).astype(int).tolist()
            spans.append((first + 1 - reach, last - first + 2 * reach))
        (row, height), (col, width) = spans
        return Window(row, col, height, width).grow(reach) & self.grid.window

    def resample(
        self, images: np.ndarray, valid: np.ndarray | None, window: Window, placement: Placement, blurs: Sequence[float]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns the samples in a window, and their valid mask (None: all are).

        images: those of the files (bands, rows, columns) that `samples` names, with their valid mask.
        """
        have = self.samples(window, placement, blurs)
        seen = np.isfinite(np.asarray(images, np.float32)).all(0)
        seen = seen if valid is None else seen & valid
        filled = fill_masked(images, seen, max(map(blurred_reach, blurs)))
        result = np.stack([self._resampled(band, blur, have, window, placement) for band, blur in zip(filled, blurs)])
        return result, None if seen.all() else self._between(seen, have, window, placement)

    def _positions(self, window: Window, axis: int, placement: Placement) -> np.ndarray:
        """Returns the rows or columns of a window of new samples, as fractional indices into those of the files."""
        start, n = ((window.row, window.height), (window.col, window.width))[axis]
        on_pan = placement.at[axis] + placement.ratio * np.arange(start, start + n)
        return (on_pan - self.placement.at[axis]) / self.placement.ratio

    def _resampled(self, image: np.ndarray, blur: float, have: Window, window: Window, placement: Placement):
        """Returns a band at new samples. Sums are taken in a fixed order, so that they do not depend on the window."""
        for axis, offset in ((0, have.row), (1, have.col)):
            first, weights = blurred_taps(self._positions(window, axis, placement), blur)
            columns = weights.T.astype(np.float32)
            columns = columns[:, :, None] if axis == 0 else columns[:, None]
            image = sum(share * image.take(first - offset + k, axis, mode="clip") for k, share in enumerate(columns))
        return image

    def _between(self, seen: np.ndarray, have: Window, window: Window, placement: Placement) -> np.ndarray:
        """Returns where the samples of the files on both sides of each new sample are valid."""
        for axis, offset in ((0, have.row), (1, have.col)):
            at = self._positions(window, axis, placement)
            before, after = (edge(at).astype(np.intp) - offset for edge in (np.floor, np.ceil))
            seen = seen.take(before, axis, mode="clip") & seen.take(after, axis, mode="clip")
        return seen
