"""Measures the shift of MS against PAN with subpixel precision, for each band and for all bands together.

PAN is blurred with the MTF of the MS sensor and sampled where the MS samples would be under a shift. The blur kernel is
computed for any phase, so a shift needs no interpolation and has no bias towards whole pixels. The best shift maximises
the squared correlation of the gradients of PAN with those of the bands; a band that is dark where PAN is bright (near
infrared often is) counts as well. Each window is measured separately; the result is their weighted median, and the
confidence is the share of windows that agree with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..common.errors import BlockError
from .kernels import blur, interpolation, mtf_sigma

MAXIMUM_SHIFT = 9
"largest shift that is searched, in PAN pixels along each axis"
WINDOW_SIDE = 32
"side of a window, in MS samples"
MTF_GAIN = 0.3
"gain at Nyquist of the blur, for every sensor: another width only flattens the peak and does not move it"
MAXIMUM_ERROR = 0.5
"standard error of a window's shift, in PAN pixels, from which the window is ignored for lack of texture"
SHIFT_REACH = 2
"samples on each side that the interpolation of a shifted band uses"
AGREEMENT_RADIUS = 0.5
"distance of a window's shift from the result, in PAN pixels, up to which it agrees"
MINIMUM_BAND_OFFSET = 0.3
"offset of a band from the overall shift, in PAN pixels, from which it is corrected separately"
MINIMUM_BAND_CONFIDENCE = 0.6
"confidence of a band's shift from which it is corrected separately"

Read = Callable[[tuple], tuple]
"takes (row, col, height, width) in PAN pixels, returns pan, ms, ms_at and valid as for shift()"


@dataclass(frozen=True)
class Shift:
    """Shift of MS against PAN: what PAN shows at (r, c), MS shows at (r + rows, c + cols), in PAN pixels.

    The corrected position of the first MS sample is ms_at - (rows, cols).
    """

    rows: float = 0.0
    cols: float = 0.0
    confidence: float = 0.0
    "0: no window could be measured; near 1: many windows, and all agree"
    spread: float = 0.0
    "median distance of the windows' shifts from the result, in PAN pixels"
    windows: int = 0
    "number of windows that could be measured"
    bands: tuple[Shift, ...] = ()
    "shift of each band"

    @property
    def length(self) -> float:
        return math.hypot(self.rows, self.cols)

    def __str__(self) -> str:
        rows, cols = (round(value, 2) + 0.0 for value in (self.rows, self.cols))  # no -0.00
        return f"{rows:+.2f} rows, {cols:+.2f} columns"


def shift(pan: np.ndarray, ms: np.ndarray, ms_at: Sequence[float], ratio: float, valid=None) -> Shift:
    """Returns the shift of arrays: pan (h, w), ms (C, hm, wm); ms_at: centre of the first MS sample on PAN."""

    def read(window):
        row, col, height, width = window
        spans, at = [], []
        for start, length, first, n in zip((row, col), (height, width), ms_at, ms.shape[1:]):
            lo = min(max(math.ceil((start - first) / ratio), 0), n)
            hi = max(min(math.floor((start + length - 1 - first) / ratio) + 1, n), lo)
            spans.append(slice(lo, hi))
            at.append(first + lo * ratio - start)
        part = slice(row, row + height), slice(col, col + width)
        return pan[part], ms[(slice(None), *spans)], tuple(at), None if valid is None else valid[part]

    if pan.ndim != 2 or ms.ndim != 3:
        raise BlockError(f"PAN of shape {pan.shape} and MS of shape {ms.shape}; (h, w) and (bands, h, w) are needed")
    return estimate_shift(pan.shape, ratio, read)


def estimate_shift(shape: tuple[int, int], ratio: float, read: Read, maximum: int = 36) -> Shift:
    """Returns the shift of a scene of any size; read: returns one window; maximum: largest number of windows."""
    found = []
    for window in windows(shape, ratio, maximum):
        pan, ms, ms_at, valid = read(window)
        found.append(_search(pan, ms, ms_at, ratio, valid))
    together, *bands = (_combine([f for f in one if f]) for one in zip(*found))
    return replace(together, bands=tuple(bands))


def windows(shape: tuple[int, int], ratio: float, maximum: int = 36) -> list[tuple[int, int, int, int]]:
    """Returns evenly spaced windows (row, col, height, width) of a PAN of this shape, at least half a side apart."""
    inner = math.ceil(WINDOW_SIDE * ratio)
    sides = [min(n, inner + 2 * _margin(ratio)) for n in shape]
    counts = [math.ceil(2 * (n - side) / inner) + 1 for n, side in zip(shape, sides)]
    while counts[0] * counts[1] > maximum:
        counts[counts.index(max(counts))] -= 1
    rows, cols = (
        [round((n - side) * (i + 0.5 * (k == 1)) / max(k - 1, 1)) for i in range(k)]
        for n, side, k in zip(shape, sides, counts)
    )
    return [(r, c, *sides) for r in rows for c in cols]


def band_offsets(found: Shift) -> tuple[tuple[float, float], ...]:
    """Returns the offset of each band from the overall shift; (0, 0) where it is too uncertain or too small."""
    off = [(band.rows - found.rows, band.cols - found.cols) for band in found.bands]
    separate = [
        band.confidence >= MINIMUM_BAND_CONFIDENCE and math.hypot(*by) > MINIMUM_BAND_OFFSET
        for band, by in zip(found.bands, off)
    ]
    return tuple(by if apart else (0.0, 0.0) for by, apart in zip(off, separate))


def resample_shifted(image: np.ndarray, part: tuple[slice, slice], off: Sequence[float]) -> np.ndarray:
    """Returns a part of an image (h, w) sampled `off` samples further down and right; NaN where it depends on a NaN.

    The edge samples are repeated outside the image. A result depends on samples up to SHIFT_REACH away.
    """
    for axis, (span, step) in enumerate(zip(part, off)):
        if not step:
            image = image.take(range(span.start, span.stop), axis)
            continue
        whole = math.floor(step)
        weights = interpolation(np.array([SHIFT_REACH - 1 + step - whole]), 2 * SHIFT_REACH)[0]
        taps = np.arange(span.start, span.stop) + whole + 1 - SHIFT_REACH
        image = sum(w * image.take(taps + k, axis, mode="clip") for k, w in enumerate(weights) if w)
    return image


@dataclass(frozen=True)
class _Measurement:
    """The shift measured on one window, and its standard error."""

    at: tuple[float, float]
    error: tuple[float, float]


class _Patch:
    """The gradients of one window, to be compared with PAN under any shift."""

    def __init__(self, pan, ms, ms_at, ratio, valid):
        pan, ms = np.asarray(pan, np.float32), np.asarray(ms, np.float32)
        ok = np.isfinite(pan) if valid is None else np.isfinite(pan) & np.asarray(valid, bool)
        seen = np.isfinite(ms).all(0)
        self.sigma = _sigma(ratio)
        self.at = [first + ratio * np.arange(n) for first, n in zip(ms_at, seen.shape)]
        self.usable = _usable(ok, seen, self.at, _margin(ratio))
        self.pan = np.where(ok, pan - pan[ok].mean() if ok.any() else 0, 0).astype(np.float32)
        self.knee = _mean_length(_gradients(self._read([0.0], [0.0])), self.usable)
        slopes = _gradients(np.where(seen, ms, 0))
        slopes = np.stack([_compressed(band, _mean_length(band, self.usable)) for band in slopes])
        self.ms = (slopes * self.usable).reshape(len(ms), -1)

    def correlations(self, rows: Sequence[float], cols: Sequence[float]) -> np.ndarray:
        "Returns squared correlations of shifted PAN with all bands together, then with each -> (1 + C, rows, cols)."
        slopes = _compressed(_gradients(self._read(rows, cols)), self.knee) * self.usable
        slopes = slopes.reshape(len(rows), len(cols), -1)
        energy = np.einsum("rck,rck->rc", slopes, slopes) + 1e-9
        cross = slopes @ self.ms.T
        gram = (self.ms @ self.ms.T).astype(np.float64)
        variances = np.diag(gram) + 1e-9
        inverse = np.linalg.inv(gram + np.diag(1e-4 * variances))
        together = np.einsum("rci,ij,rcj->rc", cross, inverse, cross)
        return np.concatenate([together[None], (cross**2 / variances).transpose(2, 0, 1)]) / energy

    def _read(self, rows, cols) -> np.ndarray:
        "Returns PAN as the MS sensor would see it under each shift -> (rows, cols, hm, wm)."
        reach = math.ceil(4 * self.sigma)
        down, across = (
            blur(np.concatenate([at - s for s in shifts]), n, self.sigma, reach)
            for at, shifts, n in zip(self.at, (rows, cols), self.pan.shape)
        )
        read = (down @ self.pan @ across.T).reshape(len(rows), len(self.at[0]), len(cols), len(self.at[1]))
        return read.transpose(0, 2, 1, 3)


def _search(pan, ms, ms_at, ratio, valid) -> list[_Measurement | None]:
    """Measures a window for all bands together, then for each; None where there is too little texture."""
    patch = _Patch(pan, ms, ms_at, ratio, valid) if min(ms.shape[1:]) > 2 else None
    if patch is None or patch.usable.sum() < WINDOW_SIDE:
        return [None] * (1 + len(ms))
    whole = np.arange(-MAXIMUM_SHIFT, MAXIMUM_SHIFT + 1.0)
    return [_refine(patch, k, _peak(surface)) for k, surface in enumerate(patch.correlations(whole, whole))]


def _peak(surface: np.ndarray) -> tuple[float, float] | None:
    "Returns the best whole-pixel shift; None at the edge of the search range, where the true one may be outside."
    r, c = np.unravel_index(surface.argmax(), surface.shape)
    return None if {r, c} & {0, 2 * MAXIMUM_SHIFT} else (r - MAXIMUM_SHIFT, c - MAXIMUM_SHIFT)


def _refine(patch: _Patch, k: int, at: tuple[float, float] | None) -> _Measurement | None:
    """Refines the maximum of the k-th correlation by paraboloids through points at ever smaller steps."""
    if at is None:
        return None
    for step in (0.5, 0.5, 0.25):
        values = patch.correlations(*(x + step * np.arange(-1, 2) for x in at))[k]
        move, bend = _vertex(values)
        if move is None:
            return None
        at = tuple(x + step * min(max(m, -2), 2) for x, m in zip(at, move))
    variance = np.linalg.inv(bend / step**2) * (1 - values.max()) / patch.usable.sum()
    error = tuple(np.sqrt(np.diag(variance)))
    return _Measurement(at, error) if max(error) < MAXIMUM_ERROR else None


def _vertex(values: np.ndarray):
    """Returns the maximum of a paraboloid fitted to 3 x 3 values, in steps, and its curvature; (None, None) if none."""
    r, c = np.mgrid[-1:2, -1:2]
    slope = np.array([(values * r).sum(), (values * c).sum()]) / 6
    bend_r, bend_c = ((values * (3 * x * x - 2)).sum() / 3 for x in (r, c))
    twist = (values * r * c).sum() / 4
    bend = -np.array([[bend_r, twist], [twist, bend_c]])
    if bend[0, 0] <= 0 or np.linalg.det(bend) <= 0:
        return None, None
    return np.linalg.solve(bend, slope), bend


def _combine(found: list[_Measurement]) -> Shift:
    """Combines measurements: their weighted median, and the share of windows that agree with it."""
    if not found:
        return Shift()
    at, error = np.array([f.at for f in found]), np.array([f.error for f in found])
    middle = np.array([_median(at[:, axis], 1 / error[:, axis]) for axis in (0, 1)])
    off = np.hypot(*(at - middle).T)
    confidence = (off <= AGREEMENT_RADIUS).sum() / (len(found) + 1)
    return Shift(*(float(x) for x in (*middle, confidence, np.median(off))), windows=len(found))


def _median(values: np.ndarray, weights: np.ndarray) -> float:
    order = values.argsort()
    values, weights = values[order], weights[order]
    middle = weights.cumsum() - weights / 2
    return np.interp(weights.sum() / 2, middle, values)


def _gradients(image: np.ndarray) -> np.ndarray:
    "Returns central differences along rows and columns, (..., m, n) -> (..., 2, m - 2, n - 2)."
    down = image[..., 2:, 1:-1] - image[..., :-2, 1:-1]
    across = image[..., 1:-1, 2:] - image[..., 1:-1, :-2]
    return np.stack([down, across], -3)


def _mean_length(slopes: np.ndarray, usable: np.ndarray) -> float:
    "Returns the mean length of the gradients that are usable."
    length = np.sqrt((slopes**2).sum(-3))[..., usable]
    return float(length.mean()) if length.size else 0.0


def _compressed(slopes: np.ndarray, knee: float) -> np.ndarray:
    "Compresses long gradients, so that a bright roof does not outweigh a street."
    return slopes / np.sqrt((slopes**2).sum(-3, keepdims=True) + knee**2 + 1e-30)


def _usable(pan_ok, ms_ok, at, margin) -> np.ndarray:
    """Returns which inner MS samples (m - 2, n - 2) are valid with their neighbours and with PAN around them."""
    boxes, inside = [], []
    for positions, n in zip(at, pan_ok.shape):
        lo, hi = np.floor(positions - margin), np.ceil(positions + margin)
        boxes.append(np.abs(np.arange(n) - positions[:, None]) <= margin)
        inside.append((lo >= -1) & (hi <= n))
    missing = boxes[0].astype(np.float32) @ (~pan_ok).astype(np.float32) @ boxes[1].T.astype(np.float32)
    good = (missing < 0.5) & inside[0][:, None] & inside[1]
    m, n = ms_ok.shape
    whole = np.all([ms_ok[i : m - 2 + i, j : n - 2 + j] for i in range(3) for j in range(3)], axis=0)
    return good[1:-1, 1:-1] & whole


def _sigma(ratio: float) -> float:
    return max(mtf_sigma(MTF_GAIN, ratio), 0.85)


def _margin(ratio: float) -> int:
    "Returns the PAN pixels around an MS sample that its gradient may depend on under any shift."
    return MAXIMUM_SHIFT + math.ceil(3 * _sigma(ratio) + ratio)
