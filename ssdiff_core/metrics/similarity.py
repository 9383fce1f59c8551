"""How alike two images are, pixel by pixel and window by window. Images are (bands, h, w), in double precision."""

from __future__ import annotations

import torch
from torch import Tensor

from .q2n import SIDE, uqi

FLAT = 1e-6  # deviation, as a share of the mean, that is rounding and no detail


def angles(image: Tensor, reference: Tensor) -> Tensor:
    """Between the spectra of each pixel, in degrees (h, w); NaN where one of them is all 0."""
    dot = (image * reference).sum(0)
    size = ((image**2).sum(0) * (reference**2).sum(0)).sqrt()
    return torch.rad2deg(torch.acos((dot / size).clamp(-1, 1)))


def edges(image: Tensor) -> Tensor:
    """Sobel's magnitude of all but the outermost pixels."""
    down, across = image[:, 2:] - image[:, :-2], image[..., 2:] - image[..., :-2]
    vertical = down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:]
    horizontal = across[:, :-2] + 2 * across[:, 1:-1] + across[:, 2:]
    return torch.hypot(vertical, horizontal)


def sliding_uqi(one: Tensor, other: Tensor) -> Tensor:
    """The universal quality index of two single bands (h, w), in each window of 32 by 32 within them."""
    centre = float(one.mean() + other.mean()) / 2  # spares digits
    x, y, n = one - centre, other - centre, SIDE**2
    mean_x, mean_y = box(x, SIDE) / n, box(y, SIDE) / n
    var_x, var_y = box(x * x, SIDE) / n - mean_x**2, box(y * y, SIDE) / n - mean_y**2
    cov = box(x * y, SIDE) / n - mean_x * mean_y
    return uqi(mean_x + centre, mean_y + centre, var_x, var_y, cov)


def local_correlation(image: Tensor, pan: Tensor, half: int, inside: Tensor | None = None) -> Tensor:
    """Of each band with pan (h, w), over windows of 2 half by 2 half pixels (Scarpa & Ciotola, TGRS 2022).

    As their program has it: each pixel is taken less the mean of the window around itself. A window reaches half - 1
    pixels back and half pixels on, twice; so the answer is 4 half - 2 pixels smaller. Flat goes with nothing: 0.
    Beyond the scene all is 0: inside (h, w) is 0 there too.
    """
    pan, pan_square = _detail(pan, half, inside)
    answer = []
    for band in image:
        detail, square = _detail(band, half, inside)
        both, size = box(detail * pan, 2 * half), (square * pan_square).sqrt()
        answer.append(torch.where(size > 0, both / size, 0).clamp_(-1, 1))
    return torch.stack(answer)


def _detail(band: Tensor, half: int, inside: Tensor | None) -> tuple[Tensor, Tensor]:
    """A band less its local mean, and the sums of its squares over each window; 0 where they are rounding."""
    mean = box(band, 2 * half) / (2 * half) ** 2
    detail = _inner(band, half) - mean
    if inside is not None:
        detail *= _inner(inside, half)
    square = box(detail**2, 2 * half)
    return detail, torch.where(square > (2 * half * FLAT * _inner(mean, half)) ** 2, square, 0)


def _inner(field: Tensor, half: int) -> Tensor:
    """The pixels whose windows lie within the field."""
    return field[half - 1 : field.shape[0] - half, half - 1 : field.shape[1] - half]


def unmasked(ok: Tensor, side: int) -> Tensor:
    """Which windows of side by side pixels have nothing masked."""
    return box(ok.int(), side) == side**2


def box(image: Tensor, side: int) -> Tensor:
    """Sums over all windows of side by side pixels that lie within an image (..., h, w)."""
    return _run(_run(image, side, -2), side, -1)


def _run(image: Tensor, side: int, axis: int) -> Tensor:
    """Sums of `side` neighbours: of two halves, and of one more where that is odd."""
    if side == 1:
        return image
    half, count = side // 2, image.shape[axis] - side + 1
    if count <= 0:
        return image.narrow(axis, 0, 0)
    part = _run(image, half, axis)
    total = part.narrow(axis, 0, count) + part.narrow(axis, half, count)
    return total if side % 2 == 0 else total + image.narrow(axis, side - 1, count)
