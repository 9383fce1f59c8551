"""Masks of saturated pixels and clouds, which are excluded from training.

Clouds appear at different positions in PAN and MS because of parallax.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..domain.sensors import Sensor
from ..metrics.degradation import blurred
from .wald_pair import Piece

CELL_SIDE = 16
"side of the cells that are classified as cloud or ground, in MS samples"
SATURATED_SHARE = 2e-4
"share of the pixels at the maximum value above which that value counts as saturated"
MAX_SATURATED_PAN = 0.02
"maximum share of saturated PAN pixels within the point spread of an MS sample"
CLOUD_FACTOR = 4.0
"a cell is cloud if it is this many times as far above the darkest cell as the median, in all visible bands"
VISIBLE_LIMIT = 700.0
"upper limit of visible wavelengths, nm"
MAX_CLOUD_SHARE = 0.6
"maximum share of cells that are cloud; if more are bright, they are taken for snow or sand"


def with_quality_masks(pieces: list[Piece], sensor: Sensor, limits: np.ndarray) -> list[Piece]:
    """Returns the pieces of one scene with masks of the samples that may be trained on.

    limits: the cloud limits of the scene (see `cloud_limits`).
    """
    tops = _saturation_values([piece.ms for piece in pieces])
    pan_top = _saturation_values([piece.pan[None] for piece in pieces])[0]
    return [
        replace(piece, usable=_unsaturated(piece, tops, pan_top, sensor) & ~_cloud_samples(piece, limits))
        for piece in pieces
    ]


def _saturation_values(images: list[np.ndarray]) -> np.ndarray:
    """Returns the saturation value of each band; infinity if the band is not saturated anywhere."""
    values = np.concatenate([image.reshape(len(image), -1) for image in images], axis=1)
    tops = np.nanmax(values, axis=1)
    return np.where((values == tops[:, None]).mean(1) > SATURATED_SHARE, tops, np.inf)


def _unsaturated(piece: Piece, tops: np.ndarray, pan_top: float, sensor: Sensor) -> np.ndarray:
    clear = (piece.ms < tops[:, None, None]).all(0)
    saturated = piece.pan >= pan_top
    if not saturated.any():
        return clear
    at = [first + piece.ratio * np.arange(n) for first, n in zip(piece.at, clear.shape)]
    share = blurred(saturated[None].astype(np.float32), np.ones_like(saturated), at, (sensor.pan_mtf,), piece.ratio)[0]
    return clear & (share < MAX_SATURATED_PAN)


# --- clouds ----------------------------------------------------------------------------------------------------------


def cell_means(image: np.ndarray) -> np.ndarray:
    """Returns the means (C, rows, cols) over the complete cells of an image; NaN where a sample is invalid."""
    rows, cols = (n // CELL_SIDE for n in image.shape[1:])
    return (
        image[:, : rows * CELL_SIDE, : cols * CELL_SIDE]
        .reshape(len(image), rows, CELL_SIDE, cols, CELL_SIDE)
        .mean((2, 4))
    )


def cloud_limits(means: np.ndarray, wavelengths: Sequence[float] = ()) -> np.ndarray:
    """Returns the cloud limits (C,) of a scene: a cell is cloud if its mean exceeds them in all bands.

    means: (k, C) the means of all cells.
    """
    visible = np.array(wavelengths if len(wavelengths) == means.shape[1] else (0,) * means.shape[1]) < VISIBLE_LIMIT
    known = means[np.isfinite(means).all(1)]
    never = np.full(means.shape[1], math.inf)
    if not len(known) or not visible.any():
        return never
    dark = known.min(0)
    limits = np.where(visible, dark + CLOUD_FACTOR * (np.median(known, axis=0) - dark), -math.inf)
    return never if cloud_mask(known.T, limits).mean() > MAX_CLOUD_SHARE else limits


def cloud_mask(means: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Returns which cells (C, ...) are clouds, which are brighter than the limits in every visible band."""
    return (np.moveaxis(means, 0, -1) > limits).all(-1)


def _cloud_samples(piece: Piece, limits: np.ndarray) -> np.ndarray:
    """Returns which samples are cloud; samples beyond the last complete cell are assigned to it."""
    found = cloud_mask(cell_means(piece.ms), limits)
    rows, cols = (np.minimum(np.arange(n) // CELL_SIDE, k - 1) for n, k in zip(piece.ms.shape[1:], found.shape))
    return found[rows[:, None], cols]
