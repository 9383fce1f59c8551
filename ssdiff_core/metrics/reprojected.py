"""The measures of a fused image seen once more by the MS sensor, against MS: R-SAM, R-ERGAS and R-Q2n.

They forgive that MS lies a little beside its place (Scarpa & Ciotola, TGRS 2022): a first pass over PAN and MS finds by
how much, for each band, and holds for all fused images of the scene.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..domain.block import Block
from ..domain.window import Window
from ..fusion.masks import filled
from .accumulators import Mean
from .block_view import Setting, View
from .conventions import NEARLY, Point
from .reference import Likeness, pieces, taken
from .similarity import angles, local_correlation, unmasked

TRUSTED = 0.99  # share of what an MS sample sees of the fused image that must be valid for it to count

Shifts = tuple[Point, ...]


@dataclass(frozen=True)
class Reprojected:
    """The measures over a scene's window, block by block; the cores of the blocks must be its own."""

    setting: Setting

    ms_halo = 1

    @property
    def reach(self) -> int:
        """PAN pixels that a block must have around its core, wherever the scene does."""
        ratio = self.setting.ratio
        return self.setting.convention.reach(ratio) + math.ceil((2 * self._half + 2) * ratio)

    @property
    def _half(self) -> int:
        "Of the windows, on MS, in which MS is compared with PAN."
        return max(int(self.setting.ratio / 2 + NEARLY), 1)

    @property
    def _steps(self) -> np.ndarray:
        return self.setting.convention.shifts(self.setting.placed[1])

    @property
    def samples(self) -> Window:
        """The MS samples that lie in the scene; squares of 32 are counted from the first."""
        return self._under(self.setting.scene)

    def cores(self, side: int = 512) -> list[Window]:
        """The pixels under whole squares of samples."""
        return [self._over(part) for part in pieces(self.samples, round(side / self.setting.ratio))]

    def _over(self, part: Window) -> Window:
        """The pixels from that which a first sample's centre lies in to that of the next part's first sample."""
        row, col, bottom, right = (
            math.floor(a + 0.5 + NEARLY)
            for a in (*self.setting.centre(part.row, part.col), *self.setting.centre(*part.stop))
        )
        return Window(row, col, bottom - row, right - col) & self.setting.scene

    def _under(self, core: Window) -> Window:
        """The samples whose centres lie in a core."""
        at, ratio = self.setting.placed
        (top, left), (bottom, right) = (
            [
                min(max(math.ceil((p - 0.5 - NEARLY - a) / ratio), 0), n)
                for p, a, n in zip(ends, at, self.setting.ms_size)
            ]
            for ends in ((core.row, core.col), core.stop)
        )
        return Window(top, left, bottom - top, right - left)

    # --- where MS lies beside its place ------------------------------------------------------------------------------

    def look(self, block: Block) -> Mean:
        """How alike each band of MS is to PAN at each shift (shifts, shifts, bands), over block.core."""
        with torch.inference_mode():
            convention, mtf = self.setting.convention, self.setting.mtf
            view, half = View(self.setting, block, block.pan[None]), self._half
            part, back, on = self._under(block.core), 2 * (half - 1), 2 * half
            wanted = Window(part.row - back, part.col - back, part.height + back + on, part.width + back + on)
            there = wanted & self.samples
            ms, ok = self._ms(view, there)
            steps = self._steps
            if not view.image_ok.all():
                ok = ok & self._trusted(view, there, mtf[0], (0, 0))
            known = unmasked(taken(ok, there, wanted, self.samples, convention.rim), back + on + 1)
            ms, inside = (taken(field, there, wanted, self.samples).double() for field in (ms, torch.ones(there.shape)))
            found = [
                [
                    local_correlation(ms, taken(pan, there, wanted, self.samples).double(), half, inside)[:, known]
                    for pan in self._moved(view, there, down, steps)
                ]
                for down in steps
            ]
            return Mean.of(torch.stack([torch.stack(row) for row in found]).permute(3, 0, 1, 2))

    def _moved(self, view: View, there: Window, down: float, steps: np.ndarray) -> list[Tensor]:
        return [self._seen(view, view.pan, self.setting.mtf[0], there, (down, across)) for across in steps]

    def shifts(self, sums: Mean) -> Shifts:
        """Rows and columns of PAN by which each band lies beside its place."""
        steps, alike = self._steps, np.nan_to_num(sums.value, nan=0.0)
        best = [np.unravel_index(band.argmax(), band.shape) for band in np.moveaxis(alike, 2, 0)]
        return tuple((float(steps[row]), float(steps[col])) for row, col in best)

    # --- the measures ------------------------------------------------------------------------------------------------

    def gather(self, block: Block, fused, shifts: Shifts) -> Likeness:
        """The sums over the samples in block.core; fused (bands, h, w) over block.window."""
        with torch.inference_mode():
            return Likeness.of(*self._pair(block, fused, shifts), self.setting.rounded)

    def angle_map(self, block: Block, fused, shifts: Shifts) -> np.ndarray:
        """The map behind R-SAM: degrees at each sample in block.core; NaN where masked."""
        with torch.inference_mode():
            seen, ms, ok = self._pair(block, fused, shifts)
            return torch.where(ok, angles(seen, ms), torch.nan).float().numpy()

    def _pair(self, block: Block, fused, shifts: Shifts) -> tuple[Tensor, Tensor, Tensor]:
        """The fused image as MS sees it, MS, and where both are valid."""
        view, part = View(self.setting, block, fused), self._under(block.core)
        ms, ok = self._ms(view, part)
        seen = [self._seen(view, *of, part, by) for *of, by in zip(view.fused, self.setting.mtf, shifts)]
        if not view.image_ok.all():
            for gain, by in set(zip(self.setting.mtf, shifts)):
                ok = ok & self._trusted(view, part, gain, by)
        return torch.stack(seen).double(), ms.double(), ok

    def _ms(self, view: View, part: Window) -> tuple[Tensor, Tensor]:
        """The samples themselves, and which are valid."""
        image, ok = view.block.ms, view.block.masks()[1]
        rows, cols = part.within(Window(*view.first, *ok.shape))
        known = ok[rows, cols]
        return torch.from_numpy(filled(image[:, rows, cols].copy(), known, 0)), torch.from_numpy(known)

    def _seen(self, view: View, image: Tensor, gain: float, part: Window, by: Point) -> Tensor:
        """An image over the view's window as the samples of an MS that lies so far beside its place would be."""
        at, ratio = self.setting.placed
        rows = at[0] + by[0] + ratio * np.arange(part.row, part.stop[0])
        cols = at[1] + by[1] + ratio * np.arange(part.col, part.stop[1])
        return view.blurred(image, gain, rows, cols)

    def _trusted(self, view: View, part: Window, gain: float, by: Point) -> Tensor:
        """Which samples see hardly anything that is masked."""
        known = torch.from_numpy(view.image_ok).float()
        share, whole = (self._seen(view, field, gain, part, by) for field in (known, torch.ones_like(known)))
        return share > TRUSTED * whole

    def values(self, sums: Likeness, shifts: Shifts) -> dict:
        return {
            "R-SAM": float(sums.angle.value),
            "R-ERGAS": sums.ergas(self.setting.ratio),
            "R-Q2n": float(sums.q2n.value),
            "shifts": shifts,
        }
