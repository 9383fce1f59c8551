"""From what an engine answers to what a file holds, and the exact statistics of it, at the speed of memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

CACHED = 1 << 15
"pixels that stay in the processor's cache while something is done to them again and again"


def in_counts(pixels: np.ndarray, kind: np.dtype, nodata: float | None) -> np.ndarray:
    """Fused values (bands, h, w) as a file of that type holds them: rounded and within the type, nodata where NaN and
    nowhere else."""
    counts = np.empty(pixels.shape, kind)
    for band, answer in zip(pixels, counts):
        for rows in _strips(band.shape):
            (_as_floats if kind.kind == "f" else _as_integers)(band[rows], answer[rows], nodata)
    return counts


def _strips(shape: tuple[int, int]) -> Iterator[slice]:
    """An image's rows, as many at a time as stay in the cache."""
    step = max(CACHED // max(shape[1], 1), 1)
    return (slice(row, row + step) for row in range(0, shape[0], step))


def _as_integers(values: np.ndarray, counts: np.ndarray, nodata: float | None) -> None:
    info = np.iinfo(counts.dtype)
    least, most = info.min + (nodata == info.min), info.max - (nodata == info.max)
    exact = torch.float64 if counts.itemsize > 2 else torch.float32  # holds every count of the type
    # Torch, because numpy's clip and maximum take several times as long.
    whole = torch.from_numpy(values).to(exact).clamp(int(least), int(most)).round_().numpy()
    with np.errstate(invalid="ignore"):  # NaN has no count; it becomes nodata below
        np.copyto(counts, whole, casting="unsafe")
    if nodata is not None:
        if least <= nodata <= most:
            counts += counts == int(nodata)
        _mask(values, counts, nodata)


def _as_floats(values: np.ndarray, counts: np.ndarray, nodata: float | None) -> None:
    np.copyto(counts, values, casting="same_kind")
    if nodata is not None and not math.isnan(nodata):
        clash = counts == counts.dtype.type(nodata)
        counts[clash] = np.nextafter(counts[clash], counts.dtype.type(np.inf))
        _mask(values, counts, nodata)


def _mask(values: np.ndarray, counts: np.ndarray, nodata: float) -> None:
    masked = np.isnan(values)
    if masked.any():
        counts[masked] = nodata


@dataclass(frozen=True)
class Sums:
    """What one band's statistics are made of. Of blocks they add up; of integers up to 16 bits, exactly."""

    count: int = 0
    least: float = math.inf
    most: float = -math.inf
    total: float = 0
    squares: float = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.count + other.count,
            min(self.least, other.least),
            max(self.most, other.most),
            self.total + other.total,
            self.squares + other.squares,
        )

    @staticmethod
    def of(band: np.ndarray, nodata: float | None) -> Sums:
        """Of the valid pixels of a band (h, w)."""
        answer, number = Sums(), int if band.dtype.kind in "iu" else float  # Python's integers have no end
        for rows in _strips(band.shape):
            valid = _valid(band[rows], nodata)
            if valid.size:
                values = valid.astype(np.float64).ravel()
                sums = number(values.sum()), number(np.einsum("i,i", values, values))
                answer += Sums(valid.size, number(valid.min()), number(valid.max()), *sums)
        return answer

    @property
    def mean(self) -> float:
        return self.total / self.count

    @property
    def deviation(self) -> float:
        """From the mean, as all statistics of GDAL: of the pixels as they are, not as a sample of more."""
        if isinstance(self.total, int):  # no digit is lost where the mean is large and the deviation small
            return math.sqrt(self.count * self.squares - self.total**2) / self.count
        return math.sqrt(max(self.squares / self.count - self.mean**2, 0.0))


def _valid(values: np.ndarray, nodata: float | None) -> np.ndarray:
    if nodata is None and values.dtype.kind != "f":
        return values
    masked = np.isnan(values) if nodata is None or math.isnan(nodata) else values == values.dtype.type(nodata)
    return values[~masked] if masked.any() else values
