"""Sums over parts of a scene that may be added in any order: what a measure keeps instead of the scene."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from torch import Tensor


class Tally:
    """A dataclass whose fields can be added; so can it."""

    def __add__(self, other):
        return type(self)(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True)
class Mean(Tally):
    """Of numbers, or of arrays of one shape."""

    total: np.ndarray
    count: int

    @staticmethod
    def of(values: Tensor) -> Mean:
        """Over the first axis."""
        return Mean(values.double().sum(0).numpy(), len(values))

    @property
    def value(self) -> np.ndarray:
        """NaN where nothing was counted."""
        return self.total / self.count if self.count else np.full(np.shape(self.total), np.nan)


@dataclass(frozen=True)
class Largest:
    value: float

    def __add__(self, other: Largest) -> Largest:
        return Largest(max(self.value, other.value))
