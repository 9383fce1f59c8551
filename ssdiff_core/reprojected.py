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

from .blocks import Block
from .conventions import Geometric
from .full_scale import View
from .likeness import angles, local_correlation, unmasked
from .masks import filled
from .referenced import Likeness, pieces, taken
from .tally import Mean
from .tiles import Window

TRUSTED = 0.99  # share of what an MS sample sees of the fused image that must be valid for it to count

Shifts = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Reprojected:
    """The measures over a scene's window, block by block; the cores of the blocks must be its own."""

    scene: Window
    ratio: float
    mtf: tuple[float, ...]
    convention: Geometric
    ms_at: tuple[float, float]
    "where the first sample of the whole MS lies"
    ms_size: tuple[int, int]
    "rows and columns of the whole MS"
    rounded: bool = True
    "as in Referenced"

    ms_halo = 1

    @property
    def reach(self) -> int:
        """PAN pixels that a block must have around its core, wherever the scene does."""
        return self.convention.reach(self.ratio) + math.ceil((2 * self._half + 2) * self.ratio)

    @property
    def _half(self) -> int:
        "Of the windows, on MS, in which MS is compared with PAN."
        return max(int(self.ratio / 2), 1)

    @property
    def samples(self) -> Window:
        """The MS samples that lie in the scene; squares of 32 are counted from the first."""
        return self._under(self.scene)

    def cores(self, side: int = 512) -> list[Window]:
        """The pixels under whole squares of samples."""
        return [self._over(part) for part in pieces(self.samples, round(side / self.ratio))]

    def _place(self, axis: int) -> float:
        return self.convention.ms_at(self.ms_at, self.ratio)[axis]

    def _pixel(self, sample: int, axis: int) -> int:
        "The pixel that the centre of a sample lies in."
        return math.floor(sample * self.ratio + self._place(axis) + 0.5 + 1e-6)

    def _over(self, part: Window) -> Window:
        row, col = self._pixel(part.row, 0), self._pixel(part.col, 1)
        return Window(row, col, self._pixel(part.stop[0], 0) - row, self._pixel(part.stop[1], 1) - col) & self.scene

    def _under(self, core: Window) -> Window:
        spans = []
        for axis, (first, stop) in enumerate(zip((core.row, core.col), core.stop)):
            inside = [math.ceil((end - 0.5 - 1e-6 - self._place(axis)) / self.ratio) for end in (first, stop)]
            spans.append([min(max(i, 0), self.ms_size[axis]) for i in inside])
        (top, bottom), (left, right) = spans
        return Window(top, left, bottom - top, right - left)

    # --- where MS lies beside its place ------------------------------------------------------------------------------

    def look(self, block: Block) -> Mean:
        """How alike each band of MS is to PAN at each shift (shifts, shifts, bands), over block.core."""
        with torch.inference_mode():
            view, half = View(self, block, block.pan[None]), self._half
            part, back, on = self._under(block.core), 2 * (half - 1), 2 * half
            wanted = Window(part.row - back, part.col - back, part.height + back + on, part.width + back + on)
            there = wanted & self.samples
            ms, ok = self._ms(block, there)
            steps = self.convention.shifts(self.ratio)
            if not view.image_ok.all():
                ok = ok & self._trusted(view, there, self.mtf[0], (0, 0))
            known = unmasked(taken(ok, there, wanted, self.samples, self.convention.rim), back + on + 1)
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
        return [self._seen(view, view.pan, self.mtf[0], there, (down, across)) for across in steps]

    def shifts(self, sums: Mean) -> Shifts:
        """Rows and columns of PAN by which each band lies beside its place."""
        steps, alike = self.convention.shifts(self.ratio), np.nan_to_num(sums.value, nan=0.0)
        best = [np.unravel_index(band.argmax(), band.shape) for band in np.moveaxis(alike, 2, 0)]
        return tuple((float(steps[row]), float(steps[col])) for row, col in best)

    # --- the measures ------------------------------------------------------------------------------------------------

    def gather(self, block: Block, fused, shifts: Shifts) -> Likeness:
        """The sums over the samples in block.core; fused (bands, h, w) over block.window."""
        with torch.inference_mode():
            return Likeness.of(*self._pair(block, fused, shifts), self.rounded)

    def angle_map(self, block: Block, fused, shifts: Shifts) -> np.ndarray:
        """The map behind R-SAM: degrees at each sample in block.core; NaN where masked."""
        with torch.inference_mode():
            seen, ms, ok = self._pair(block, fused, shifts)
            return torch.where(ok, angles(seen, ms), torch.nan).float().numpy()

    def _pair(self, block: Block, fused, shifts: Shifts) -> tuple[Tensor, Tensor, Tensor]:
        """The fused image as MS sees it, MS, and where both are valid."""
        view, part = View(self, block, fused), self._under(block.core)
        ms, ok = self._ms(block, part)
        seen = [self._seen(view, *of, part, by) for *of, by in zip(view.fused, self.mtf, shifts)]
        if not view.image_ok.all():
            for gain, by in set(zip(self.mtf, shifts)):
                ok = ok & self._trusted(view, part, gain, by)
        return torch.stack(seen).double(), ms.double(), ok

    def _ms(self, block: Block, part: Window) -> tuple[Tensor, Tensor]:
        """The samples themselves, and which are valid."""
        row, col = (round((block.ms_at[axis] - self.ms_at[axis]) / self.ratio) for axis in (0, 1))
        rows, cols = part.within(Window(row, col, *block.ms.shape[1:]))
        ok = block.masks()[1]
        ms = filled(np.asarray(block.ms), ok, 0)
        return torch.from_numpy(ms[:, rows, cols].copy()), torch.from_numpy(ok[rows, cols])

    def _seen(self, view: View, image: Tensor, gain: float, part: Window, by: tuple[float, float]) -> Tensor:
        """An image over the view's window as the samples of an MS that lies so far beside its place would be."""
        at = (
            np.arange(start, start + n) * self.ratio + self._place(axis) + by[axis]
            for axis, (start, n) in enumerate(((part.row, part.height), (part.col, part.width)))
        )
        return view.blurred(image, gain, *at)

    def _trusted(self, view: View, part: Window, gain: float, by: tuple[float, float]) -> Tensor:
        """Which samples see hardly anything that is masked."""
        known = torch.from_numpy(view.image_ok).float()
        share, whole = (self._seen(view, field, gain, part, by) for field in (known, torch.ones_like(known)))
        return share > TRUSTED * whole

    def values(self, sums: Likeness, shifts: Shifts) -> dict:
        return {
            "R-SAM": float(sums.angle.value),
            "R-ERGAS": sums.ergas(self.ratio),
            "R-Q2n": float(sums.q2n.value),
            "shifts": shifts,
        }
