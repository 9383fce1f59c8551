"""Operations that NumPy and torch name differently. torch is not imported: who passes a tensor has done so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any
"an array of NumPy or a tensor of torch"
Convert = Callable[[np.ndarray], Array]
"takes an array of NumPy and returns what is computed with: the array itself, or a tensor"


def namespace(array: Array):
    """Returns the module of an array, NumPy or torch."""
    return np if isinstance(array, np.ndarray) else sys.modules["torch"]


def continued(image: Array, first: int, stop: int, axis: int) -> Array:
    """Returns an image from index `first` to `stop` of an axis; beyond its ends the end samples are repeated."""
    n = image.shape[axis]
    if isinstance(image, np.ndarray):
        return image.take(np.arange(first, stop).clip(0, n - 1), axis)
    torch = namespace(image)
    return image.index_select(axis, torch.arange(first, stop, device=image.device).clamp(0, n - 1))
