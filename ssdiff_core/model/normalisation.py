"""What the network's numbers mean: counts less a zero, over a one, for each band and for PAN."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..common.errors import BlockError
from ..domain.block import SceneStats
from ..weights.card import MOMENTS, SCENE

LEAST = 1e-3
"of its mean: what a spread is at least, so that a scene of one colour is not all noise"
SPREADS = 8.0
"from dark to bright in an image, about"


def full_scale(scale: float | str) -> float:
    """What the brightest pixels are in such units, about."""
    return SPREADS if scale == MOMENTS else 1.0


@dataclass(frozen=True)
class Units:
    zeros: Tensor
    "(C, 1, 1) counts"
    ones: Tensor
    "(C, 1, 1) counts"
    pan_zero: float
    pan_one: float

    def of_ms(self, counts: Tensor) -> Tensor:
        return (counts - self.zeros) / self.ones

    def of_detail(self, counts: Tensor) -> Tensor:
        """A difference of two images of MS."""
        return counts / self.ones

    def of_pan(self, counts: Tensor) -> Tensor:
        return (counts - self.pan_zero) / self.pan_one


def units(scale: float | str, stats: SceneStats, bands: int, device: torch.device | str = "cpu") -> Units:
    """The units that weights with that scale want, in a scene with these statistics."""
    if scale == MOMENTS:
        if not len(stats.means) == len(stats.spreads) == bands + 1 or not all(map(math.isfinite, stats.spreads)):
            raise BlockError("the weights need mean and spread of each band and of PAN; the block brings none")
        ones = [max(one, LEAST * abs(zero), 1e-6) for zero, one in zip(stats.means, stats.spreads)]
        zeros = stats.means
    else:
        one = stats.scale if scale == SCENE else scale
        if not (one and 0 < one < math.inf):
            raise BlockError(f"the weights need the scene's scale; the block brings {one}")
        zeros, ones = (0.0,) * (bands + 1), (float(one),) * (bands + 1)
    columns = (torch.tensor(values[:-1], dtype=torch.float32, device=device)[:, None, None] for values in (zeros, ones))
    return Units(*columns, zeros[-1], ones[-1])
