"""Images read along their axes, on any device, by the matrices of kernels.py.

Those matrices are nearly all zeros: `reader` and `blurrer` cut them into the small full ones along the diagonal.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..domain.kernels import BLUR_REACH, REACH, blur, interpolation, mtf_sigma
from ..model.devices import upload

STRIP = 8  # MS samples that a strip spans: fewer are too little work at once, more are mostly zeros
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Strip:
    """Neighbouring answers along an axis, and the run of samples that they are made of."""

    start: int
    "the first of the samples; may lie beyond the end of the axis, where the last sample goes on"
    matrix: Tensor
    "(answers, samples), or one for each image of a stack (images, answers, samples)"

    @property
    def answers(self) -> int:
        return self.matrix.shape[-2]

    @property
    def stop(self) -> int:
        return self.start + self.matrix.shape[-1]


def reader(first: float, n: int, ratio: float, kernel: str, device=CPU) -> list[Strip]:
    """The interpolation at n positions 1 / ratio apart."""
    return _strips(
        first, 1 / ratio, n, round(STRIP * ratio), REACH[kernel], functools.partial(_reading, kernel), device
    )


def blurrer(first: float, n: int, gains: Sequence[float], ratio: float, device=CPU, step: float = 0) -> list[Strip]:
    """The blur of sensors of those MTF, a stack of answers, at n centres, a ratio apart unless step says otherwise."""
    reach = round(BLUR_REACH * ratio) + 1
    return _strips(first, step or ratio, n, STRIP, reach, functools.partial(_blurring, tuple(gains), ratio), device)


def _strips(first: float, step: float, n: int, side: int, reach: int, made: Callable, device) -> list[Strip]:
    """An axis without ends, `side` answers at a time: in the processor's cache. A GPU is better off with one strip.

    At a whole ratio every strip is the first one over again, so those are kept.
    """
    side, answer = max(side, 1) if device.type == "cpu" else n, []
    for done in range(0, n, side):
        at = first + done * step
        whole = math.floor(at + 1e-9)
        matrix = made(round(at - whole, 9), step, min(side, n - done))
        answer.append(Strip(whole - reach, upload(matrix, device)))
    return answer


@functools.lru_cache(maxsize=256)
def _reading(kernel: str, phase: float, step: float, n: int) -> np.ndarray:
    at = REACH[kernel] + phase + np.arange(n) * step
    return interpolation(at, math.ceil(at[-1] - 1e-9) + REACH[kernel] + 1, kernel)


@functools.lru_cache(maxsize=256)
def _blurring(gains: tuple[float, ...], ratio: float, phase: float, step: float, n: int) -> np.ndarray:
    reach = round(BLUR_REACH * ratio)
    at = reach + 1 + phase + np.arange(n) * step
    width = math.ceil(at[-1] - 1e-9) + reach + 2
    return np.stack([blur(at, width, mtf_sigma(gain, ratio), reach) for gain in gains])


def take_rows(along: list[Strip], image: Tensor) -> Tensor:
    """Image (..., n, w) read along its rows' axis -> (..., m, w); a stack of blurs makes a stack of one image."""
    image, first = _continued(along, image, -2)
    return torch.cat([read(s.matrix, image[..., s.start - first : s.stop - first, :]) for s in along], dim=-2)


def take_cols(along: list[Strip], image: Tensor) -> Tensor:
    """Image (..., h, n) read along its columns' axis -> (..., h, m)."""
    image, first = _continued(along, image, -1)
    return torch.cat([image[..., s.start - first : s.stop - first] @ s.matrix.mT for s in along], dim=-1)


def read(matrix: Tensor, part: Tensor) -> Tensor:
    """matrix @ part, which is slow where a matrix meets a stack, unless it is said to be one too."""
    return (matrix if part.ndim == 2 else matrix.expand(*part.shape[:-2], -1, -1)) @ part


def give_back(rows: list[Strip], cols: list[Strip], image: Tensor, shape: tuple[int, int]) -> Tensor:
    """The other way round: what each sample gives to the answers, weighed with image (..., h, w) -> (..., *shape).

    sum(give_back(image) * samples) is sum(image * answers): so a sum over PAN's pixels costs no more than one over MS.
    """
    half, done = image.new_zeros(*image.shape[:-2], shape[0], image.shape[-1]), 0
    for strip in rows:
        half[..., strip.start : strip.stop, :] += read(strip.matrix.mT, image[..., done : done + strip.answers, :])
        done += strip.answers
    answer, done = image.new_zeros(*image.shape[:-2], *shape), 0
    for strip in cols:
        answer[..., strip.start : strip.stop] += half[..., done : done + strip.answers] @ strip.matrix
        done += strip.answers
    return answer


def _continued(along: list[Strip], image: Tensor, axis: int) -> tuple[Tensor, int]:
    """The image with its ends gone on as far as the strips want, and which sample is now its first."""
    n, first, stop = image.shape[axis], along[0].start, max(strip.stop for strip in along)
    if first >= 0 and stop <= n:
        return image, 0
    index = torch.arange(first, max(stop, first + 1), device=image.device).clamp(0, n - 1)
    return image.index_select(axis, index), first
