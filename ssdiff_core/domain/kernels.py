"""Resampling along one axis as matrices: interpolation from MS to PAN at any phase, and the blur of the sensor's MTF.

A raster axis is a set of samples at the integers 0 .. n-1. `interpolation(at, n)` returns the matrix that samples it at
the positions `at`; beyond its ends the edge sample is repeated. Rows and columns are separate, so an image becomes
L @ image @ R.T. Integer positions return the samples themselves.
"""

from __future__ import annotations

import functools
import math

import numpy as np

KERNELS = ("cubic", "23tap")
REACH = {"cubic": 2, "23tap": 11}  # samples on each side that a value depends on
BLUR_REACH = 5  # of the MTF's Gaussian, in MS pixels; the toolboxes cut at 41 taps for ratio 4
_BLUR_SIGMAS = 3.5  # standard deviations at which a Gaussian blur is cut
_BLUR_STEPS = 8  # positions for each sample at which a Gaussian blur is summed up
_TABLE_STEPS = 1024  # subdivisions of one sample in the table of the 23-tap kernel


def interpolation(at: np.ndarray, n: int, kernel: str = "cubic") -> np.ndarray:
    """Returns the matrix (len(at), n) that samples n values at fractional positions."""
    at = np.asarray(at, np.float64)
    reach = REACH[kernel]
    taps = np.floor(at)[:, None] + np.arange(1 - reach, reach + 1)  # (len(at), 2 reach)
    return _scatter(_weight(taps - at[:, None], kernel), taps, n)


def blurred_reach(sigma: float) -> int:
    """Returns the samples on each side that `blurred_taps` depend on."""
    return REACH["23tap"] + math.ceil(_BLUR_SIGMAS * sigma)


def blurred_taps(at: np.ndarray, sigma: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Returns the 23-tap interpolation at fractional positions, of samples blurred by a Gaussian of deviation sigma.

    As the index of the first sample of each position, and the weights of it and the following ones (len(at), taps).
    """
    reach, table = blurred_reach(sigma), _blurred_kernel(sigma)
    first = np.floor(at).astype(np.intp) + 1 - reach
    place = np.abs(first[:, None] + np.arange(2 * reach) - np.asarray(at)[:, None]) * _TABLE_STEPS
    index = place.astype(np.intp)
    weights = table[index] + (place - index) * (table[index + 1] - table[index])
    return first, weights / weights.sum(1, keepdims=True)


@functools.lru_cache(maxsize=64)
def _blurred_kernel(sigma: float) -> np.ndarray:
    """Returns the 23-tap kernel, blurred by a Gaussian, at 0, 1/1024, 2/1024 ... samples; 0 beyond its reach."""
    steps = math.ceil(_BLUR_SIGMAS * sigma * _BLUR_STEPS)
    moves = np.arange(-steps, steps + 1) / _BLUR_STEPS
    shares = np.exp(-0.5 * (moves / sigma) ** 2) if sigma else np.ones(1)
    at = np.arange((blurred_reach(sigma) + 1) * _TABLE_STEPS + 1) / _TABLE_STEPS
    return sum(share * _weight(at - move, "23tap") for share, move in zip(shares, moves)) / shares.sum()


def blur(at: np.ndarray, n: int, sigma: float, reach: int) -> np.ndarray:
    """Returns the matrix (len(at), n) that samples n values through a Gaussian of standard deviation sigma >= 0.85."""
    at = np.asarray(at, np.float64)
    taps = np.round(at)[:, None] + np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * ((taps - at[:, None]) / sigma) ** 2)
    return _scatter(weights / weights.sum(1, keepdims=True), taps, n)


def mtf_sigma(gain: float, ratio: float) -> float:
    """Returns the sigma, in PAN pixels, of the Gaussian whose response at the MS Nyquist frequency is `gain`."""
    return ratio / math.pi * math.sqrt(-2 * math.log(gain))


def reflect(index: np.ndarray, lo: float, hi: float) -> np.ndarray:
    """Mirrors positions at the pixel edges lo - 1/2 and hi - 1/2 of the range lo .. hi - 1, repeatedly if needed."""
    span = hi - lo
    folded = np.mod(np.asarray(index) - lo + 0.5, 2 * span)
    return np.where(folded < span, folded, 2 * span - folded) - 0.5 + lo


def _scatter(weights: np.ndarray, taps: np.ndarray, n: int) -> np.ndarray:
    matrix = np.zeros((len(taps), n))
    rows = np.broadcast_to(np.arange(len(taps))[:, None], taps.shape)
    np.add.at(matrix, (rows, np.clip(taps, 0, n - 1).astype(np.intp)), weights)
    return matrix.astype(np.float32)


def _weight(d: np.ndarray, kernel: str) -> np.ndarray:
    if kernel == "cubic":
        return cubic(np.abs(d))
    table = _twenty_three_tap()
    place = (np.abs(d) * _TABLE_STEPS).clip(max=len(table) - 1)
    return np.interp(place, np.arange(len(table)), table)


def cubic(d: np.ndarray) -> np.ndarray:
    """Returns Keys' cubic convolution kernel with a = -1/2, which GDAL calls cubic."""
    near = 1 + d * d * (1.5 * d - 2.5)
    far = 2 + d * (-4 + d * (2.5 - 0.5 * d))
    return np.where(d < 1, near, np.where(d < 2, far, 0.0))


@functools.lru_cache(maxsize=1)
def _twenty_three_tap() -> np.ndarray:
    """Returns the 23-tap filter of pansharpening toolboxes for every phase, at 0, 1/1024, 2/1024 ... 11.

    The filter is the midpoint formula of Lagrange interpolation through 12 samples. Its repeated application
    (Deslauriers & Dubuc 1989) converges to one function; the toolboxes stop after two rounds, at quarter samples.
    """
    nodes = np.arange(-5.5, 6)  # 12 samples around a midpoint
    midpoint = np.array([np.prod(np.delete(-nodes, i) / np.delete(nodes[i] - nodes, i)) for i in range(12)])
    values = np.zeros(2 * REACH["23tap"] + 1)
    values[REACH["23tap"]] = 1
    while len(values) <= 2 * REACH["23tap"] * _TABLE_STEPS:
        doubled = np.zeros(2 * len(values) - 1)
        doubled[::2] = values
        doubled[1::2] = np.convolve(values, midpoint)[6:-6]
        values = doubled
    return values[len(values) // 2 :]
