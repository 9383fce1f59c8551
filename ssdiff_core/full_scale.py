"""The measures of a fused image at full scale, against PAN and MS: D_lambda_K, D_s, HQNR, D_lambda, QNR and D_rho.

`FullScale` looks at a scene block by block (blocks.Block, and the fused image over its window) and keeps sums.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from .blocks import Block
from .conventions import Geometric, shrinker
from .ground import Ground
from .hypercomplex import SquareMoments, q2n, uqi_matrix
from .likeness import local_correlation, unmasked
from .masks import filled
from .referenced import counts, pieces, taken
from .resample import REACH, reflect, take_cols, take_rows
from .tally import Mean, Tally
from .tiles import Window

KERNEL = "23tap"


@dataclass(frozen=True)
class FullScaleSums(Tally):
    q2n: Mean
    "of MS as interpolated with the fused image as MS sees it"
    fused: Mean
    "universal quality index of the fused bands and PAN, all with all"
    ms: Mean
    "of the interpolated bands and PAN as coarse as they"
    rho: Mean
    "local correlation of each band with PAN"


@dataclass(frozen=True)
class FullScale:
    """The measures over a scene's window, block by block."""

    scene: Window
    "squares of 32 pixels are counted from its first pixel"
    ratio: float
    mtf: tuple[float, ...]
    convention: Geometric
    rounded: bool = True
    "as in Referenced"

    @property
    def reach(self) -> int:
        """PAN pixels that a block must have around its core, wherever the scene does."""
        return math.ceil((REACH[KERNEL] + 4) * self.ratio)

    ms_halo = 1

    def cores(self, side: int = 512) -> list[Window]:
        return pieces(self.scene, side)

    def gather(self, block: Block, fused) -> FullScaleSums:
        """The sums over block.core; fused (bands, h, w) over block.window."""
        with torch.inference_mode():
            view = View(self, block, fused)
            lms, low_pan = view.interpolated()
            core = view.core(view.fused)
            ok = None if view.ok is None else view.core(view.ok)
            seen = view.as_ms_sees()
            pair = [counts(image) for image in (lms, seen)] if self.rounded else (lms, seen)
            fine = SquareMoments.of(torch.cat([core, view.core(view.pan)[None]]), ok)
            coarse = SquareMoments.of(torch.cat([lms, low_pan[None]]), ok)
            rho, known = view.correlation()
            return FullScaleSums(
                Mean.of(q2n(*pair, ok)),
                Mean.of(uqi_matrix(fine)),
                Mean.of(uqi_matrix(coarse)),
                Mean.of(rho[:, known].T),
            )

    def correlation_map(self, block: Block, fused) -> np.ndarray:
        """The map behind D_rho: local correlation of each band with PAN over block.core; NaN where masked."""
        with torch.inference_mode():
            rho, known = View(self, block, fused).correlation()
            return torch.where(known, rho, torch.nan).float().numpy()

    def values(self, sums: FullScaleSums) -> dict:
        fused, ms = sums.fused.value, sums.ms.value
        moved = np.abs(fused - ms)
        bands = len(self.mtf)
        pairs = moved[:bands, :bands][np.triu_indices(bands, 1)]
        khan, spatial = 1 - float(sums.q2n.value), float(moved[:bands, bands].mean())
        spectral = float(pairs.mean()) if bands > 1 else 0.0
        return {
            "D_lambda_K": khan,
            "D_s": spatial,
            "HQNR": (1 - khan) * (1 - spatial),
            "D_lambda": spectral,
            "QNR": (1 - spectral) * (1 - spatial),
            "D_rho": 1 - float(sums.rho.value.mean()),
            "convention": self.convention.name,
            "rounded": self.rounded,
        }


