"""A measure of patterns that repeat with the patches of a network."""

from __future__ import annotations

import numpy as np


def pattern_energy(images: np.ndarray, period: int) -> float:
    """Returns the energy of images (C, n, n) at the frequencies of a period, over that at frequencies near them.

    It is about 1 for images without a pattern. n must be a multiple of 4 periods.
    """
    n = images.shape[-1]
    window = np.hanning(n + 2)[1:-1]
    detail = images - images.mean((1, 2), keepdims=True)
    power = np.square(np.abs(np.fft.fft2(detail * window[:, None] * window))).sum(0)
    at = [n // period * k for k in range(period)]
    harmonics = [(r, c) for r in at for c in at if (r, c) != (0, 0)]
    return float(np.mean([power[r, c] / np.median(_ring(power, r, c)) for r, c in harmonics]))


def _ring(power: np.ndarray, row: int, col: int, inner: int = 3, outer: int = 6) -> np.ndarray:
    """Returns the power at frequencies near one: in a square ring beyond the width of the window's spectrum."""
    offsets = np.arange(-outer, outer + 1)
    rows, cols = np.meshgrid(offsets, offsets, indexing="ij")
    far = np.maximum(np.abs(rows), np.abs(cols)) >= inner
    n = len(power)
    return power[(row + rows[far]) % n, (col + cols[far]) % n]
