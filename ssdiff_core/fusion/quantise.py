"""Conversion of fused values to the data type of a file, with exact sums of each band.

torch is several times faster than NumPy at these operations; rows are processed in strips that fit the processor's
cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from ..domain.block import Block
from ..domain.exact_sums import Sums
from ..domain.pixel_type import PixelType

STRIP_PIXELS = 1 << 18
"pixels of a strip: they fit the processor's cache together with the results"
SINGLE_THREAD_PIXELS = 30_000
"pixels up to which torch uses a single thread: starting several would take longer than the work"


class Quantising:
    """Base class of engines: converts the results of `fuse` and `fuse_with_spread` to the data type of a file."""

    def fuse_counts(
        self, block: Block, types: Sequence[PixelType], progress=None
    ) -> list[tuple[np.ndarray, tuple[Sums, ...]]]:
        """Fuses the core of a block; returns the pixels as files of these types hold them, and the sums of each band.

        types: pixel type of the image; a second one asks for the spread of the samples too.
        """
        images = self.fuse_with_spread(block, progress) if len(types) > 1 else [self.fuse(block, progress)]
        return [counted(block.cut_out(image), each) for image, each in zip(images, types)]


def counted(pixels: np.ndarray, pixel_type: PixelType) -> tuple[np.ndarray, tuple[Sums, ...]]:
    """Returns fused values (bands, h, w) in the data type of a file, and the sums of each band's valid pixels.

    Values are rounded and clipped to the range of the type. NaN becomes nodata, and no valid value equals nodata.
    """
    kind, nodata = pixel_type.dtype, pixel_type.nodata
    counts = np.empty(pixels.shape, kind)
    sums = []
    for band, target in zip(pixels, counts):
        total = Sums()
        for rows in _strips(band.shape):
            held = _held(torch.from_numpy(band[rows]), kind, nodata)
            strip = _sums(held, int if kind.kind in "iu" else float)
            if strip.count < held.numel():
                held = held.masked_fill(held.isnan(), _filler(kind, nodata))
            np.copyto(target[rows], held.numpy(), casting="unsafe")
            total += strip
        sums.append(total)
    return counts, tuple(sums)


def _strips(shape: tuple[int, int]) -> Iterator[slice]:
    step = max((STRIP_PIXELS if torch.get_num_threads() == 1 else SINGLE_THREAD_PIXELS) // max(shape[1], 1), 1)
    return (slice(row, row + step) for row in range(0, shape[0], step))


def _held(values: Tensor, kind: np.dtype, nodata: float | None) -> Tensor:
    """Returns the values rounded and clipped to the type, none equal to nodata; NaN is kept."""
    if kind.kind == "f":
        values = values.to(torch.float64 if kind.itemsize > 4 else torch.float32)
        clash = None if nodata is None or math.isnan(nodata) else values == nodata
        if clash is None or not clash.any():
            return values
        return torch.where(clash, values.nextafter(values.new_tensor(math.inf)), values)
    info = np.iinfo(kind)
    lowest, highest = int(info.min) + (nodata == info.min), int(info.max) - (nodata == info.max)
    exact = torch.float64 if kind.itemsize > 2 else torch.float32  # represents every value of the type exactly
    whole = values.to(exact).clamp(lowest, highest)
    np.rint(whole.numpy(), out=whole.numpy())  # torch would use several threads for this
    return whole if nodata is None or not lowest <= nodata <= highest else whole.add_(whole == nodata)


def _filler(kind: np.dtype, nodata: float | None) -> float:
    return nodata if nodata is not None else math.nan if kind.kind == "f" else 0


def _sums(held: Tensor, number: type) -> Sums:
    minimum, maximum = held.aminmax()
    if minimum.isnan():
        held = held[~held.isnan()]
        if not held.numel():
            return Sums()
        minimum, maximum = held.aminmax()
    values = held.double().flatten()
    each = minimum.item(), maximum.item(), values.sum().item(), values.square().sum().item()
    return Sums(held.numel(), *map(number, each))
