"""Statistics of bands that add up exactly over blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Sums:
    """Sums of a band for its statistics. The sums of blocks add up; for integers up to 16 bits, exactly."""

    count: int = 0
    minimum: float = math.inf
    maximum: float = -math.inf
    total: float = 0
    squares: float = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.count + other.count,
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
            self.total + other.total,
            self.squares + other.squares,
        )

    @property
    def mean(self) -> float:
        return self.total / self.count

    @property
    def deviation(self) -> float:
        """Standard deviation of the population, as GDAL computes it."""
        if isinstance(self.total, int):  # exact also where the mean is large and the deviation small
            return math.sqrt(max(self.count * self.squares - self.total**2, 0)) / self.count
        return math.sqrt(max(self.squares / self.count - self.mean**2, 0.0))
