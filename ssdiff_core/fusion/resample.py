"""The strips of classical.resample on a device of torch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from ..classical import resample
from ..classical.resample import Strip
from ..model.devices import upload

CPU = torch.device("cpu")


def reader(first: float, n: int, ratio: float, kernel: str, device=CPU) -> list[Strip]:
    """Returns the interpolation at n positions that are 1 / ratio apart; a GPU gets a single strip."""
    return resample.reader(first, n, ratio, kernel, partial(upload, device=device), _side(n, device))


def blurrer(first: float, n: int, gains: Sequence[float], ratio: float, device=CPU) -> list[Strip]:
    """Returns the blur of sensors with these MTF gains at n centres; a GPU gets a single strip."""
    return resample.blurrer(first, n, gains, ratio, partial(upload, device=device), side=_side(n, device))


def _side(n: int, device: torch.device) -> int | None:
    return None if device.type == "cpu" else max(n, 1)
