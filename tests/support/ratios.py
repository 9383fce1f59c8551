"""Pairs of the bundled sample at ratios that no sensor of the sample has, with their reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from files import write

from ssdiff_core.domain.kernels import blur, mtf_sigma

SAMPLE = Path(__file__).parents[2] / "resources" / "sample" / "eureka.npz"


def pair_at_ratio(folder: Path, ratio: float, off: float = 0.3) -> tuple[Path, Path, np.ndarray]:
    """Writes PAN and MS as a sensor of this ratio sees them; returns both and the reference.

    off: position of the first MS pixel's edge from PAN's, in PAN pixels, down and right.
    """
    with np.load(SAMPLE) as file:
        pan, truth, mtf = file["pan"], file["truth"].transpose(2, 0, 1).astype(np.float32), file["mtf"]
    side, first = len(pan), off + (ratio - 1) / 2
    at = first + ratio * np.arange(int((side - off) / ratio))
    kernels = [blur(at, side, mtf_sigma(float(gain), ratio), round(5 * ratio)) for gain in mtf]
    ms = np.stack([kernel @ band @ kernel.T for kernel, band in zip(kernels, truth)])
    pixel, x, y = 0.5, 500_000.0, 4_000_000.0
    ms_at = (x + off * pixel, pixel * ratio, 0.0, y - off * pixel, 0.0, -pixel * ratio)
    names = ("blue", "green", "red", "nir")
    return (
        write(folder / "pan.tif", pan, (x, pixel, 0.0, y, 0.0, -pixel)),
        write(folder / "ms.tif", ms.round().astype(np.uint16), ms_at, names=names),
        truth,
    )
