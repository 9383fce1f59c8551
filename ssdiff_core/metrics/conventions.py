"""Two conventions for the position of MS on PAN and the blur of its sensor: toolbox and geometric.

The MATLAB toolboxes support ratios that are powers of 2, put MS sample i at PAN pixel r i + r / 2, half a pixel off its
centre, and blur with 41 taps. Published values use this convention; the geometric one follows the georeferencing.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from ..classical.resample import Strip
from ..common.errors import ConfigError
from ..common.notices import notice
from ..domain.kernels import BLUR_REACH, blur, cubic, mtf_sigma

TAPS = 41  # length of the toolboxes' MTF filter
TOLERANCE = 1e-3  # deviation of files from an integer ratio or pixel position
STRIP_LENGTH = 64  # output positions of one strip of a filter


Point = tuple[float, float]  # row and column of PAN


class Geometric:
    """MS at its georeferenced position; the blur is a Gaussian with the given gain at the MS Nyquist frequency."""

    name = "geometric"
    rim = False
    "whether local correlation is computed with zeros beyond the scene"

    def place(self, at: Point, ratio: float) -> tuple[Point, float]:
        """Returns the position of the first MS sample and the ratio in this convention."""
        return at, ratio

    def pan_at(self, centres: np.ndarray) -> np.ndarray:
        """Returns the positions at which PAN is sampled for MS samples at `centres`."""
        return centres

    def shifts(self, ratio: float) -> np.ndarray:
        """Returns the candidate shifts of MS along an axis, in PAN pixels."""
        return np.arange(-round(ratio / 2), round(ratio / 2) + 1.0)

    def reach(self, ratio: float) -> int:
        """Returns the radius of the blur in PAN pixels."""
        return round(BLUR_REACH * ratio) + 1

    def blur(self, at: np.ndarray, gain: float, ratio: float) -> list[Strip]:
        """Returns the filter that computes the blurred image at positions `at` of an axis."""
        reach = self.reach(ratio)
        return strips(at, reach, lambda at, n: blur(at, n, mtf_sigma(gain, ratio), reach - 1), STRIP_LENGTH)


class Toolbox(Geometric):
    """The convention of the MATLAB toolboxes."""

    name = "toolbox"
    rim = True

    def place(self, at: Point, ratio: float) -> tuple[Point, float]:
        """Returns positions such that each sample covers the r by r pixels whose centre is nearest to it."""
        whole = round(ratio)
        if whole not in (2, 4, 8, 16) or abs(ratio - whole) > TOLERANCE * whole:
            raise ConfigError(notice("toolbox_ratio", ratio=ratio))
        row, col = (math.floor(a - (whole - 1) / 2 + 0.5 - TOLERANCE) + whole / 2 for a in at)
        return (row, col), float(whole)

    def pan_at(self, centres: np.ndarray) -> np.ndarray:
        """Returns the centres of those pixels: only MS is offset by half a pixel."""
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

        return strips(at, self.reach(ratio), weigh, STRIP_LENGTH)


CONVENTIONS = {convention.name: convention for convention in (Toolbox(), Geometric())}


def convention(name: str) -> Geometric:
    """Returns the convention with this name; raises ConfigError for other names."""
    if name not in CONVENTIONS:
        raise ConfigError(f"unknown convention '{name}': choose {' or '.join(CONVENTIONS)}")
    return CONVENTIONS[name]


@functools.cache
def toolbox_taps(gain: float, ratio: float) -> np.ndarray:
    """Returns one axis of the toolboxes' MTF filter: a Gaussian sampled at 41 frequencies, with a circular window.

    Three properties are kept: it is not normalised (constants become 0.9987 for a gain of 0.3 at ratio 4), it has the
    given gain at 40/41 of the MS Nyquist frequency (0.282 at that frequency itself), and it is not separable. This is
    the best separable approximation, which differs from it by 1e-5 of the sum.
    """
    if not 0 < gain < 1:
        raise ConfigError(f"an MTF gain must be between 0 and 1, not {gain}")
    n = np.arange(TAPS) - TAPS // 2
    target = np.exp((n[:, None] ** 2 + n**2) * math.log(gain) / ((TAPS - 1) / (2 * ratio)) ** 2)
    kernel = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(target))).real
    radius = np.hypot(n[:, None], n)
    kernel *= np.interp(radius, n, np.kaiser(TAPS, 0.5), right=0)
    left, size, _ = np.linalg.svd(kernel)
    return np.abs(left[:, 0].sum()) / left[:, 0].sum() * left[:, 0] * math.sqrt(size[0])


def downsampling_filter(at: np.ndarray, ratio: float) -> list[Strip]:
    """Returns the filter that reduces an image by the ratio at positions `at`: cubic, widened to prevent aliasing."""
    reach = math.ceil(2 * ratio)

    def weigh(at: np.ndarray, n: int) -> np.ndarray:
        weights = cubic(np.abs(np.arange(n) - at[:, None]) / ratio)
        return (weights / weights.sum(1, keepdims=True)).astype(np.float32)

    return strips(at, reach, weigh, STRIP_LENGTH)


def strips(at: np.ndarray, reach: int, weigh: Callable[[np.ndarray, int], np.ndarray], side: int) -> list[Strip]:
    """Returns the matrix weigh(at, n) for increasing positions on an unbounded axis, in strips of `side` positions.

    At an integer ratio all strips are equal and the weights are computed once.
    """
    weights, offsets, result = None, None, []
    for first in range(0, len(at), side):
        part = at[first : first + side]
        start = math.floor(part[0] + 1e-9) - reach
        positions = part - start
        width = math.ceil(positions[-1] - 1e-9) + reach + 1
        if weights is None or not np.allclose(positions, offsets[: len(positions)], rtol=0, atol=1e-9):
            weights, offsets = weigh(positions, width), positions
        result.append(Strip(start, weights[: len(positions), :width]))
    return result
