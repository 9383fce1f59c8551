"""What of a scene may be learnt from: not where a sensor is blind, and not clouds, which lie elsewhere for PAN than for
MS, and of which one tells as much as a hundred."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..domain.sensors import Sensor
from ..metrics.degradation import blurred
from .wald_pair import Piece

CELL = 16
"MS samples along the cells that are told for clouds or not"
OFTEN = 2e-4
"share of the pixels at the greatest value from which on that is where the sensor goes blind"
SHARED = 0.02
"share of what a sample sees of PAN that may be saturated"
CLOUDY = 4.0
"times as far above the dark as the usual cell, in all visible bands: a cloud"
VISIBLE = 700.0
"nm"
CLOUDS = 0.6
"share of the cells that may be clouds: were there more, they would be snow or sand"


def trusted(pieces: list[Piece], sensor: Sensor, limits: np.ndarray) -> list[Piece]:
    """The pieces of one scene, told what may be learnt from; limits: of clouds."""
    tops = _tops([piece.ms for piece in pieces])
    pan_top = _tops([piece.pan[None] for piece in pieces])[0]
    return [
        replace(piece, trust=_unsaturated(piece, tops, pan_top, sensor) & ~_clouded(piece, limits)) for piece in pieces
    ]


def _tops(images: list[np.ndarray]) -> np.ndarray:
    """For each band the value at which its sensor goes blind; infinity where its brightest pixels differ."""
    values = np.concatenate([image.reshape(len(image), -1) for image in images], axis=1)
    tops = np.nanmax(values, axis=1)
    return np.where((values == tops[:, None]).mean(1) > OFTEN, tops, np.inf)


def _unsaturated(piece: Piece, tops: np.ndarray, pan_top: float, sensor: Sensor) -> np.ndarray:
    clear = (piece.ms < tops[:, None, None]).all(0)
    blind = piece.pan >= pan_top
    if not blind.any():
        return clear
    at = [first + piece.ratio * np.arange(n) for first, n in zip(piece.at, clear.shape)]
    seen = blurred(blind[None].astype(np.float32), np.ones_like(blind), at, (sensor.pan_mtf,), piece.ratio)[0]
    return clear & (seen < SHARED)


# --- clouds ----------------------------------------------------------------------------------------------------------


def cells(image: np.ndarray) -> np.ndarray:
    """Means (C, rows, cols) over the whole cells of an image; NaN where a sample has no value."""
    rows, cols = (n // CELL for n in image.shape[1:])
    return image[:, : rows * CELL, : cols * CELL].reshape(len(image), rows, CELL, cols, CELL).mean((2, 4))


def limits_of(means: np.ndarray, wavelengths: Sequence[float] = ()) -> np.ndarray:
    """How bright (C,) a cell of a scene with these (k, C) must be in all bands to be a cloud."""
    visible = np.array(wavelengths if len(wavelengths) == means.shape[1] else (0,) * means.shape[1]) < VISIBLE
    known = means[np.isfinite(means).all(1)]
    never = np.full(means.shape[1], math.inf)
    if not len(known) or not visible.any():
        return never
    dark = known.min(0)
    limits = np.where(visible, dark + CLOUDY * (np.median(known, axis=0) - dark), -math.inf)
    return never if clouds(known.T, limits).mean() > CLOUDS else limits


def clouds(means: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Which cells (C, ...) are clouds: far brighter than the ground at large in every visible band."""
    return (np.moveaxis(means, 0, -1) > limits).all(-1)


def _clouded(piece: Piece, limits: np.ndarray) -> np.ndarray:
    """Which samples lie in a cloud; those beside the last whole cell go with it."""
    found = clouds(cells(piece.ms), limits)
    rows, cols = (np.minimum(np.arange(n) // CELL, k - 1) for n, k in zip(piece.ms.shape[1:], found.shape))
    return found[rows[:, None], cols]
