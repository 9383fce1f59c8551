"""Normalisation: (counts - zero) / one, with a zero and a one for each band and for PAN."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..common.errors import BlockError
from ..domain.block import SceneStats
from ..weights.card import MOMENTS, SCENE
from .devices import upload

MINIMUM_SPREAD = 1e-3
"lower bound of a standard deviation as a share of the mean, so that noise in a flat scene is not amplified"
SPREADS_IN_RANGE = 8.0
"standard deviations from dark to bright in an image, approximately"


def full_scale(scale: float | str) -> float:
    """Returns the range of normalised values, approximately."""
    return SPREADS_IN_RANGE if scale == MOMENTS else 1.0


@dataclass(frozen=True)
class Units:
    """The normalisation of a scene."""

    zeros: Tensor
    "(C, 1, 1) counts"
    ones: Tensor
    "(C, 1, 1) counts"
    pan_zero: float
    pan_one: float

    def of_ms(self, counts: Tensor) -> Tensor:
        return (counts - self.zeros) / self.ones

    def of_detail(self, counts: Tensor) -> Tensor:
        """Returns the normalised difference of two images."""
        return counts / self.ones

    def of_pan(self, counts: Tensor) -> Tensor:
        return (counts - self.pan_zero) / self.pan_one


def units(scale: float | str, stats: SceneStats, bands: int, device: torch.device | str = "cpu") -> Units:
    """Returns the normalisation for a scene with these statistics, by the scale of the weights' card."""
    if scale == MOMENTS:
        if not len(stats.means) == len(stats.deviations) == bands + 1 or not all(map(math.isfinite, stats.deviations)):
            raise BlockError("the weights need mean and standard deviation of each band and of PAN; the block has none")
        ones = [max(one, MINIMUM_SPREAD * abs(zero), 1e-6) for zero, one in zip(stats.means, stats.deviations)]
        zeros = stats.means
    else:
        one = stats.scale if scale == SCENE else scale
        if not (one and 0 < one < math.inf):
            raise BlockError(f"the weights need the scene's scale; the block has {one}")
        zeros, ones = (0.0,) * (bands + 1), (float(one),) * (bands + 1)
    columns = (np.array(values[:-1], np.float32)[:, None, None] for values in (zeros, ones))
    return Units(*(upload(column, torch.device(device)) for column in columns), zeros[-1], ones[-1])
