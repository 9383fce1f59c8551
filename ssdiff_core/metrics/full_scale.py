"""The measures of a fused image at full scale, against PAN and MS: D_lambda_K, D_s, HQNR, D_lambda, QNR and D_rho.

`FullScale` accumulates sums block by block, from a Block and the fused image over its window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..domain.block import Block
from ..domain.kernels import REACH
from ..domain.window import Window
from .accumulators import Accumulator, Mean
from .block_view import KERNEL, Setting, View
from .q2n import SquareMoments, q2n, uqi_matrix
from .reference import block_cores, rounded_counts


@dataclass(frozen=True)
class FullScaleSums(Accumulator):
    """Accumulated sums of the full-scale measures."""

    q2n: Mean
    "Q2n between interpolated MS and the fused image blurred by the MTF of each band"
    fused: Mean
    "universal quality index between all pairs of the fused bands and PAN"
    ms: Mean
    "universal quality index between all pairs of the interpolated MS bands and PAN at the resolution of MS"
    rho: Mean
    "local correlation of each band with PAN"


@dataclass(frozen=True)
class FullScale:
    """The measures over a scene's window, block by block."""

    setting: Setting

    @property
    def reach(self) -> int:
        """PAN pixels that a block needs around its core, except beyond the scene."""
        return math.ceil((REACH[KERNEL] + 4) * self.setting.ratio)

    ms_halo = 1

    def cores(self, side: int = 512) -> list[Window]:
        """Returns the cores of the blocks."""
        return block_cores(self.setting.scene, side)

    def gather(self, block: Block, fused) -> FullScaleSums:
        """Returns the sums over block.core. fused: (bands, h, w) over block.window."""
        view = View(self.setting, block, fused)
        lms, low_pan = view.interpolated()
        core = view.core(view.fused)
        ok = None if view.ok is None else view.core(view.ok)
        seen = view.blurred_by_mtf()
        pair = [rounded_counts(image) for image in (lms, seen)] if self.setting.rounded else (lms, seen)
        fine = SquareMoments.of(np.concatenate([core, view.core(view.pan)[None]]), ok)
        coarse = SquareMoments.of(np.concatenate([lms, low_pan[None]]), ok)
        rho, known = view.correlation()
        return FullScaleSums(
            Mean.of(q2n(*pair, ok)),
            Mean.of(uqi_matrix(fine)),
            Mean.of(uqi_matrix(coarse)),
            Mean.of(rho[:, known].T),
        )

    def correlation_map(self, block: Block, fused) -> np.ndarray:
        """Returns the local correlation of each band with PAN over block.core, NaN where masked: 1 - D_rho by pixel."""
        rho, known = View(self.setting, block, fused).correlation()
        return np.where(known, rho, np.nan).astype(np.float32)

    def values(self, sums: FullScaleSums) -> dict:
        """Returns the measures and the settings they depend on."""
        fused, ms = sums.fused.value, sums.ms.value
        change = np.abs(fused - ms)
        bands = len(self.setting.mtf)
        pairs = change[:bands, :bands][np.triu_indices(bands, 1)]
        khan, spatial = 1 - float(sums.q2n.value), float(change[:bands, bands].mean())
        spectral = float(pairs.mean()) if bands > 1 else 0.0
        return {
            "D_lambda_K": khan,
            "D_s": spatial,
            "HQNR": (1 - khan) * (1 - spatial),
            "D_lambda": spectral,
            "QNR": (1 - spectral) * (1 - spatial),
            "D_rho": 1 - float(sums.rho.value.mean()),
            "convention": self.setting.convention.name,
            "rounded": self.setting.rounded,
        }
