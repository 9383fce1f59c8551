"""Sampling along one axis, written as matrices: interpolation from MS to PAN at any phase, and the sensor's blur.

A raster axis is a set of samples at the integers 0 .. n-1. `interpolation(at, n)` answers the matrix that reads it at
the positions `at`; beyond its ends the last sample goes on. Rows and columns are separate, so an image becomes
L @ image @ R.T, on any device. Whole positions give back the samples themselves.

Those matrices are nearly all zeros: `strips` cuts one into the small full matrices along its diagonal.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

KERNELS = ("cubic", "23tap")
REACH = {"cubic": 2, "23tap": 11}  # samples on each side that a value depends on
_TABLE_STEPS = 1024  # subdivisions of one sample in the table of the 23-tap kernel


def interpolation(at: np.ndarray, n: int, kernel: str = "cubic") -> np.ndarray:
    """Matrix (len(at), n) that reads n samples at fractional positions."""
    at = np.asarray(at, np.float64)
    reach = REACH[kernel]
    taps = np.floor(at)[:, None] + np.arange(1 - reach, reach + 1)  # (len(at), 2 reach)
    return _scatter(_weight(taps - at[:, None], kernel), taps, n)


def blur(at: np.ndarray, n: int, sigma: float, reach: int) -> np.ndarray:
    """Matrix (len(at), n) that reads n samples through a Gaussian of standard deviation sigma, 0.85 or more."""
    at = np.asarray(at, np.float64)
    taps = np.round(at)[:, None] + np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * ((taps - at[:, None]) / sigma) ** 2)
    return _scatter(weights / weights.sum(1, keepdims=True), taps, n)


def mtf_sigma(gain: float, ratio: float) -> float:
    """Gaussian whose response at the MS Nyquist frequency is gain, in PAN pixels."""
    return ratio / math.pi * math.sqrt(-2 * math.log(gain))


def reflect(index: np.ndarray, lo: float, hi: float) -> np.ndarray:
    """Positions mirrored at the pixel edges lo - 1/2 and hi - 1/2 of the range lo .. hi - 1, as often as it takes."""
    span = hi - lo
    folded = np.mod(np.asarray(index) - lo + 0.5, 2 * span)
    return np.where(folded < span, folded, 2 * span - folded) - 0.5 + lo


@dataclass(frozen=True)
class Strip:
    """Neighbouring answers along an axis, and the run of samples that they are made of."""

    start: int
    "the first of the samples; may lie beyond the end of the axis, where the last sample goes on"
    matrix: Tensor
    "(answers, samples)"

    @property
    def stop(self) -> int:
        return self.start + self.matrix.shape[1]


def strips(at: np.ndarray, reach: int, weigh: Callable[[np.ndarray, int], np.ndarray], side: int) -> list[Strip]:
    """The matrix weigh(at, n) for an axis without ends, `side` answers at a time; at rises.

    At a whole ratio every strip is the first one over again, and that is made but once.
    """
    made, places, answer = None, None, []
    for first in range(0, len(at), side):
        part = at[first : first + side]
        start = math.floor(part[0] + 1e-9) - reach
        here = part - start
        width = math.ceil(here[-1] - 1e-9) + reach + 1
        if made is None or not np.allclose(here, places[: len(here)], rtol=0, atol=1e-9):
            made, places = torch.from_numpy(weigh(here, width)), here
        answer.append(Strip(start, made[: len(here), :width]))
    return answer


def take_rows(along: list[Strip], image: Tensor) -> Tensor:
    """Image (..., n, w) read along its rows' axis -> (..., m, w)."""
    image, first = _continued(along, image, -2)
    answer = image.new_empty(*image.shape[:-2], _answers(along), image.shape[-1])
    done = 0
    for strip in along:
        part = image[..., strip.start - first : strip.stop - first, :]
        torch.matmul(
            strip.matrix.expand(*part.shape[:-2], -1, -1), part, out=answer[..., done : done + len(strip.matrix), :]
        )
        done += len(strip.matrix)
    return answer


def take_cols(along: list[Strip], image: Tensor) -> Tensor:
    """Image (..., h, n) read along its columns' axis -> (..., h, m)."""
    image, first = _continued(along, image, -1)
    return torch.cat([image[..., s.start - first : s.stop - first] @ s.matrix.T for s in along], dim=-1)


def give_back(rows: list[Strip], cols: list[Strip], image: Tensor, shape: tuple[int, int]) -> Tensor:
    """The other way round: what each sample gives to the answers, weighed with image (h, w) -> shape.

    sum(give_back(image) * samples) is sum(image * answers): so a sum over PAN's pixels costs no more than one over MS.
    """
    half, done = image.new_zeros(shape[0], image.shape[1]), 0
    for strip in rows:
        half[strip.start : strip.stop] += strip.matrix.T @ image[done : done + len(strip.matrix)]
        done += len(strip.matrix)
    answer, done = image.new_zeros(shape), 0
    for strip in cols:
        answer[:, strip.start : strip.stop] += half[:, done : done + len(strip.matrix)] @ strip.matrix
        done += len(strip.matrix)
    return answer


def _answers(along: list[Strip]) -> int:
    return sum(len(strip.matrix) for strip in along)


def _continued(along: list[Strip], image: Tensor, axis: int) -> tuple[Tensor, int]:
    """The image with its ends gone on as far as the strips want, and which sample is now its first."""
    n, first, stop = image.shape[axis], along[0].start, max(strip.stop for strip in along)
    if first >= 0 and stop <= n:
        return image, 0
    index = torch.arange(first, max(stop, first + 1), device=image.device).clamp(0, n - 1)
    return image.index_select(axis, index), first


def _scatter(weights: np.ndarray, taps: np.ndarray, n: int) -> np.ndarray:
    matrix = np.zeros((len(taps), n))
    rows = np.broadcast_to(np.arange(len(taps))[:, None], taps.shape)
    np.add.at(matrix, (rows, np.clip(taps, 0, n - 1).astype(np.intp)), weights)
    return matrix.astype(np.float32)


def _weight(d: np.ndarray, kernel: str) -> np.ndarray:
    if kernel == "cubic":
        return _cubic(np.abs(d))
    table = _twenty_three_tap()
    place = (np.abs(d) * _TABLE_STEPS).clip(max=len(table) - 1)
    return np.interp(place, np.arange(len(table)), table)


def _cubic(d: np.ndarray) -> np.ndarray:
    """Keys' cubic convolution, a = -1/2: what GDAL calls cubic."""
    near = 1 + d * d * (1.5 * d - 2.5)
    far = 2 + d * (-4 + d * (2.5 - 0.5 * d))
    return np.where(d < 1, near, np.where(d < 2, far, 0.0))


@functools.lru_cache(maxsize=1)
def _twenty_three_tap() -> np.ndarray:
    """The 23-tap filter of the field, continued to every phase, at 0, 1/1024, 2/1024 ... 11.

    The filter is the midpoint formula of Lagrange interpolation through 12 samples. Applying it again and again to its
    own answer (Deslauriers & Dubuc 1989) gives one function; the toolboxes stop after two rounds, at the quarters.
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
