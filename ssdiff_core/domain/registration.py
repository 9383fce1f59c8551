"""How far MS lies off PAN: measured on windows, to a small part of a PAN pixel, for each band and for all together.

PAN is blurred as the MS sensor blurs and read where the MS samples would lie under a shift. The blur is written for any
phase, so a shift costs no interpolation and leaves no bias towards whole pixels. The right shift is where the gradients
of the bands best explain PAN's: by the squared correlation, so a band that is dark where PAN is bright counts as well
(near infrared often is). Each window answers for itself; the answer is their weighted median, and how many of them
agree with it is the confidence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..common.errors import BlockError
from .kernels import blur, interpolation, mtf_sigma

SEARCH = 9
"PAN pixels that a shift may be long, along each axis"
SIDE = 32
"MS samples along a window"
GAIN = 0.3
"taken for every sensor: another width of the blur moves the peak nowhere, it only flattens it"
VAGUE = 0.5
"PAN pixels of standard error from which on a window is said to have no texture"
REACH = 2
"samples around one that it is made of when a band is put where it belongs"
AGREES = 0.5
"PAN pixels that a window may lie off the answer and still agree with it"
APART = 0.3
"PAN pixels that a band must lie off the overall shift to have one of its own"
SURE = 0.6
"confidence from which a band's own shift is believed"

Read = Callable[[tuple], tuple]
"(row, col, height, width) of PAN -> pan, ms, ms_at, valid, as shift() takes them"


@dataclass(frozen=True)
class Shift:
    """MS shows what PAN shows at (r, c) at (r + rows, c + cols): positive where MS lies too far down or right.

    The true place of the first MS sample is then ms_at - (rows, cols).
    """

    rows: float = 0.0
    cols: float = 0.0
    confidence: float = 0.0
    "0: no window had anything to say; near 1: many windows, and all agree"
    spread: float = 0.0
    "how far from the answer the windows lie, their median, in PAN pixels"
    windows: int = 0
    "how many windows had a say"
    bands: tuple[Shift, ...] = ()

    @property
    def length(self) -> float:
        return math.hypot(self.rows, self.cols)

    def __str__(self) -> str:
        rows, cols = (round(value, 2) + 0.0 for value in (self.rows, self.cols))  # no -0.00
        return f"{rows:+.2f} rows, {cols:+.2f} columns"


def shift(pan: np.ndarray, ms: np.ndarray, ms_at: Sequence[float], ratio: float, valid=None) -> Shift:
    """Of arrays: pan (h, w) and ms (C, hm, wm), whose first sample should have its centre at PAN's (row, col) ms_at."""

    def read(window):
        row, col, height, width = window
        spans, at = [], []
        for start, length, first, n in zip((row, col), (height, width), ms_at, ms.shape[1:]):
            lo = min(max(math.ceil((start - first) / ratio), 0), n)
            hi = max(min(math.floor((start + length - 1 - first) / ratio) + 1, n), lo)
            spans.append(slice(lo, hi))
            at.append(first + lo * ratio - start)
        here = slice(row, row + height), slice(col, col + width)
        return pan[here], ms[(slice(None), *spans)], tuple(at), None if valid is None else valid[here]

    if pan.ndim != 2 or ms.ndim != 3:
        raise BlockError(f"PAN of shape {pan.shape} and MS of shape {ms.shape}; (h, w) and (bands, h, w) are needed")
    return of_scene(pan.shape, ratio, read)


def of_scene(shape: tuple[int, int], ratio: float, read: Read, most: int = 36) -> Shift:
    """Of a scene of any size, of which `read` hands over one window after another."""
    found = []
    for window in windows(shape, ratio, most):
        pan, ms, ms_at, valid = read(window)
        found.append(_search(pan, ms, ms_at, ratio, valid))
    together, *bands = (_agree([f for f in one if f]) for one in zip(*found))
    return replace(together, bands=tuple(bands))


def windows(shape: tuple[int, int], ratio: float, most: int = 36) -> list[tuple[int, int, int, int]]:
    """Where a scene of PAN's shape is looked at: (row, col, height, width) each, evenly, half a side apart or more."""
    inner = math.ceil(SIDE * ratio)
    sides = [min(n, inner + 2 * _margin(ratio)) for n in shape]
    counts = [math.ceil(2 * (n - side) / inner) + 1 for n, side in zip(shape, sides)]
    while counts[0] * counts[1] > most:
        counts[counts.index(max(counts))] -= 1
    rows, cols = (
        [round((n - side) * (i + 0.5 * (k == 1)) / max(k - 1, 1)) for i in range(k)]
        for n, side, k in zip(shape, sides, counts)
    )
    return [(r, c, *sides) for r in rows for c in cols]


