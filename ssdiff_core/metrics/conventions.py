"""Two readings of how MS lies on PAN and what its sensor sees: the field's toolboxes', and the one the geometry gives.

The toolboxes take ratios that are powers of 2, put MS sample i at PAN pixel r i + r / 2, which is half a pixel beside
its centre, and blur by 41 taps. Published figures are in their convention; a scene's true ones are geometric.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import torch

from ..common.errors import ConfigError
from ..domain.kernels import BLUR_REACH, blur, cubic, mtf_sigma
from ..fusion.resample import Strip

TAPS = 41  # of the toolboxes' MTF filter
NEARLY = 1e-3  # what files may be off a whole ratio or pixel
SIDE = 64  # answers that one strip of a filter makes


Point = tuple[float, float]  # row and column of PAN


class Geometric:
    """MS where it truly lies; the sensor's blur a Gaussian with the MTF's gain at the MS Nyquist frequency."""

    name = "geometric"
    rim = False
    "whether local correlation goes on with zeros beyond the scene"

    def place(self, at: Point, ratio: float) -> tuple[Point, float]:
        """Where the first MS sample is taken to lie, and how many PAN pixels a sample is."""
        return at, ratio

    def pan_at(self, centres: np.ndarray) -> np.ndarray:
        """Where PAN is read for what it holds at MS samples."""
        return centres

    def shifts(self, ratio: float) -> np.ndarray:
        """PAN pixels along an axis by which MS may lie beside its place, to be tried."""
        return np.arange(-round(ratio / 2), round(ratio / 2) + 1.0)

    def reach(self, ratio: float) -> int:
        """PAN pixels that the blur sees on each side."""
        return round(BLUR_REACH * ratio) + 1

    def blur(self, at: np.ndarray, gain: float, ratio: float) -> list[Strip]:
        """The image at positions `at` of an axis, as the sensor sees it."""
        reach = self.reach(ratio)
        return strips(at, reach, lambda at, n: blur(at, n, mtf_sigma(gain, ratio), reach - 1), SIDE)


class Toolbox(Geometric):
    name = "toolbox"
    rim = True

    def place(self, at: Point, ratio: float) -> tuple[Point, float]:
        """Each sample lies over the r by r pixels whose middle is nearest to it."""
        whole = round(ratio)
        if whole not in (2, 4, 8, 16) or abs(ratio - whole) > NEARLY * whole:
            raise ConfigError(f"the toolboxes know no ratio of {ratio:g}: take the geometric convention")
        row, col = (math.floor(a - (whole - 1) / 2 + 0.5 - NEARLY) + whole / 2 for a in at)
        return (row, col), float(whole)

    def pan_at(self, centres: np.ndarray) -> np.ndarray:
        "In the middle of those pixels: MS is read half a pixel off, PAN is not."
        return centres - 0.5

    def shifts(self, ratio: float) -> np.ndarray:
        return np.arange(-ratio / 2, ratio / 2)

    def reach(self, ratio: float) -> int:
        return TAPS // 2

    def blur(self, at: np.ndarray, gain: float, ratio: float) -> list[Strip]:
        taps = toolbox_taps(gain, ratio)
        place = np.arange(TAPS) - TAPS // 2

        def weigh(at: np.ndarray, n: int) -> np.ndarray:
            return np.interp(np.arange(n) - at[:, None], place, taps, 0, 0).astype(np.float32)

        return strips(at, self.reach(ratio), weigh, SIDE)


CONVENTIONS = {convention.name: convention for convention in (Toolbox(), Geometric())}


def convention(name: str) -> Geometric:
    if name not in CONVENTIONS:
        raise ConfigError(f"there is no convention '{name}'; there are {' and '.join(CONVENTIONS)}")
    return CONVENTIONS[name]


@functools.cache
def toolbox_taps(gain: float, ratio: float) -> np.ndarray:
    """One axis of the toolboxes' filter: a Gaussian sampled at 41 frequencies, its transform under a round window.

    Three traits of it are kept. It is not normalised: constants come out at 0.9987 for a gain of 0.3 at ratio 4. It has
    that gain at 40/41 of the MS Nyquist frequency, and at that frequency itself 0.282. And it is no product of two
    axes: the best such product, which this is, differs from it by 1e-5 of the whole.
    """
    if not 0 < gain < 1:
        raise ConfigError(f"an MTF is between 0 and 1; this was given: {gain}")
    n = np.arange(TAPS) - TAPS // 2
    wanted = np.exp((n[:, None] ** 2 + n**2) * math.log(gain) / ((TAPS - 1) / (2 * ratio)) ** 2)
    kernel = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(wanted))).real
    radius = np.hypot(n[:, None], n)
    kernel *= np.interp(radius, n, np.kaiser(TAPS, 0.5), right=0)
    left, size, _ = np.linalg.svd(kernel)
    return np.abs(left[:, 0].sum()) / left[:, 0].sum() * left[:, 0] * math.sqrt(size[0])


def shrinker(at: np.ndarray, ratio: float) -> list[Strip]:
    """The image at positions `at`, 1 / ratio as fine: cubic, widened so that nothing folds over."""
    reach = math.ceil(2 * ratio)

    def weigh(at: np.ndarray, n: int) -> np.ndarray:
        weights = cubic(np.abs(np.arange(n) - at[:, None]) / ratio)
        return (weights / weights.sum(1, keepdims=True)).astype(np.float32)

    return strips(at, reach, weigh, SIDE)


def strips(at: np.ndarray, reach: int, weigh: Callable[[np.ndarray, int], np.ndarray], side: int) -> list[Strip]:
    """The matrix weigh(at, n) for any rising positions on an axis without ends, `side` answers at a time.

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
