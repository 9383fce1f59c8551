"""Pixels without data: recognition of values that a raster does not declare as nodata, and filling from neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CODES = (-9999.0, -99999.0, -32767.0, -32768.0, -2147483648.0)
"values that programs write where there is no data"
HUGE = 1e15
"magnitude from which a finite value is fill: no count, radiance or reflectance reaches it"
MINIMUM_SHARE = 0.01
"minimum share of a raster that a border or block of one value has to count as fill"
MINIMUM_SAMPLES = 32
"minimum number of samples of such a border or block"
MAXIMUM_STRAY = 0.001
"largest share of a raster in which its fill occurs elsewhere, or in some bands only, for the border to be certain"
NEIGHBOURS = [(0, 1), (1, 0), (1, 2), (2, 1), (0, 0), (0, 2), (2, 0), (2, 2)]
"steps to the neighbours of a pixel, the nearer four first"


@dataclass(frozen=True)
class Fill:
    """A value that looks like fill."""

    value: float
    share: float
    "share of the raster that has it"
    certain: bool
    "whether it cannot be data"


def fill_mask(image: np.ndarray, value: float | None) -> np.ndarray | None:
    """Returns where an image has this value or one that is no data whatever the raster declares; None: nowhere.

    The mask is complete if a value is given, even if no pixel has it.
    """
    found = None if value is None else image == value
    if image.dtype.kind == "f":
        huge = (np.abs(image) >= HUGE) & np.isfinite(image)
        if huge.any():
            found = huge if found is None else found | huge
    return found


def find_fill(samples: np.ndarray) -> Fill | None:
    """Returns what looks like fill in evenly spaced samples of a raster (bands, rows, columns).

    Certain is a code for missing data far below all other values, a value beyond HUGE, and a border of zeros in all
    bands if zero hardly occurs elsewhere. Another border of one value in all bands, and a block of zeros or of the
    highest number, can be data.
    """
    same = (samples == samples[:1]).all(0)
    if same.all() and (samples[0] == samples[0, 0, 0]).all():
        return None  # no variation at all: there is nothing to tell fill from
    return _code(samples) or _border(samples, same) or _block(samples, same)


def _code(samples: np.ndarray) -> Fill | None:
    if samples.dtype.kind not in "if":
        return None
    huge = fill_mask(samples, None)
    found = np.isin(samples, CODES) if huge is None else np.isin(samples, CODES) | huge
    if not found.any():
        return None
    values, counts = np.unique(samples[found], return_counts=True)
    value, rest = float(values[counts.argmax()]), samples[~found & np.isfinite(samples)]
    if abs(value) < HUGE and rest.size and np.quantile(rest, 0.01) <= value / 2:
        return None
    return Fill(value, float((samples == value).any(0).mean()), True)


def _border(samples: np.ndarray, same: np.ndarray) -> Fill | None:
    edge = np.ones(same.shape, bool)
    edge[1:-1, 1:-1] = False
    values, counts = np.unique(samples[0][edge & same], return_counts=True)
    for value in dict.fromkeys([*values[values == 0], *values[counts.argsort()[:-2:-1]]]):
        filled = same & (samples[0] == value)
        border = _connected(filled & edge, filled)
        if not _is_large(border):
            continue
        elsewhere = (samples == value).any(0) & ~dilated(border)
        stray = elsewhere if len(samples) == 1 else elsewhere & ~filled
        return Fill(float(value), float(border.mean()), bool(value == 0 and stray.mean() <= MAXIMUM_STRAY))
    return None


def _block(samples: np.ndarray, same: np.ndarray) -> Fill | None:
    kind = samples.dtype
    for value in (0, *([np.iinfo(kind).max] if kind.kind in "iu" and len(samples) > 1 else [])):
        inner = ~dilated(~(same & (samples[0] == value)))
        if _is_large(inner):
            return Fill(float(value), float(inner.mean()), False)
    return None


def _is_large(mask: np.ndarray) -> bool:
    return mask.mean() >= MINIMUM_SHARE and mask.sum() >= MINIMUM_SAMPLES


def dilated(mask: np.ndarray) -> np.ndarray:
    """Returns a mask with its neighbours in the eight directions."""
    padded = np.pad(mask, 1)
    rows = padded[:-2] | padded[1:-1] | padded[2:]
    return rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]


def _connected(start: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns the part of a mask that is connected with `start`."""
    while True:
        grown = _along_rows(_along_rows(start, mask).T, mask.T).T
        if (grown == start).all():
            return grown
        start = grown


def _along_rows(start: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns the runs of a mask along its rows that contain a pixel of `start`."""
    rows, columns = mask.shape
    run = np.cumsum(~mask, axis=1) + np.arange(rows)[:, None] * (columns + 1)
    reached = np.zeros(rows * (columns + 1), bool)
    reached[run[start]] = True
    return mask & reached[run]


def fill_masked(image: np.ndarray, ok: np.ndarray, rounds: int, rest: Sequence[float] = (0.0,)) -> np.ndarray:
    """Returns an image (C, h, w) as float32 with masked pixels filled from pixels within `rounds` pixels, else `rest`.

    The valid pixels are extended by one pixel a round, copying a neighbour. A filled value depends only on the
    neighbourhood of `rounds` pixels, so that it is the same in every block. rest: a value for each channel, or one for
    all.
    """
    image = np.asarray(image, np.float32)
    if ok.all():
        return image
    image = np.where(ok, image, np.array(rest, np.float32)[:, None, None])
    known = np.pad(ok, 1)
    for _ in range(rounds):
        wide = known[:-2] | known[1:-1] | known[2:]
        rows, cols = np.nonzero((wide[:, :-2] | wide[:, 1:-1] | wide[:, 2:]) & ~known[1:-1, 1:-1])
        if not len(rows):
            break
        places = [(rows + r, cols + c) for r, c in NEIGHBOURS]
        which = np.argmax([known[place] for place in places], axis=0)  # the first valid neighbour
        down, right = np.array(NEIGHBOURS)[which].T - 1
        image[:, rows, cols] = image[:, rows + down, cols + right]
        known[rows + 1, cols + 1] = True
    return image