def apart(found: Shift) -> tuple[tuple[float, float], ...]:
    """How far each band lies off the overall shift, where that is sure and worth a resampling; else (0, 0)."""
    off = [(band.rows - found.rows, band.cols - found.cols) for band in found.bands]
    own = [band.confidence >= SURE and math.hypot(*by) > APART for band, by in zip(found.bands, off)]
    return tuple(by if is_own else (0.0, 0.0) for by, is_own in zip(off, own))


def moved(image: np.ndarray, here: tuple[slice, slice], off: Sequence[float]) -> np.ndarray:
    """A part of an image (h, w) read so many samples further down and right; NaN where that leans on a NaN.

    Beyond the image its last sample goes on. What lies further than REACH from where a sample is read has no say in it.
    """
    for axis, (span, step) in enumerate(zip(here, off)):
        if not step:
            image = image.take(range(span.start, span.stop), axis)
            continue
        whole = math.floor(step)
        weights = interpolation(np.array([REACH - 1 + step - whole]), 2 * REACH)[0]
        taps = np.arange(span.start, span.stop) + whole + 1 - REACH
        image = sum(w * image.take(taps + k, axis, mode="clip") for k, w in enumerate(weights) if w)
    return image


@dataclass(frozen=True)
class _Found:
    """What one window says, and its standard error."""

    at: tuple[float, float]
    error: tuple[float, float]


class _Patch:
    """One window, ready to be asked how well a shift explains it."""

    def __init__(self, pan, ms, ms_at, ratio, valid):
        pan, ms = np.asarray(pan, np.float32), np.asarray(ms, np.float32)
        ok = np.isfinite(pan) if valid is None else np.isfinite(pan) & np.asarray(valid, bool)
        seen = np.isfinite(ms).all(0)
        self.sigma = _sigma(ratio)
        self.at = [first + ratio * np.arange(n) for first, n in zip(ms_at, seen.shape)]
        self.usable = _usable(ok, seen, self.at, _margin(ratio))
        self.pan = np.where(ok, pan - pan[ok].mean() if ok.any() else 0, 0).astype(np.float32)
        self.knee = _size(_gradients(self._read([0.0], [0.0])), self.usable)
        slopes = _gradients(np.where(seen, ms, 0))
        slopes = np.stack([_even(band, _size(band, self.usable)) for band in slopes])
        self.ms = (slopes * self.usable).reshape(len(ms), -1)

    def fits(self, rows: Sequence[float], cols: Sequence[float]) -> np.ndarray:
        "Squared correlation of PAN under each shift with all bands together, then with each -> (1 + C, rows, cols)."
        slopes = _even(_gradients(self._read(rows, cols)), self.knee) * self.usable
        slopes = slopes.reshape(len(rows), len(cols), -1)
        energy = np.einsum("rck,rck->rc", slopes, slopes) + 1e-9
        cross = slopes @ self.ms.T
        gram = (self.ms @ self.ms.T).astype(np.float64)
        own = np.diag(gram) + 1e-9
        inverse = np.linalg.inv(gram + np.diag(1e-4 * own))
        together = np.einsum("rci,ij,rcj->rc", cross, inverse, cross)
        return np.concatenate([together[None], (cross**2 / own).transpose(2, 0, 1)]) / energy

    def _read(self, rows, cols) -> np.ndarray:
        "PAN as MS would show it under each shift -> (rows, cols, hm, wm)."
        reach = math.ceil(4 * self.sigma)
        down, across = (
            blur(np.concatenate([at - s for s in shifts]), n, self.sigma, reach)
            for at, shifts, n in zip(self.at, (rows, cols), self.pan.shape)
        )
        read = (down @ self.pan @ across.T).reshape(len(rows), len(self.at[0]), len(cols), len(self.at[1]))
        return read.transpose(0, 2, 1, 3)


