"""Sampling along one axis, written as matrices: interpolation from MS to PAN at any phase, and the sensor's blur.

A raster axis is a set of samples at the integers 0 .. n-1. `interpolation(at, n)` answers the matrix that reads it at
the positions `at`; beyond its ends the last sample goes on. Rows and columns are separate, so an image becomes
L @ image @ R.T, on any device. Whole positions give back the samples themselves.

Those matrices are nearly all zeros: `reader` and `blurrer` cut them into the small full ones along the diagonal.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .devices import upload

KERNELS = ("cubic", "23tap")
REACH = {"cubic": 2, "23tap": 11}  # samples on each side that a value depends on
BLUR_REACH = 5  # of the MTF's Gaussian, in MS pixels; the toolboxes cut at 41 taps for ratio 4
STRIP = 8  # MS samples that a strip spans: fewer are too little work at once, more are mostly zeros
CPU = torch.device("cpu")
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
    "(answers, samples), or one for each image of a stack (images, answers, samples)"

    @property
    def answers(self) -> int:
        return self.matrix.shape[-2]

    @property
    def stop(self) -> int:
        return self.start + self.matrix.shape[-1]


def reader(first: float, n: int, ratio: float, kernel: str, device=CPU) -> list[Strip]:
    """The interpolation at n positions 1 / ratio apart."""
    return _strips(
        first, 1 / ratio, n, round(STRIP * ratio), REACH[kernel], functools.partial(_reading, kernel), device
    )


def blurrer(first: float, n: int, gains: Sequence[float], ratio: float, device=CPU, step: float = 0) -> list[Strip]:
    """The blur of sensors of those MTF, a stack of answers, at n centres, a ratio apart unless step says otherwise."""
    reach = round(BLUR_REACH * ratio) + 1
    return _strips(first, step or ratio, n, STRIP, reach, functools.partial(_blurring, tuple(gains), ratio), device)


def _strips(first: float, step: float, n: int, side: int, reach: int, made: Callable, device) -> list[Strip]:
    """An axis without ends, `side` answers at a time: in the processor's cache. A GPU is better off with one strip.

    At a whole ratio every strip is the first one over again, so those are kept.
    """
    side, answer = max(side, 1) if device.type == "cpu" else n, []
    for done in range(0, n, side):
        at = first + done * step
        whole = math.floor(at + 1e-9)
        matrix = made(round(at - whole, 9), step, min(side, n - done))
        answer.append(Strip(whole - reach, upload(matrix, device)))
    return answer


@functools.lru_cache(maxsize=256)
def _reading(kernel: str, phase: float, step: float, n: int) -> np.ndarray:
    at = REACH[kernel] + phase + np.arange(n) * step
    return interpolation(at, math.ceil(at[-1] - 1e-9) + REACH[kernel] + 1, kernel)


@functools.lru_cache(maxsize=256)
def _blurring(gains: tuple[float, ...], ratio: float, phase: float, step: float, n: int) -> np.ndarray:
    reach = round(BLUR_REACH * ratio)
    at = reach + 1 + phase + np.arange(n) * step
    width = math.ceil(at[-1] - 1e-9) + reach + 2
    return np.stack([blur(at, width, mtf_sigma(gain, ratio), reach) for gain in gains])


def take_rows(along: list[Strip], image: Tensor) -> Tensor:
    """Image (..., n, w) read along its rows' axis -> (..., m, w); a stack of blurs makes a stack of one image."""
    image, first = _continued(along, image, -2)
    return torch.cat([read(s.matrix, image[..., s.start - first : s.stop - first, :]) for s in along], dim=-2)


def take_cols(along: list[Strip], image: Tensor) -> Tensor:
    """Image (..., h, n) read along its columns' axis -> (..., h, m)."""
    image, first = _continued(along, image, -1)
    return torch.cat([image[..., s.start - first : s.stop - first] @ s.matrix.mT for s in along], dim=-1)


def read(matrix: Tensor, part: Tensor) -> Tensor:
    """matrix @ part, which is slow where a matrix meets a stack, unless it is said to be one too."""
    return (matrix if part.ndim == 2 else matrix.expand(*part.shape[:-2], -1, -1)) @ part


def give_back(rows: list[Strip], cols: list[Strip], image: Tensor, shape: tuple[int, int]) -> Tensor:
    """The other way round: what each sample gives to the answers, weighed with image (..., h, w) -> (..., *shape).

    sum(give_back(image) * samples) is sum(image * answers): so a sum over PAN's pixels costs no more than one over MS.
    """
    half, done = image.new_zeros(*image.shape[:-2], shape[0], image.shape[-1]), 0
    for strip in rows:
        half[..., strip.start : strip.stop, :] += read(strip.matrix.mT, image[..., done : done + strip.answers, :])
        done += strip.answers
    answer, done = image.new_zeros(*image.shape[:-2], *shape), 0
    for strip in cols:
        answer[..., strip.start : strip.stop] += half[..., done : done + strip.answers] @ strip.matrix
        done += strip.answers
    return answer


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
        return cubic(np.abs(d))
    table = _twenty_three_tap()
    place = (np.abs(d) * _TABLE_STEPS).clip(max=len(table) - 1)
    return np.interp(place, np.arange(len(table)), table)


def cubic(d: np.ndarray) -> np.ndarray:
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
