"""From what an engine answers to what a file holds, with exact statistics, at the speed of memory.

Torch does the sweeps, because numpy's take several times as long; all that is done to some rows is done while they are
in the processor's cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from ..domain.block import Block
from ..domain.exact_sums import Sums

CACHED = 1 << 18
"pixels that stay in the processor's cache with what is made of them"
ALONE = 30_000
"pixels up to which torch does not share a sweep out to several threads, which take longer to meet than to sweep"


class Quantising:
    """Base class of engines: turns what `fuse` and `fuse_with_spread` return into the numbers that a file holds."""

    def fuse_counts(
        self, block: Block, kinds: Sequence[tuple[np.dtype, float | None]], progress=None
    ) -> list[tuple[np.ndarray, tuple[Sums, ...]]]:
        """Fuses the core of a block; returns the pixels as files of these types hold them, and the sums of each band.

        kinds: data type and nodata value of the image; a second pair asks for the spread of the samples too.
        """
        images = self.fuse_with_spread(block, progress) if len(kinds) > 1 else [self.fuse(block, progress)]
        return [counted(block.cut_out(image), *kind) for image, kind in zip(images, kinds)]


def counted(pixels: np.ndarray, kind: np.dtype, nodata: float | None) -> tuple[np.ndarray, tuple[Sums, ...]]:
    """Fused values (bands, h, w) as a file of that type holds them: rounded and within the type, nodata where NaN and
    nowhere else. And the sums of each band's valid pixels."""
    counts = np.empty(pixels.shape, kind)
    sums = []
    for band, answer in zip(pixels, counts):
        here = Sums()
        for rows in _strips(band.shape):
            held = _held(torch.from_numpy(band[rows]), kind, nodata)
            strip = _sums(held, int if kind.kind in "iu" else float)
            if strip.count < held.numel():
                held = held.masked_fill(held.isnan(), _filler(kind, nodata))
            np.copyto(answer[rows], held.numpy(), casting="unsafe")
            here += strip
        sums.append(here)
    return counts, tuple(sums)


def _strips(shape: tuple[int, int]) -> Iterator[slice]:
    step = max((CACHED if torch.get_num_threads() == 1 else ALONE) // max(shape[1], 1), 1)
    return (slice(row, row + step) for row in range(0, shape[0], step))


def _held(values: Tensor, kind: np.dtype, nodata: float | None) -> Tensor:
    """The values as the type holds them, clear of nodata; NaN stays."""
    if kind.kind == "f":
        values = values.to(torch.float64 if kind.itemsize > 4 else torch.float32)
        clash = None if nodata is None or math.isnan(nodata) else values == nodata
        if clash is None or not clash.any():
            return values
        return torch.where(clash, values.nextafter(values.new_tensor(math.inf)), values)
    info = np.iinfo(kind)
    least, most = int(info.min) + (nodata == info.min), int(info.max) - (nodata == info.max)
    exact = torch.float64 if kind.itemsize > 2 else torch.float32  # knows every count of the type
    whole = values.to(exact).clamp(least, most)
    np.rint(whole.numpy(), out=whole.numpy())  # torch would share even this out to its threads
    return whole if nodata is None or not least <= nodata <= most else whole.add_(whole == nodata)


def _filler(kind: np.dtype, nodata: float | None) -> float:
    return nodata if nodata is not None else math.nan if kind.kind == "f" else 0


def _sums(held: Tensor, number: type) -> Sums:
    least, most = held.aminmax()
    if least.isnan():
        held = held[~held.isnan()]
        if not held.numel():
            return Sums()
        least, most = held.aminmax()
    values = held.double().flatten()
    each = least.item(), most.item(), values.sum().item(), values.square().sum().item()
    return Sums(held.numel(), *map(number, each))
