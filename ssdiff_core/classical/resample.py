"""Separable resampling of images, arrays of NumPy or tensors of torch, with the matrices of domain.kernels.

These matrices are band matrices: `reader` and `blurrer` divide them into small dense ones along the diagonal.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..domain.kernels import BLUR_REACH, REACH, blur, interpolation, mtf_sigma
from .arrays import Array, Convert, continued, namespace

STRIP = 8
"MS samples that a strip spans: fewer are slow, more have mostly zeros"


@dataclass(frozen=True)
class Strip:
    """A part of a resampling matrix: neighbouring outputs along an axis, and the samples that they depend on."""

    start: int
    "index of the first sample; may be outside the axis, where the last sample is repeated"
    matrix: Array
    "(outputs, samples), or one for each image of a stack (images, outputs, samples)"

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return self.matrix.shape[-2]

    @property
    def stop(self) -> int:
        return self.start + self.matrix.shape[-1]


def reader(
    first: float, n: int, ratio: float, kernel: str, convert: Convert = np.asarray, side: int | None = None
) -> list[Strip]:
    """Returns the interpolation at n positions that are 1 / ratio apart, as strips that span `side` samples."""
    matrix_of = functools.partial(_reading, kernel)
    return _strips(first, 1 / ratio, n, round((side or STRIP) * ratio), REACH[kernel], matrix_of, convert)


def blurrer(
    first: float,
    n: int,
    gains: Sequence[float],
    ratio: float,
    convert: Convert = np.asarray,
    step: float = 0,
    side: int | None = None,
) -> list[Strip]:
    """Returns the blur of sensors with these MTF gains at n centres, as strips with one matrix for each sensor.

    step: distance between the centres; 0: the ratio. side: centres of a strip.
    """
    reach, matrix_of = round(BLUR_REACH * ratio) + 1, functools.partial(_blurring, tuple(gains), ratio)
    return _strips(first, step or ratio, n, side or STRIP, reach, matrix_of, convert)


def _strips(
    first: float, step: float, n: int, side: int, reach: int, matrix_of: Callable, convert: Convert
) -> list[Strip]:
    """Returns strips of `side` outputs, which fit a processor's cache.

    At a whole ratio all strips have the same matrix, so matrices are cached, and converted once.
    """
    side, strips, converted = max(side, 1), [], {}
    for done in range(0, n, side):
        at = first + done * step
        whole = math.floor(at + 1e-9)
        key = round(at - whole, 9), step, min(side, n - done)
        if key not in converted:
            converted[key] = convert(matrix_of(*key))
        strips.append(Strip(whole - reach, converted[key]))
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


def overlapping(along: list[Strip], span: slice) -> tuple[list[Strip], slice]:
    """Returns the strips that have an output in a span of all outputs, and that span within their outputs."""
    ends = np.cumsum([strip.outputs for strip in along])
    first, stop, _ = span.indices(int(ends[-1]))
    kept = range(int(np.searchsorted(ends, first, "right")), int(np.searchsorted(ends, stop)) + 1)
    before = int(ends[kept[0]]) - along[kept[0]].outputs
    return [along[k] for k in kept], slice(first - before, stop - before)


def take_rows(along: list[Strip], image: Array) -> Array:
    """Returns an image (..., n, w) resampled along rows (..., m, w); with several sensors, an image for each."""
    return _joined([(strip.matrix, _part(image, strip, -2)) for strip in along], -2)


def take_cols(along: list[Strip], image: Array) -> Array:
    """Returns an image (..., h, n) resampled along columns (..., h, m)."""
    if along[0].matrix.ndim == 2:  # one product for all images of a stack
        flat = image.reshape(-1, image.shape[-1])
        parts = [(_part(flat, strip, -1), strip.matrix.T) for strip in along]
        return _joined(parts, -1).reshape(*image.shape[:-1], -1)
    return _joined([(_part(image, strip, -1), strip.matrix.swapaxes(-1, -2)) for strip in along], -1)


def _part(image: Array, strip: Strip, axis: int) -> Array:
    """Returns the samples that a strip depends on; beyond the image its end samples are repeated."""
    if strip.start < 0 or strip.stop > image.shape[axis]:
        return continued(image, strip.start, strip.stop, axis)
    span = slice(strip.start, strip.stop)
    return image[..., span, :] if axis == -2 else image[..., span]


def _joined(products: list[tuple[Array, Array]], axis: int) -> Array:
    """Returns the products of pairs of matrices, or of stacks of them, one after the other along an axis."""
    left, right = products[0]
    if len(products) == 1:
        return read(left, right)
    xp, lead = namespace(left), np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    sizes = [pair[axis == -1].shape[axis] for pair in products]
    shape = (sum(sizes), right.shape[-1]) if axis == -2 else (left.shape[-2], sum(sizes))
    joined, done = xp.empty((*lead, *shape), dtype=xp.float32), 0
    for pair, size in zip(products, sizes):
        part = slice(done, done + size)
        xp.matmul(*_stacked(lead, *pair), out=joined[..., part, :] if axis == -2 else joined[..., part])
        done += size
    return joined


def read(matrix: Array, part: Array) -> Array:
    """Returns matrix @ part."""
    return namespace(part).matmul(*_stacked(np.broadcast_shapes(matrix.shape[:-2], part.shape[:-2]), matrix, part))


def _stacked(lead: tuple[int, ...], *factors: Array) -> Iterator[Array]:
    """Yields factors as stacks of this shape; torch is slow at a matrix times a stack, NumPy repeats it itself."""
    for factor in factors:
        yield factor if isinstance(factor, np.ndarray) else factor.expand(*lead, *factor.shape[-2:])


def transposed(rows: list[Strip], cols: list[Strip], image: Array, shape: tuple[int, int]) -> Array:
    """Returns the transposed resampling of an image (..., h, w), from outputs to samples (..., *shape).

    sum(transposed(image) * samples) equals sum(image * outputs), so that sums over PAN pixels can be taken over MS.
    """
    zeros = namespace(image).zeros
    half, done = zeros((*image.shape[:-2], shape[0], image.shape[-1]), dtype=image.dtype), 0
    for strip in rows:
        part = image[..., done : done + strip.outputs, :]
        half[..., strip.start : strip.stop, :] += read(strip.matrix.swapaxes(-1, -2), part)
        done += strip.outputs
    result, done = zeros((*image.shape[:-2], *shape), dtype=image.dtype), 0
    for strip in cols:
        result[..., strip.start : strip.stop] += half[..., done : done + strip.outputs] @ strip.matrix
        done += strip.outputs
    return result
