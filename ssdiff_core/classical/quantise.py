"""Conversion of fused values to the data type of a file, with exact sums of each band.

Rows are processed in strips that fit the processor's cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from ..domain.block import Block
from ..domain.exact_sums import Sums
from ..domain.pixel_type import PixelType
from .parallel import side_by_side

STRIP_PIXELS = 1 << 15
"pixels of a strip: they fit the processor's cache together with the results"


class Quantising:
    """Base class of engines: converts the results of `fuse` and `fuse_with_spread` to the data type of a file."""

    threads = 1
    "threads that convert the bands of a block"

    def fuse_counts(
        self, block: Block, types: Sequence[PixelType], progress=None
    ) -> list[tuple[np.ndarray, tuple[Sums, ...]]]:
        """Fuses the core of a block; returns the pixels as files of these types hold them, and the sums of each band.

        types: pixel type of the image; a second one asks for the spread of the samples too.
        """
        images = self.fuse_with_spread(block, progress) if len(types) > 1 else [self.fuse(block, progress)]
        return [counted(block.cut_out(image), each, self.threads) for image, each in zip(images, types)]


def counted(pixels: np.ndarray, pixel_type: PixelType, threads: int = 1) -> tuple[np.ndarray, tuple[Sums, ...]]:
    """Returns fused values (bands, h, w) in the data type of a file, and the sums of each band's valid pixels.

    Values are rounded and clipped to the range of the type, and to its minimum. NaN becomes nodata, and no valid value
    equals nodata.
    """
    counts = np.empty(pixels.shape, pixel_type.dtype)
    run = map if threads == 1 else partial(side_by_side, workers=threads, release=False)
    return counts, tuple(run(lambda band: _count(*band, pixel_type), zip(pixels, counts)))


def _count(band: np.ndarray, target: np.ndarray, pixel_type: PixelType) -> Sums:
    """Writes a band in the data type of `target` into it; returns the sums of its valid pixels."""
    kind, nodata, total = target.dtype, pixel_type.nodata, Sums()
    whole = np.float64 if kind.itemsize > 2 else np.float32  # represents every value of an integer type exactly
    buffers = np.empty(STRIP_PIXELS + band.shape[1], whole), np.empty(STRIP_PIXELS + band.shape[1])
    with np.errstate(invalid="ignore", over="ignore"):
        for rows in _strips(band.shape):
            held = _held(band[rows], pixel_type, buffers[0])
            strip = _sums(held, int if kind.kind in "iu" else float, buffers[1])
            if strip.count < held.size:
                held = np.where(np.isnan(held), held.dtype.type(_filler(kind, nodata)), held)
            np.copyto(target[rows], held, casting="unsafe")
            total += strip
    return total


def _strips(shape: tuple[int, int]) -> Iterator[slice]:
    step = max(STRIP_PIXELS // max(shape[1], 1), 1)
    return (slice(row, row + step) for row in range(0, shape[0], step))


def _held(values: np.ndarray, pixel_type: PixelType, buffer: np.ndarray) -> np.ndarray:
    """Returns the values rounded and clipped to the type, none equal to nodata; NaN is kept.

    buffer: memory for the result; new memory costs more time than the operations.
    """
    kind, nodata, minimum = pixel_type.dtype, pixel_type.nodata, pixel_type.minimum
    if kind.kind == "f":
        values = values.astype(np.float64 if kind.itemsize > 4 else np.float32, copy=False)
        if minimum is not None:
            values = np.maximum(values, values.dtype.type(minimum))
        clash = None if nodata is None or math.isnan(nodata) else values == values.dtype.type(nodata)
        if clash is None or not clash.any():
            return values
        return np.where(clash, np.nextafter(values, values.dtype.type(math.inf)), values)
    info = np.iinfo(kind)
    least = info.min if minimum is None else max(math.ceil(minimum), info.min)
    lowest, highest = int(least) + (nodata == least), int(info.max) - (nodata == info.max)
    whole, exact = buffer[: values.size].reshape(values.shape), buffer.dtype.type
    np.maximum(values, exact(lowest), out=whole)
    np.minimum(whole, exact(highest), out=whole)
    np.rint(whole, out=whole)
    if nodata is not None and lowest <= nodata <= highest:
        whole += whole == nodata
    return whole


def _filler(kind: np.dtype, nodata: float | None) -> float:
    return nodata if nodata is not None else math.nan if kind.kind == "f" else 0


def _sums(held: np.ndarray, number: type, buffer: np.ndarray) -> Sums:
    minimum, maximum = held.min(), held.max()
    if np.isnan(minimum):
        held = held[~np.isnan(held)]
        if not held.size:
            return Sums()
        minimum, maximum = held.min(), held.max()
    values = buffer[: held.size]
    values[:] = held.ravel()
    return Sums(held.size, *map(number, (minimum, maximum, values.sum(), values @ values)))
