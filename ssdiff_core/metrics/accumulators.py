"""Accumulators of the measures: sums over parts of a scene that can be added in any order."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np


class Accumulator:
    """Base of dataclasses that are added field by field."""

    def __add__(self, other):
        return type(self)(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True)
class Mean(Accumulator):
    """The mean of numbers, or of arrays of one shape."""

    total: np.ndarray
    count: int

    @staticmethod
    def of(values: np.ndarray) -> Mean:
        """Returns the mean over the first axis."""
        return Mean(values.sum(0, dtype=np.float64), len(values))

    @property
    def value(self) -> np.ndarray:
        """The mean; NaN without values."""
        return self.total / self.count if self.count else np.full(np.shape(self.total), np.nan)


@dataclass(frozen=True)
class Largest:
    """The maximum of numbers."""

    value: float

    def __add__(self, other: Largest) -> Largest:
        return Largest(max(self.value, other.value))
