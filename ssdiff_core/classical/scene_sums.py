"""Sums over a scene: moments and histograms that can be added in any order, and least squares on moments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FLAT = 1e-9
"variance, as a share of the squared mean, below which a quantity counts as constant: it is rounding, not detail"


@dataclass(frozen=True)
class Moments:
    """Count, means and co-moments of some quantities (left) with others (right)."""

    count: int
    left: np.ndarray
    "(v,) means"
    right: np.ndarray
    "(u,) means"
    co: np.ndarray
    "(v, u) sums of products of the deviations from the means"

    def __add__(self, other: Moments) -> Moments:
        """Returns the moments of both sets together, without cancellation for large means (Chan et al. 1983)."""
        count = self.count + other.count
        if not self.count or not other.count:
            return self if self.count else other
        share = other.count / count
        left, right = other.left - self.left, other.right - self.right
        co = self.co + other.co + np.outer(left, right) * (self.count * share)
        return Moments(count, self.left + left * share, self.right + right * share, co)

    @staticmethod
    def of(values: np.ndarray) -> Moments:
        """Returns the moments of values (v, n), each quantity with each."""
        v, n = values.shape
        if not n:
            return Moments(0, np.zeros(v), np.zeros(v), np.zeros((v, v)))
        mean = values.mean(1)
        about = values - mean[:, None]
        return Moments(n, mean, mean, about @ about.T)

    def among(self, quantities: Sequence[int]) -> Moments:
        """Returns the moments of some of the quantities, if each was taken with each."""
        which = list(quantities)
        return Moments(self.count, self.left[which], self.right[which], self.co[np.ix_(which, which)])

    def raw(self) -> np.ndarray:
        """Returns the sums of products of the values, not of their deviations."""
        return self.co + self.count * np.outer(self.left, self.right)


@dataclass(frozen=True)
class Histogram:
    """Number of occurrences of each value, to 13 significant bits: exact for whole numbers up to 8191."""

    keys: np.ndarray
    counts: np.ndarray

    def __add__(self, other: Histogram) -> Histogram:
        keys, place = np.unique(np.concatenate([self.keys, other.keys]), return_inverse=True)
        counts = np.bincount(place, np.concatenate([self.counts, other.counts]), len(keys))
        return Histogram(keys, counts.astype(np.int64))

    @staticmethod
    def of(values: np.ndarray) -> Histogram:
        bits = (np.asarray(values, np.float32).ravel() + np.float32(0)).view(np.int32)  # + 0: no negative zero
        keys = np.where(bits >= 0, bits, -(bits & 0x7FFFFFFF)) >> 11  # rises with the value
        if len(keys) and keys.max() - keys.min() < 1 << 18:  # counting is faster than sorting
            counts = np.bincount(keys - keys.min())
            present = np.flatnonzero(counts)
            return Histogram((present + keys.min()).astype(np.int64), counts[present].astype(np.int64))
        keys, counts = np.unique(keys, return_counts=True)
        return Histogram(keys.astype(np.int64), counts.astype(np.int64))

    def quantile(self, share: float) -> float:
        """Returns the quantile as np.quantile does; 0 if there are no values."""
        if not len(self.keys):
            return 0.0
        ends = np.cumsum(self.counts)
        place = share * (ends[-1] - 1)
        low, high = (self.value(np.searchsorted(ends, math.floor(place) + i, side="right")) for i in (0, 1))
        return float(low + (high - low) * (place - math.floor(place)))

    def value(self, index: int) -> float:
        bits = int(self.keys[min(index, len(self.keys) - 1)]) << 11
        return math.copysign(float(np.array(abs(bits), np.int32).view(np.float32)), bits)


@dataclass(frozen=True)
class SceneSums:
    """Sums of one block or of many."""

    fine: Moments
    "over PAN pixels: (lms, PAN at each MTF, PAN) with PAN; empty if no method needs it"
    coarse: Moments
    "over MS samples: (MS, PAN at each MTF, and for BDSD-PC MS degraded by the ratio), each with each"
    values: tuple[Histogram, ...]
    "histogram of each MS band"

    def __add__(self, other: SceneSums) -> SceneSums:
        values = tuple(a + b for a, b in zip(self.values, other.values))
        return SceneSums(self.fine + other.fine, self.coarse + other.coarse, values)


def match_moments(moments: Moments, one: int, other: int) -> tuple[float, float]:
    """Returns the factor and the summand that give one quantity the mean and standard deviation of the other."""
    factor = ratio_of_deviations(
        moments.co[other, other], moments.co[one, one], moments.count * float(moments.left[one]) ** 2
    )
    return factor, float(moments.left[other] - factor * moments.left[one])


def ratio_of_deviations(above: float, below: float, level: float) -> float:
    """Returns the ratio of two standard deviations, given sums of squares; 0 if the denominator is constant."""
    return math.sqrt(max(above, 0.0) / below) if below > FLAT * level else 0.0


def to_tuples(values: np.ndarray) -> tuple:
    """Returns an array as nested tuples of floats."""
    return tuple(to_tuples(value) if np.ndim(value) else float(value) for value in values)


def regression(gram: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Returns the least-squares solution, given sums of products; equal quantities share their weight."""
    scale = np.sqrt(np.maximum(np.diag(gram), 1e-300))
    return np.linalg.lstsq(gram / np.outer(scale, scale), target / scale, rcond=1e-10)[0] / scale


def nonnegative(gram: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Returns the x >= 0 that minimises x' gram x / 2 - target' x (active set, Lawson & Hanson 1974)."""
    scale = np.sqrt(np.maximum(np.diag(gram), 1e-300))
    gram, target = gram / np.outer(scale, scale), target / scale
    x, free = np.zeros(len(target)), np.zeros(len(target), bool)
    small = 1e-10 * max(np.abs(target).max(), 1e-300)
    for _ in range(10 * len(target)):
        gain = np.where(free, -np.inf, target - gram @ x)
        if gain.max() <= small:
            break
        free[gain.argmax()] = True
        while free.any():
            best = np.zeros(len(target))
            best[free] = np.linalg.lstsq(gram[np.ix_(free, free)], target[free], rcond=1e-12)[0]
            below = free & (best <= 0)
            if not below.any():
                x = best
                break
            # Move towards the unconstrained solution until a value reaches 0, and fix that value at 0.
            step = (x[below] / np.maximum(x[below] - best[below], 1e-300)).min()
            x = x + step * (best - x)
            free &= x > 1e-14
            x[~free] = 0
    return x / scale
