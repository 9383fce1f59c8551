"""Similarity of two images in squares of 32 x 32 pixels: universal quality index, and Q2n for any number of bands.

Q2n treats the bands of a pixel as the components of a hypercomplex number (Garzelli & Nencini, GRSL 2009). The product
of two such numbers is bilinear, so the hypercomplex covariance of a square follows from the covariances of its bands.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

SIDE = 32
TINY = np.finfo(np.float64).eps
SMALLEST = 1e-300  # smallest divisor
FLAT = 1e-12  # maximum variance of a constant square, relative to the squared mean: rounding errors


# --- squares ---------------------------------------------------------------------------------------------------------


def squares(image: np.ndarray) -> np.ndarray:
    """Returns an image (n, h, w) as squares (squares, n, pixels), mirrored at the end to a multiple of 32."""
    rows, cols = (_mirrored(size) for size in image.shape[-2:])
    if rows is not None or cols is not None:
        every = slice(None)
        image = image[:, every if rows is None else rows][..., every if cols is None else cols]
    n, (high, wide) = len(image), (size // SIDE for size in image.shape[-2:])
    cut = image.reshape(n, high, SIDE, wide, SIDE).transpose(1, 3, 0, 2, 4)
    return cut.reshape(high * wide, n, SIDE * SIDE)


def whole_squares(ok: np.ndarray) -> np.ndarray:
    """Returns which squares have no masked pixel (squares,)."""
    return squares(ok[None]).all(-1)[:, 0]


def _mirrored(size: int) -> np.ndarray | None:
    """Returns indices mirrored at the end to a multiple of 32; None if the size is one."""
    if size % SIDE == 0:
        return None
    index = np.arange(-(-size // SIDE) * SIDE) % (2 * size)
    return np.minimum(index, 2 * size - 1 - index)


@dataclass(frozen=True)
class SquareMoments:
    """Means (squares, n) and population covariances (squares, n, n) of the pixels of each square."""

    mean: np.ndarray
    cov: np.ndarray

    @staticmethod
    def of(image: np.ndarray, ok: np.ndarray | None = None) -> SquareMoments:
        """Returns the moments of an image (n, h, w), without squares that have pixels not in the mask ok."""
        pixels = squares(image).astype(np.float64)
        if ok is not None:
            pixels = pixels[whole_squares(ok)]
        mean = pixels.mean(-1)
        pixels -= mean[..., None]
        return SquareMoments(mean, pixels @ pixels.swapaxes(-1, -2) / pixels.shape[-1])

    @property
    def variances(self) -> np.ndarray:
        """Variances of each square (squares, n)."""
        return self.cov.diagonal(axis1=1, axis2=2)


# --- the universal quality index -------------------------------------------------------------------------------------


def uqi(mean_x: np.ndarray, mean_y: np.ndarray, var_x: np.ndarray, var_y: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Returns the index of Wang & Bovik (SPL 2002). For constant squares only the means are compared; 0 equals 0."""
    level, spread = mean_x**2 + mean_y**2, var_x + var_y
    means = np.where(level > 0, 2 * mean_x * mean_y / np.maximum(level, SMALLEST), 1.0)
    return np.where(spread > FLAT * level, means * 2 * cov / np.maximum(spread, SMALLEST), means)


def uqi_matrix(moments: SquareMoments) -> np.ndarray:
    """Returns the index between all pairs of bands (squares, n, n)."""
    mean, var = moments.mean, moments.variances
    return uqi(mean[:, :, None], mean[:, None], var[:, :, None], var[:, None], moments.cov)


# --- Q2n -------------------------------------------------------------------------------------------------------------


@functools.cache
def multiplication_table(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the multiplication table of Cayley-Dickson numbers: unit i times unit j is sign[i, j] times part[i, j].

    Pairs of halves multiply as (a, b) (c, d) = (a c - d* b, d a + b c*): complex numbers, quaternions, octonions ...
    """
    if n == 1:
        return np.ones((1, 1)), np.zeros((1, 1), int)
    half = n // 2
    sign, part = multiplication_table(half)
    conjugate = np.append(1, -np.ones(half - 1))
    sign = np.block([[sign, sign.T], [sign * conjugate, -(sign * conjugate[:, None]).T]])
    return sign, np.block([[part, part.T + half], [part + half, part.T]])


def q2n(reference: np.ndarray, image: np.ndarray, ok: np.ndarray | None = None) -> np.ndarray:
    """Returns Q2n of each square of two images (bands, h, w). The reference sets the scale of each band."""
    bands = len(reference)
    parts = 1 << (bands - 1).bit_length()
    moments = SquareMoments.of(np.concatenate([reference, image]), ok)
    var = moments.variances
    mean, spread = _scale(moments.mean[:, :bands], var[:, :bands])
    cross = _padded(moments.cov[:, :bands, bands:] / spread[:, :, None] / spread[:, None], parts)
    level = np.pad((moments.mean[:, bands:] - mean) / spread + 1, ((0, 0), (0, parts - bands)), constant_values=1.0)
    variation = ((var[:, :bands] + var[:, bands:]) / spread**2).sum(1)
    return _compare(cross, level, variation)


def _scale(mean: np.ndarray, var: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean and standard deviation that normalise each band of the reference; 1 for bands of mean 0."""
    deviation = np.maximum(np.sqrt(var * (SIDE**2 / (SIDE**2 - 1))), TINY)
    return mean, np.where(mean == 0, 1.0, deviation)


def _padded(cross: np.ndarray, parts: int) -> np.ndarray:
    more = parts - cross.shape[-1]
    return np.pad(cross, ((0, 0), (0, more), (0, more)))


def _compare(cross: np.ndarray, level: np.ndarray, variation: np.ndarray) -> np.ndarray:
    """Returns the modulus of Q2n: similarity of the means, times covariance divided by mean variance.

    cross: covariances (squares, parts, parts). level: means of the image relative to those of the reference.
    variation: sum of both variances.
    """
    parts = level.shape[1]
    square, norm = (level**2).sum(1), parts
    means = 2 * np.sqrt(square * norm) / (square + norm)
    units, sign = _units(parts)
    product = cross.reshape(len(cross), parts**2) @ (sign * units)
    size = np.linalg.norm(product, axis=1)
    return np.where(variation > 0, means * 2 * size / np.maximum(variation, SMALLEST), means)


@functools.cache
def _units(parts: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the component and the sign of each product of components of the reference and the image's conjugate."""
    sign, part = multiplication_table(parts)
    conjugate = np.append(1.0, -np.ones(parts - 1))
    units = np.eye(parts)[part.ravel()]
    return units, (sign * conjugate).reshape(-1, 1)
