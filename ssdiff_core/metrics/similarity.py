"""Similarity of two images by pixel and by window. Images are (bands, h, w), in double precision."""

from __future__ import annotations

import numpy as np

from .q2n import SIDE, uqi

FLAT = 1e-6  # maximum deviation of a constant window, relative to the mean: rounding errors


def angles(image: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Returns the angle between the spectra of each pixel in degrees (h, w); NaN where one of them is 0."""
    dot = (image * reference).sum(0)
    size = np.sqrt((image**2).sum(0) * (reference**2).sum(0))
    with np.errstate(invalid="ignore"):
        return np.rad2deg(np.arccos((dot / size).clip(-1, 1)))


def edges(image: np.ndarray) -> np.ndarray:
    """Returns the Sobel gradient magnitude of all but the outermost pixels."""
    down, across = image[:, 2:] - image[:, :-2], image[..., 2:] - image[..., :-2]
    vertical = down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:]
    horizontal = across[:, :-2] + 2 * across[:, 1:-1] + across[:, 2:]
    return np.sqrt(vertical * vertical + horizontal * horizontal)  # hypot is slower


def sliding_uqi(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns the universal quality index of two bands (h, w) in each window of 32 x 32 pixels."""
    centre = float(one.mean() + other.mean()) / 2  # reduces rounding errors
    x, y, n = one - centre, other - centre, SIDE**2
    mean_x, mean_y = box(x, SIDE) / n, box(y, SIDE) / n
    var_x, var_y = box(x * x, SIDE) / n - mean_x**2, box(y * y, SIDE) / n - mean_y**2
    cov = box(x * y, SIDE) / n - mean_x * mean_y
    return uqi(mean_x + centre, mean_y + centre, var_x, var_y, cov)


def local_correlation(image: np.ndarray, pan: np.ndarray, half: int, inside: np.ndarray | None = None) -> np.ndarray:
    """Returns the local correlation of each band with PAN (Scarpa & Ciotola, TGRS 2022).

    As in their code, the mean of the window around each pixel is subtracted first. Windows have 2 half x 2 half pixels
    and extend from half - 1 pixels before to half pixels after, so the result is 4 half - 2 pixels smaller. Constant
    windows have correlation 0. inside (h, w): 1 in the scene and 0 beyond, where values count as 0.
    """
    pan, pan_square = _detail(pan, half, inside)
    answer = []
    for band in image:
        detail, square = _detail(band, half, inside)
        both, size = box(detail * pan, 2 * half), np.sqrt(square * pan_square)
        answer.append(np.divide(both, size, where=size > 0, out=np.zeros_like(size)).clip(-1, 1))
    return np.stack(answer)


def _detail(band: np.ndarray, half: int, inside: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Returns a band minus its local mean, and the sum of its squares in each window; 0 for rounding errors."""
    mean = box(band, 2 * half) / (2 * half) ** 2
    detail = _inner(band, half) - mean
    if inside is not None:
        detail *= _inner(inside, half)
    square = box(detail * detail, 2 * half)
    return detail, np.where(square > (2 * half * FLAT * _inner(mean, half)) ** 2, square, 0)


def _inner(field: np.ndarray, half: int) -> np.ndarray:
    """Returns the pixels whose windows are within the field."""
    return field[half - 1 : field.shape[0] - half, half - 1 : field.shape[1] - half]


def unmasked(ok: np.ndarray, side: int) -> np.ndarray:
    """Returns which windows of side x side pixels have no masked pixel."""
    return box(ok.astype(np.int32), side) == side**2


def box(image: np.ndarray, side: int) -> np.ndarray:
    """Returns the sums over all windows of side x side pixels within an image (..., h, w)."""
    return _running_sum(_running_sum(image, side, -2), side, -1)


def _running_sum(image: np.ndarray, side: int, axis: int) -> np.ndarray:
    """Returns the sums of `side` neighbours along an axis, by recursive halving."""
    if side == 1:
        return image
    half, count = side // 2, max(image.shape[axis] - side + 1, 0)
    part = _running_sum(image, half, axis) if count else image
    total = _along(part, axis, 0, count) + _along(part, axis, half if count else 0, count)
    if side % 2:
        total += _along(image, axis, side - 1, count)
    return total


def _along(image: np.ndarray, axis: int, first: int, count: int) -> np.ndarray:
    """Returns `count` neighbours along one of the last two axes."""
    part = slice(first, first + count)
    return image[..., part] if axis == -1 else image[..., part, :]
