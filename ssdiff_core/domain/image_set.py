"""Sets of images of one size for training and evaluation, in the form of PanCollection (Deng et al., GRSM 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from .block import Block, SceneStats
from .kernels import REACH
from .window import Window

SUFFIXES = (".h5", ".hdf5", ".mat")
"suffixes of the files of image sets"


@dataclass(frozen=True)
class Images:
    """Consecutive images of a set, in counts of any float type."""

    pan: np.ndarray
    "(n, h, w)"
    ms: np.ndarray
    "(n, C, h / ratio, w / ratio); sample i is at PAN pixel ratio * i + ratio / 2"
    lms: np.ndarray
    "(n, C, h, w): MS interpolated by the 23-tap filter of the toolboxes, which continues an image at its other end"
    truth: np.ndarray | None
    "(n, C, h, w); None in sets at full resolution"

    @property
    def ratio(self) -> int:
        return self.pan.shape[1] // self.ms.shape[2]

    def block(self, number: int, kernel: str = "cubic", stats: SceneStats | None = None) -> Block:
        """Returns an image as a whole scene.

        kernel: that which will interpolate MS; with 23tap, the result is lms also at the edges.
        """
        margin = REACH[kernel] + 1 if kernel == "23tap" else 0
        ms = np.pad(self.ms[number], ((0, 0), (margin, margin), (margin, margin)), mode="wrap")
        at, pan = self.ratio / 2 - margin * self.ratio, self.pan[number]
        window = Window(0, 0, *pan.shape)
        return Block(pan, ms, (at, at), self.ratio, window, window, stats=stats or SceneStats())


class ImageSet(Protocol):
    """A set of images that are read on demand (see raster.image_sets)."""

    path: Path
    count: int
    "number of images"
    bands: int
    ratio: int
    shape: tuple[int, int]
    "rows and columns of PAN"
    has_truth: bool

    def read(self, first: int, count: int = 1) -> Images:
        """Returns consecutive images, from number `first` on."""


def is_image_set(path: str | Path) -> bool:
    """Returns whether a file has the suffix of an image set."""
    return Path(path).suffix.lower() in SUFFIXES
