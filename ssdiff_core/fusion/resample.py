"""Separable resampling of images on any device, with the matrices of domain.kernels.

These matrices are band matrices: `reader` and `blurrer` divide them into small dense ones along the diagonal.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..domain.kernels import BLUR_REACH, REACH, blur, interpolation, mtf_sigma
from ..model.devices import upload

STRIP = 8
"MS samples that a strip spans: fewer are slow, more have mostly zeros"
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Strip:
    """A part of a resampling matrix: neighbouring outputs along an axis, and the samples that they depend on."""

    start: int
    "index of the first sample; may be outside the axis, where the last sample is repeated"
    matrix: Tensor
    "(outputs, samples), or one for each image of a stack (images, outputs, samples)"

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return self.matrix.shape[-2]

    @property
    def stop(self) -> int:
        return self.start + self.matrix.shape[-1]


def reader(first: float, n: int, ratio: float, kernel: str, device=CPU) -> list[Strip]:
    """Returns the interpolation at n positions that are 1 / ratio apart, as strips."""
    return _strips(
        first, 1 / ratio, n, round(STRIP * ratio), REACH[kernel], functools.partial(_reading, kernel), device
    )


def blurrer(first: float, n: int, gains: Sequence[float], ratio: float, device=CPU, step: float = 0) -> list[Strip]:
    """Returns the blur of sensors with these MTF gains at n centres, as strips with one matrix for each sensor.

    step: distance between the centres; 0: the ratio.
    """
    reach = round(BLUR_REACH * ratio) + 1
    return _strips(first, step or ratio, n, STRIP, reach, functools.partial(_blurring, tuple(gains), ratio), device)


def _strips(first: float, step: float, n: int, side: int, reach: int, matrix_of: Callable, device) -> list[Strip]:
    """Returns strips of `side` outputs, which fit a processor's cache; a GPU gets a single strip.

    At a whole ratio all strips have the same matrix, so matrices are cached.
    """
    side, strips = max(side, 1) if device.type == "cpu" else n, []
    for done in range(0, n, side):
        at = first + done * step
        whole = math.floor(at + 1e-9)
        matrix = matrix_of(round(at - whole, 9), step, min(side, n - done))
        strips.append(Strip(whole - reach, upload(matrix, device)))
    return strips


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
    """Returns an image (..., n, w) resampled along rows (..., m, w); with several sensors, an image for each."""
    image, first = _continued(along, image, -2)
    return torch.cat([read(s.matrix, image[..., s.start - first : s.stop - first, :]) for s in along], dim=-2)


def take_cols(along: list[Strip], image: Tensor) -> Tensor:
    """Returns an image (..., h, n) resampled along columns (..., h, m)."""
    image, first = _continued(along, image, -1)
    return torch.cat([image[..., s.start - first : s.stop - first] @ s.matrix.mT for s in along], dim=-1)


def read(matrix: Tensor, part: Tensor) -> Tensor:
    """Returns matrix @ part. torch is slow at a matrix times a stack unless the matrix is expanded to a stack."""
    return (matrix if part.ndim == 2 else matrix.expand(*part.shape[:-2], -1, -1)) @ part


def transposed(rows: list[Strip], cols: list[Strip], image: Tensor, shape: tuple[int, int]) -> Tensor:
    """Returns the transposed resampling of an image (..., h, w), from outputs to samples (..., *shape).

    sum(transposed(image) * samples) equals sum(image * outputs), so that sums over PAN pixels can be taken over MS.
    """
    half, done = image.new_zeros(*image.shape[:-2], shape[0], image.shape[-1]), 0
    for strip in rows:
        half[..., strip.start : strip.stop, :] += read(strip.matrix.mT, image[..., done : done + strip.outputs, :])
        done += strip.outputs
    result, done = image.new_zeros(*image.shape[:-2], *shape), 0
    for strip in cols:
        result[..., strip.start : strip.stop] += half[..., done : done + strip.outputs] @ strip.matrix
        done += strip.outputs
    return result


def _continued(along: list[Strip], image: Tensor, axis: int) -> tuple[Tensor, int]:
    """Returns the image with its end samples repeated as far as the strips need, and the index of its first sample."""
    n, first, stop = image.shape[axis], along[0].start, max(strip.stop for strip in along)
    if first >= 0 and stop <= n:
        return image, 0
    index = torch.arange(first, max(stop, first + 1), device=image.device).clamp(0, n - 1)
    return image.index_select(axis, index), first
