"""Correlation of the detail of PAN with that of MS, which shows whether both are of the same ground and time."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from .block import Block
from .kernels import blur, mtf_sigma
from .registration import MTF_GAIN

MINIMUM_SAMPLES = 500
"number of differences from which a correlation is not by chance"


def detail_correlation(blocks: Iterable[Block]) -> float:
    """Returns the multiple correlation of PAN with the bands of MS, between neighbouring MS samples; NaN if unknown.

    The bands are mixed so that they explain the differences of PAN best, after PAN is blurred as MS is. So neither
    bands that PAN does not cover nor haze lower it.
    """
    sums, count = 0.0, 0
    for block in blocks:
        slopes = _differences(block)
        sums, count = sums + slopes @ slopes.T, count + slopes.shape[1]
    if count < MINIMUM_SAMPLES or not sums[-1, -1] > 0:
        return math.nan
    bands, with_pan = sums[:-1, :-1], sums[:-1, -1]
    explained = with_pan @ np.linalg.lstsq(bands, with_pan, rcond=None)[0]
    return math.sqrt(min(max(explained / sums[-1, -1], 0.0), 1.0))


def _differences(block: Block) -> np.ndarray:
    """Returns the differences of neighbouring samples of MS and of PAN as MS sees it (bands + 1, differences)."""
    sigma = max(mtf_sigma(MTF_GAIN, block.ratio), 0.85)
    reach = math.ceil(3 * sigma)
    pan_ok, ms_ok = block.masks()
    places, matrices = [], []
    for axis, n in enumerate(block.pan.shape):
        origin = (block.window.row, block.window.col)[axis]
        at = block.ms_at[axis] - origin + np.arange(block.ms.shape[1 + axis]) * block.ratio
        places.append(np.flatnonzero((at >= reach) & (at <= n - 1 - reach)))
        matrices.append(blur(at[places[-1]], n, sigma, reach))
    pan = np.where(pan_ok, block.pan, 0).astype(np.float64)
    low, known = (matrices[0] @ field @ matrices[1].T for field in (pan, pan_ok.astype(np.float64)))
    inner = np.ix_(*places)
    seen = np.concatenate([block.ms[(slice(None), *inner)], low[None]]).astype(np.float64)
    seen[:, ~((known > 1 - 1e-6) & ms_ok[inner])] = np.nan
    slopes = [(seen[:, 1:] - seen[:, :-1]), (seen[..., 1:] - seen[..., :-1])]
    flat = np.concatenate([slope.reshape(len(seen), -1) for slope in slopes], axis=1)
    return flat[:, np.isfinite(flat).all(0)]
