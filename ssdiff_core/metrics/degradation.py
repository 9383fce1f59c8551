"""Degradation of a scene by its ratio (Wald's protocol), for the assessment and for adaptation.

PAN is blurred and sampled at the MS samples, and MS is blurred and sampled on a grid that is coarser by the ratio, each
with the MTF of its own sensor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..classical.resample import take_cols, take_rows
from ..common.errors import GeometryError
from ..common.notices import notice
from ..domain.block import Block
from ..domain.fill import fill_masked
from ..domain.scene import Scene
from ..domain.window import Window
from .conventions import Geometric

MINIMUM_SIDE = 16
"minimum side of the degraded MS in samples"
VALID_SHARE = 0.99
"minimum share of valid weights under the blur for a coarse pixel to be valid"
BLUR = Geometric()


@dataclass(frozen=True)
class Layout:
    """The MS samples that are degraded, and their position on PAN."""

    part: Window
    "window in MS samples"
    at: tuple[float, float]
    "position on PAN of the centre of the first MS sample"
    ratio: float

    @property
    def coarse(self) -> Window:
        """The window of the degraded MS."""
        return Window(0, 0, *(math.floor(n / self.ratio + 1e-6) for n in self.part.shape))

    def centres(self, axis: int, samples: np.ndarray) -> np.ndarray:
        """Returns positions on PAN of the centres of samples, which are counted from the first of the part."""
        first = (self.part.row, self.part.col)[axis]
        return self.at[axis] + (first + samples) * self.ratio

    def centres_coarse(self, samples: np.ndarray) -> np.ndarray:
        """Returns positions in MS samples of the centres of coarse samples, aligned at the corner."""
        return (samples + 0.5) * self.ratio - 0.5


def layout_of(scene: Scene, minimum: int = MINIMUM_SIDE) -> Layout:
    """Returns the MS samples that are entirely in the scene, cut to whole coarse samples.

    minimum: side of the degraded MS below which GeometryError is raised.
    """
    at, ratio, window = scene.placement.at, scene.placement.ratio, scene.window
    spans = []
    for start, stop, first, n in zip((window.row, window.col), window.stop, at, scene.ms_grid.window.shape):
        begin = max(math.ceil((start - 0.5 - first) / ratio + 0.5 - 1e-6), 0)
        end = min(math.floor((stop - 0.5 - first) / ratio + 0.5 + 1e-6), n)
        coarse = math.floor(max(end - begin, 0) / ratio + 1e-6)
        spans.append((begin, math.floor(coarse * ratio + 1e-6)))
        if coarse < minimum:
            raise GeometryError(notice("scene_too_small", coarse=coarse, minimum=minimum))
    (row, height), (col, width) = spans
    return Layout(Window(row, col, height, width), at, ratio)


def samples(block: Block, layout: Layout, window: Window) -> np.ndarray:
    """Returns the MS samples of a window from a block around it."""
    have = [round((start - first) / layout.ratio) for start, first in zip(block.ms_at, layout.at)]
    row, col = (
        first + part - held
        for first, part, held in zip((window.row, window.col), (layout.part.row, layout.part.col), have)
    )
    return block.ms[:, row : row + window.height, col : col + window.width]


def blurred(image: np.ndarray, ok: np.ndarray, at, gains: Sequence[float], ratio: float) -> np.ndarray:
    """Returns bands (n, h, w), each blurred by its MTF, at rows and columns `at`; NaN next to masked pixels."""
    if not ok.any():
        return np.full((len(image), *map(len, at)), np.nan, np.float32)
    known = None if ok.all() else ok.astype(np.float32)
    whole = fill_masked(image, ok, BLUR.reach(ratio))
    answer = []
    for band, gain in zip(whole, gains):
        rows, cols = (BLUR.blur(places, gain, ratio) for places in at)
        low = take_cols(cols, take_rows(rows, band))
        if known is not None:
            low[take_cols(cols, take_rows(rows, known)) < VALID_SHARE] = np.nan
        answer.append(low)
    return np.stack(answer)
