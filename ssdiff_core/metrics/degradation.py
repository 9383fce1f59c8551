"""A scene as its sensors would have seen it from further away: what Wald's test is made of, and what adapting learns.

PAN is taken at the MS samples, and MS a ratio coarser, each through the MTF of its own sensor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..common.errors import GeometryError
from ..domain.block import Block
from ..domain.scene import Scene
from ..domain.window import Window
from ..fusion.masks import filled
from ..fusion.resample import take_cols, take_rows
from .conventions import Geometric

LEAST = 16
"samples of the coarser MS along a side, below which nothing can be said"
TRUSTED = 0.99
"share of what a coarse pixel sees that must be valid"
BLUR = Geometric()


@dataclass(frozen=True)
class Layout:
    """Which MS samples the test is made of, and where they lie."""

    part: Window
    "in MS samples"
    at: tuple[float, float]
    "row and column of PAN of the centre of MS's first sample"
    ratio: float

    @property
    def coarse(self) -> Window:
        return Window(0, 0, *(math.floor(n / self.ratio + 1e-6) for n in self.part.shape))

    def centres(self, axis: int, samples: np.ndarray) -> np.ndarray:
        """Of samples, which are counted from the part's first one, on PAN."""
        first = (self.part.row, self.part.col)[axis]
        return self.at[axis] + (first + samples) * self.ratio

    def centres_coarse(self, samples: np.ndarray) -> np.ndarray:
        """Of coarse samples, in samples of MS: corner to corner."""
        return (samples + 0.5) * self.ratio - 0.5


def layout_of(scene: Scene, purpose: str = "this test", least: int = LEAST) -> Layout:
    """The MS samples whose whole ground lies in the scene, in whole coarse samples.

    purpose: what they are for; least: as LEAST.
    """
    at, ratio, window = scene.placement.at, scene.placement.ratio, scene.window
    spans = []
    for start, stop, first, n in zip((window.row, window.col), window.stop, at, scene.ms_grid.window.shape):
        begin = max(math.ceil((start - 0.5 - first) / ratio + 0.5 - 1e-6), 0)
        end = min(math.floor((stop - 0.5 - first) / ratio + 0.5 + 1e-6), n)
        coarse = math.floor(max(end - begin, 0) / ratio + 1e-6)
        spans.append((begin, math.floor(coarse * ratio + 1e-6)))
        if coarse < least:
            raise GeometryError(
                f"the scene is too small for {purpose}: its MS would be {coarse} pixels along a side after it is made "
                f"coarser; {least} are needed"
            )
    (row, height), (col, width) = spans
    return Layout(Window(row, col, height, width), at, ratio)


def samples(block: Block, layout: Layout, window: Window) -> np.ndarray:
    """The MS samples of a window, out of a block around them."""
    have = [round((here - first) / layout.ratio) for here, first in zip(block.ms_at, layout.at)]
    row, col = (
        start + part - held
        for start, part, held in zip((window.row, window.col), (layout.part.row, layout.part.col), have)
    )
    return block.ms[:, row : row + window.height, col : col + window.width]


def blurred(image: np.ndarray, ok: np.ndarray, at, gains: Sequence[float], ratio: float) -> np.ndarray:
    """Bands (n, h, w) at rows and columns `at`, each through its sensor; NaN where that sees what is masked."""
    if not ok.any():
        return np.full((len(image), *map(len, at)), np.nan, np.float32)
    known = None if ok.all() else torch.from_numpy(ok).float()
    whole = torch.from_numpy(filled(image, ok, BLUR.reach(ratio)))
    answer = []
    for band, gain in zip(whole, gains):
        rows, cols = (BLUR.blur(places, gain, ratio) for places in at)
        low = take_cols(cols, take_rows(rows, band))
        if known is not None:
            low[take_cols(cols, take_rows(rows, known)) < TRUSTED] = torch.nan
        answer.append(low.numpy())
    return np.stack(answer)