class View:
    """One block as a measure sees it: MS at the convention's place, nothing masked left in, all within the scene."""

    def __init__(self, measure, block: Block, fused):
        self.measure, self.window = measure, block.window & measure.scene
        here = block.window
        block = replace(block, ms_at=measure.convention.ms_at(block.ms_at, block.ratio))
        part = (..., *self.window.within(here))
        fused, pan = np.asarray(fused, np.float32)[part], np.asarray(block.pan, np.float32)[part]
        pan_ok, ms_ok = block.masks()
        ok = pan_ok[part] & np.isfinite(fused).all(0)
        self.image_ok = ok
        if not ok.all():
            rounds = measure.convention.reach(measure.ratio)
            fused, pan = filled(fused, ok, rounds), filled(pan[None], ok, rounds)[0]
        ok = ok & block.nearest_on_ms(ms_ok)[part]
        self.ok = None if ok.all() else torch.from_numpy(ok)
        self.fused, self.pan = torch.from_numpy(fused), torch.from_numpy(pan)
        self.block = block

    @functools.cached_property
    def ground(self) -> Ground:
        return Ground(self.block, KERNEL)

    def core(self, image: Tensor) -> Tensor:
        return image[(..., *self.block.core.within(self.window))]

    def interpolated(self) -> tuple[Tensor, Tensor]:
        """MS at the core's pixels, and PAN once as coarse."""
        rows, cols = self.ground.up
        fine = take_rows(rows, take_cols(cols, torch.cat([self.ground.ms, self._coarse_pan()[None]])))
        return fine[:-1], fine[-1]

    def _coarse_pan(self) -> Tensor:
        """At the samples that the core is read from; as MS, it goes on beyond the scene as it ended."""
        image, along, index = self.pan, [], []
        ends = zip((self.window.row, self.window.col), self.window.shape, (self.ground.rows, self.ground.cols))
        for axis, (start, n, samples) in enumerate(ends):
            samples = np.clip(samples, 0, self.block.ms.shape[1 + axis] - 1)
            used = np.arange(samples[0], samples[-1] + 1)
            centres = self.measure.convention.pan_at(used * self.block.ratio + self.block.ms_at[axis]) - start
            margin = math.ceil(2 * self.block.ratio) + 1
            mirror = reflect(np.arange(-margin, n + margin), 0, n).astype(np.intp)
            image = image.index_select(axis, torch.from_numpy(mirror))
            along.append(shrinker(centres + margin, self.block.ratio))
            index.append(torch.from_numpy(samples - samples[0]))
        low = take_cols(along[1], take_rows(along[0], image))
        return low[index[0][:, None], index[1]]

    def as_ms_sees(self) -> Tensor:
        """The fused image at the core's pixels, through the sensor of each band."""
        core = self.block.core
        at = np.arange(core.row, core.stop[0]), np.arange(core.col, core.stop[1])
        return torch.stack([self.blurred(band, gain, *at) for band, gain in zip(self.fused, self.measure.mtf)])

    def blurred(self, image: Tensor, gain: float, rows: np.ndarray, cols: np.ndarray) -> Tensor:
        """An image over the window at absolute rows and columns, through a sensor of that MTF."""
        blur = self.measure.convention.blur
        down, across = (
            blur(at - start, gain, self.measure.ratio)
            for at, start in ((rows, self.window.row), (cols, self.window.col))
        )
        return take_cols(across, take_rows(down, image))

    def correlation(self) -> tuple[Tensor, Tensor]:
        """Each band's with PAN (bands, h, w) over the core, and where it is known (h, w)."""
        measure, core, half = self.measure, self.block.core, math.ceil(self.measure.ratio / 2)
        back, on = 2 * (half - 1), 2 * half
        wanted = Window(core.row - back, core.col - back, core.height + back + on, core.width + back + on)
        inside = torch.ones(self.window.shape)
        ok = inside.bool() if self.ok is None else self.ok
        fused, pan, inside = (
            taken(field, self.window, wanted, measure.scene).double() for field in (self.fused, self.pan, inside)
        )
        known = unmasked(taken(ok, self.window, wanted, measure.scene, measure.convention.rim), back + on + 1)
        return local_correlation(fused, pan, half, inside), known