def _search(pan, ms, ms_at, ratio, valid) -> list[_Found | None]:
    """What a window says of all bands together, then of each; None where it has nothing to say."""
    patch = _Patch(pan, ms, ms_at, ratio, valid) if min(ms.shape[1:]) > 2 else None
    if patch is None or patch.usable.sum() < SIDE:
        return [None] * (1 + len(ms))
    whole = np.arange(-SEARCH, SEARCH + 1.0)
    return [_refine(patch, k, _peak(surface)) for k, surface in enumerate(patch.fits(whole, whole))]


def _peak(surface: np.ndarray) -> tuple[float, float] | None:
    "The best whole shift; None on the edge of what was searched, where the true one lies outside."
    r, c = np.unravel_index(surface.argmax(), surface.shape)
    return None if {r, c} & {0, 2 * SEARCH} else (r - SEARCH, c - SEARCH)


def _refine(patch: _Patch, k: int, at: tuple[float, float] | None) -> _Found | None:
    """Goes to the top of the k-th fit by paraboloids through ever closer points, PAN being read anew at each."""
    if at is None:
        return None
    for step in (0.5, 0.5, 0.25):
        values = patch.fits(*(x + step * np.arange(-1, 2) for x in at))[k]
        move, bend = _vertex(values)
        if move is None:
            return None
        at = tuple(x + step * min(max(m, -2), 2) for x, m in zip(at, move))
    variance = np.linalg.inv(bend / step**2) * (1 - values.max()) / patch.usable.sum()
    error = tuple(np.sqrt(np.diag(variance)))
    return _Found(at, error) if max(error) < VAGUE else None


def _vertex(values: np.ndarray):
    """The top of a paraboloid fitted to 3 x 3 values, in steps, and how it bends down; None and None: it has no top."""
    r, c = np.mgrid[-1:2, -1:2]
    slope = np.array([(values * r).sum(), (values * c).sum()]) / 6
    bend_r, bend_c = ((values * (3 * x * x - 2)).sum() / 3 for x in (r, c))
    twist = (values * r * c).sum() / 4
    bend = -np.array([[bend_r, twist], [twist, bend_c]])
    if bend[0, 0] <= 0 or np.linalg.det(bend) <= 0:
        return None, None
    return np.linalg.solve(bend, slope), bend


def _agree(found: list[_Found]) -> Shift:
    """The weighted median of what windows say, and how many of them say the same."""
    if not found:
        return Shift()
    at, error = np.array([f.at for f in found]), np.array([f.error for f in found])
    middle = np.array([_median(at[:, axis], 1 / error[:, axis]) for axis in (0, 1)])
    off = np.hypot(*(at - middle).T)
    confidence = (off <= AGREES).sum() / (len(found) + 1)
    return Shift(*(float(x) for x in (*middle, confidence, np.median(off))), windows=len(found))


def _median(values: np.ndarray, weights: np.ndarray) -> float:
    order = values.argsort()
    values, weights = values[order], weights[order]
    middle = weights.cumsum() - weights / 2
    return np.interp(weights.sum() / 2, middle, values)


def _gradients(image: np.ndarray) -> np.ndarray:
    "Central differences, down and across (..., m, n) -> (..., 2, m - 2, n - 2)."
    down = image[..., 2:, 1:-1] - image[..., :-2, 1:-1]
    across = image[..., 1:-1, 2:] - image[..., 1:-1, :-2]
    return np.stack([down, across], -3)


def _size(slopes: np.ndarray, usable: np.ndarray) -> float:
    "The usual length of a gradient where it is usable."
    length = np.sqrt((slopes**2).sum(-3))[..., usable]
    return float(length.mean()) if length.size else 0.0


def _even(slopes: np.ndarray, knee: float) -> np.ndarray:
    "Gradients of which the long ones count little more than the usual: a bright roof must not outvote a street."
    return slopes / np.sqrt((slopes**2).sum(-3, keepdims=True) + knee**2 + 1e-30)


def _usable(pan_ok, ms_ok, at, margin) -> np.ndarray:
    """Inner MS samples (m - 2, n - 2) that are valid with their neighbours, and around which PAN is whole."""
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
    return max(mtf_sigma(GAIN, ratio), 0.85)


def _margin(ratio: float) -> int:
    "PAN pixels around an MS sample that its gradient may read under any shift."
    return SEARCH + math.ceil(3 * _sigma(ratio) + ratio)
