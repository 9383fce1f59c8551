"""The reprojected measures R-SAM, R-ERGAS and R-Q2n: the fused image, degraded to the resolution of MS, against MS.

They tolerate a small shift of MS (Scarpa & Ciotola, TGRS 2022): a first pass over PAN and MS estimates the shift of
each band, which is used for all fused images of the scene.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..domain.block import Block
from ..domain.fill import fill_masked
from ..domain.window import Window
from .accumulators import Mean
from .block_view import Setting, View
from .conventions import TOLERANCE, Point
from .reference import PixelSums, block_cores, extract
from .similarity import angles, local_correlation, unmasked

VALID_SHARE = 0.99  # minimum share of valid weights under the blur for an MS sample to be valid

Shifts = tuple[Point, ...]


@dataclass(frozen=True)
class Reprojected:
    """The measures over a scene's window, block by block; the cores must be those of `cores`."""

    setting: Setting

    ms_halo = 1

    @property
    def reach(self) -> int:
        """PAN pixels that a block needs around its core, except beyond the scene."""
        ratio = self.setting.ratio
        return self.setting.convention.reach(ratio) + math.ceil((2 * self._half + 2) * ratio)

    @property
    def _half(self) -> int:
        """Half the side in MS samples of the windows in which MS is compared with PAN."""
        return max(int(self.setting.ratio / 2 + TOLERANCE), 1)

    @property
    def _steps(self) -> np.ndarray:
        return self.setting.convention.shifts(self.setting.placed[1])

    @property
    def samples(self) -> Window:
        """The MS samples in the scene; squares of 32 samples start at the first."""
        return self._under(self.setting.scene)

    def cores(self, side: int = 512) -> list[Window]:
        """Returns the cores: the pixels covered by whole squares of samples."""
        return [self._over(part) for part in block_cores(self.samples, round(side / self.setting.ratio))]

    def _over(self, part: Window) -> Window:
        """Returns the pixels from the centre of the first sample to that of the first sample after the part."""
        row, col, bottom, right = (
            math.floor(a + 0.5 + TOLERANCE)
            for a in (*self.setting.centre(part.row, part.col), *self.setting.centre(*part.stop))
        )
        return Window(row, col, bottom - row, right - col) & self.setting.scene

    def _under(self, core: Window) -> Window:
        """Returns the samples with centres in a core."""
        at, ratio = self.setting.placed
        (top, left), (bottom, right) = (
            [
                min(max(math.ceil((p - 0.5 - TOLERANCE - a) / ratio), 0), n)
                for p, a, n in zip(ends, at, self.setting.ms_size)
            ]
            for ends in ((core.row, core.col), core.stop)
        )
        return Window(top, left, bottom - top, right - left)

    # --- shift of MS -------------------------------------------------------------------------------------------------

    def correlations(self, block: Block) -> Mean:
        """Returns the mean local correlation of each MS band with PAN at each shift (shifts, shifts, bands)."""
        convention, mtf = self.setting.convention, self.setting.mtf
        view, half = View(self.setting, block, block.pan[None]), self._half
        part, back, on = self._under(block.core), 2 * (half - 1), 2 * half
        target = Window(part.row - back, part.col - back, part.height + back + on, part.width + back + on)
        overlap = target & self.samples
        ms, ok = self._ms(view, overlap)
        steps = self._steps
        if not view.image_ok.all():
            ok = ok & self._mostly_valid(view, overlap, mtf[0], (0, 0))
        known = unmasked(extract(ok, overlap, target, self.samples, convention.rim), back + on + 1)
        ms, inside = (
            extract(field, overlap, target, self.samples).astype(np.float64) for field in (ms, np.ones(overlap.shape))
        )

        def compared(pan: np.ndarray) -> np.ndarray:
            seen = extract(pan, overlap, target, self.samples).astype(np.float64)
            return local_correlation(ms, seen, half, inside)[:, known]

        found = [[compared(pan) for pan in self._moved(view, overlap, down, steps)] for down in steps]
        return Mean.of(np.array(found).transpose(3, 0, 1, 2))

    def _moved(self, view: View, overlap: Window, down: float, steps: np.ndarray) -> list[np.ndarray]:
        return [self._degraded(view, view.pan, self.setting.mtf[0], overlap, (down, across)) for across in steps]

    def shifts(self, sums: Mean) -> Shifts:
        """Returns the shift of each band in rows and columns of PAN: that of maximum correlation."""
        steps, correlation = self._steps, np.nan_to_num(sums.value, nan=0.0)
        best = [np.unravel_index(band.argmax(), band.shape) for band in np.moveaxis(correlation, 2, 0)]
        return tuple((float(steps[row]), float(steps[col])) for row, col in best)

    # --- the measures ------------------------------------------------------------------------------------------------

    def gather(self, block: Block, fused, shifts: Shifts) -> PixelSums:
        """Returns the sums over the samples in block.core. fused: (bands, h, w) over block.window."""
        return PixelSums.of(*self._pair(block, fused, shifts), self.setting.rounded)

    def angle_map(self, block: Block, fused, shifts: Shifts) -> np.ndarray:
        """Returns the spectral angle in degrees at each sample in block.core; NaN where masked."""
        seen, ms, ok = self._pair(block, fused, shifts)
        return np.where(ok, angles(seen, ms), np.nan).astype(np.float32)

    def _pair(self, block: Block, fused, shifts: Shifts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the fused image at the resolution of MS, MS, and the mask of samples valid in both."""
        view, part = View(self.setting, block, fused), self._under(block.core)
        ms, ok = self._ms(view, part)
        seen = [self._degraded(view, *of, part, by) for *of, by in zip(view.fused, self.setting.mtf, shifts)]
        if not view.image_ok.all():
            for gain, by in set(zip(self.setting.mtf, shifts)):
                ok = ok & self._mostly_valid(view, part, gain, by)
        return np.stack(seen).astype(np.float64), ms.astype(np.float64), ok

    def _ms(self, view: View, part: Window) -> tuple[np.ndarray, np.ndarray]:
        """Returns the MS samples of a part and their mask."""
        image, ok = view.block.ms, view.block.masks()[1]
        rows, cols = part.within(Window(*view.first, *ok.shape))
        known = ok[rows, cols]
        return fill_masked(image[:, rows, cols].copy(), known, 0), known

    def _degraded(self, view: View, image: np.ndarray, gain: float, part: Window, by: Point) -> np.ndarray:
        """Returns an image over the view's window, blurred and sampled at the MS samples shifted by `by`."""
        at, ratio = self.setting.placed
        rows = at[0] + by[0] + ratio * np.arange(part.row, part.stop[0])
        cols = at[1] + by[1] + ratio * np.arange(part.col, part.stop[1])
        return view.blurred(image, gain, rows, cols)

    def _mostly_valid(self, view: View, part: Window, gain: float, by: Point) -> np.ndarray:
        """Returns the mask of samples whose blur covers almost no masked pixel."""
        known = view.image_ok.astype(np.float32)
        share, whole = (self._degraded(view, field, gain, part, by) for field in (known, np.ones_like(known)))
        return share > VALID_SHARE * whole

    def values(self, sums: PixelSums, shifts: Shifts) -> dict:
        """Returns the measures and the shifts they were computed with."""
        return {
            "R-SAM": float(sums.angle.value),
            "R-ERGAS": sums.ergas(self.setting.ratio),
            "R-Q2n": float(sums.q2n.value),
            "shifts": shifts,
        }
