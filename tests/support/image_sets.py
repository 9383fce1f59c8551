"""Sets of images in the form of PanCollection, written by h5py."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from ssdiff_core.training.simulate import degraded

TAPS = (0.305334091185, -0.072698593239, 0.021809577942, -0.005192756653, 0.000807762146, -0.000060081482)
"the published filter of the toolboxes: its weights at distances 1, 3, 5, 7, 9 and 11, times 1/2"


def interp23tap(image: np.ndarray) -> np.ndarray:
    """Returns an image (..., h, w), interpolated by 4 as the toolboxes do: sample i gets to pixel 4 i + 2."""
    for first in (1, 0):
        for axis in (-2, -1):
            image = np.moveaxis(image, axis, -1)
            fine = np.zeros((*image.shape[:-1], 2 * image.shape[-1]))
            fine[..., first::2] = image
            image = fine + sum(
                2 * weight * (np.roll(fine, far, -1) + np.roll(fine, -far, -1))
                for weight, far in zip(TAPS, range(1, 12, 2))
            )
            image = np.moveaxis(image, -1, axis)
    return image


def arrays(count: int = 8, bands: int = 4, side: int = 64, seed: int = 0, peak: float = 2047.0) -> dict:
    """Returns the arrays of a set: smooth images with edges, whose bands are alike but not the same."""
    rng = np.random.default_rng(seed)
    steps = np.kron(rng.uniform(0.15, 0.8, (count, bands, side // 8, side // 8)), np.ones((8, 8)))
    common = np.kron(rng.uniform(-0.12, 0.12, (count, 1, side // 2, side // 2)), np.ones((2, 2)))
    truth = np.rint(degraded((steps + common).clip(0, 1) * peak, 0.7, 1.0))
    ms = np.rint(degraded(truth, 0.3, 4, (2.0, 2.0)))
    return {"gt": truth, "ms": ms, "lms": interp23tap(ms), "pan": np.rint(truth.mean(1, keepdims=True))}


def write_set(path: Path, values: dict, **options) -> Path:
    """Writes the arrays to an HDF5 file. options: of h5py.File."""
    with h5py.File(path, "w", **options) as file:
        for name, array in values.items():
            file[name] = array
    return path


def write_matlab(path: Path, values: dict, order: str = "nchw") -> Path:
    """Writes the arrays as MATLAB 7.3 does: in reverse order of axes, after a text of 512 bytes.

    order: of the axes in MATLAB, n images, c bands, h rows, w columns; without n, there is one image. MATLAB has no
    last axis of length 1.
    """
    stored = {}
    for name, array in values.items():
        array = array.transpose(["nchw".index(axis) for axis in ("" if "n" in order else "n") + order])
        array = array if "n" in order else array[0]
        stored[name] = (array[..., 0] if array.shape[-1] == 1 else array).transpose()
    write_set(path, stored, userblock_size=512)
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(512, b" "))
    return path
