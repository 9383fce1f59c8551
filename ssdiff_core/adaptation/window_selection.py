"""Selects the windows of a scene to train on and to hold out, so that both represent all kinds of content.

The scene is surveyed in cells; windows are compared by the mean of each band and the detail of PAN in their cells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..domain.scene import Scene
from ..domain.window import Window
from ..metrics.degradation import Layout
from .quality_mask import CELL_SIDE, cell_means, cloud_limits, cloud_mask
from .wald_pair import read_piece

MAX_SURVEY_WINDOWS = 20
"maximum number of survey windows along a side of a scene; each has four by four cells"
WINDOW_SIDE = 256
"approximate side of a window in MS samples"
STRIP_SHARE = 0.2
"width of the held-out strip as a share of the scene's longer side, which it crosses"
MINIMUM_STRIP_WIDTH = 20
"minimum width of the strip and of the parts beside it, in MS samples"
GAP = 4
"MS samples between training and held-out windows: the reach of the correction of a band's shift"
LONG_SCENE = 512
"minimum length in MS samples of a scene whose strip may be inside it; a shorter one would be cut into short ends"
MINIMUM_USABLE_SHARE = 0.5
"minimum share of usable cells in a window"


@dataclass(frozen=True)
class Cells:
    """The surveyed cells of a scene."""

    positions: np.ndarray
    "(k, 2) row and column of their first MS samples"
    means: np.ndarray
    "(k, C) mean of each band; NaN where a sample is invalid"
    detail: np.ndarray
    "(k,) standard deviation of PAN"
    limits: np.ndarray
    "(C,) cloud limits"

    def within(self, window: Window) -> np.ndarray:
        """Returns which cells begin in a window of MS samples."""
        first, stop = np.array([window.row, window.col]), np.array(window.stop)
        return ((self.positions >= first) & (self.positions < stop)).all(1)

    @property
    def cloud(self) -> np.ndarray:
        return cloud_mask(self.means.T, self.limits)

    @property
    def usable(self) -> np.ndarray:
        return np.isfinite(self.means).all(1) & np.isfinite(self.detail) & ~self.cloud

    @property
    def features(self) -> np.ndarray:
        """(k, C + 1) means and detail of each cell, standardised over the usable cells."""
        raw = np.column_stack([self.means, np.log1p(self.detail)])
        usable = raw[self.usable]
        return (raw - usable.mean(0)) / (usable.std(0) + 1e-9)


def survey_cells(reader, scene: Scene, layout: Layout, wavelengths: Sequence[float] = ()) -> Cells:
    """Returns the cells of a scene; of a large scene, those of evenly distributed windows."""
    positions, means, detail = [], [], []
    for window in _survey_windows(layout.part):
        piece = read_piece(reader, scene, layout, window)
        ms = cell_means(piece.ms)
        rows, cols = ms.shape[1:]
        fine = [n // k for n, k in zip(piece.pan.shape, (rows, cols))]
        pan = piece.pan[: rows * fine[0], : cols * fine[1]].reshape(rows, fine[0], cols, fine[1])
        positions += [
            (window.row + r * CELL_SIDE, window.col + c * CELL_SIDE) for r in range(rows) for c in range(cols)
        ]
        means.append(ms.reshape(len(ms), -1).T)
        detail.append(pan.std((1, 3)).ravel())
    means = np.concatenate(means)
    return Cells(np.array(positions), means, np.concatenate(detail), cloud_limits(means, wavelengths))


def _survey_windows(part: Window) -> list[Window]:
    """Returns windows of up to four by four complete cells, counted from the part's first sample."""
    spans = []
    for n in part.shape:
        side = min(4 * CELL_SIDE, n // CELL_SIDE * CELL_SIDE)
        count = min(math.ceil(n / side), MAX_SURVEY_WINDOWS)
        firsts = [round((n - side) * i / max(count - 1, 1)) for i in range(count)]
        spans.append([(first, side) for first in firsts])
    return [Window(r, c, h, w) for r, h in spans[0] for c, w in spans[1]]


# --- windows ---------------------------------------------------------------------------------------------------------


def candidate_strips(part: Window) -> list[Window]:
    """Returns the strips across the longer side that may be held out, counted from the part's first sample."""
    height, width = part.shape
    length = max(height, width)
    strip_width = max(round(STRIP_SHARE * length), MINIMUM_STRIP_WIDTH)
    count = round(1 / STRIP_SHARE) if length >= LONG_SCENE else 2
    firsts = [round((length - strip_width) * i / (count - 1)) for i in range(count)]
    if height >= width:
        return [Window(first, 0, strip_width, width) for first in firsts]
    return [Window(0, first, height, strip_width) for first in firsts]


def choose_strip(part: Window, cells: Cells) -> Window:
    """Returns the strip that is most similar to the whole scene, of those with almost the most usable cells."""
    strips = candidate_strips(part)
    usable_shares = [cells.usable[cells.within(strip)].mean() for strip in strips]
    features = cells.features
    distances = [_feature_distance(features[cells.within(strip) & cells.usable]) for strip in strips]
    return min(
        (strip for strip, share in zip(strips, usable_shares) if share >= 0.8 * max(usable_shares)),
        key=lambda strip: distances[strips.index(strip)],
    )


def _feature_distance(features: np.ndarray) -> float:
    """Returns the distance of the mean and standard deviation of some cells from those of all cells."""
    if not len(features):
        return math.inf
    return float(np.abs(features.mean(0)).mean() + np.abs(features.std(0) - 1).mean())


def remaining_parts(part: Window, strip: Window) -> list[Window]:
    """Returns the parts on both sides of the strip, at a distance of GAP from it."""
    height, width = part.shape
    if strip.width == width:
        ends = (0, strip.row - GAP), (strip.stop[0] + GAP, height)
        return [Window(a, 0, b - a, width) for a, b in ends if b - a >= MINIMUM_STRIP_WIDTH]
    ends = (0, strip.col - GAP), (strip.stop[1] + GAP, width)
    return [Window(0, a, height, b - a) for a, b in ends if b - a >= MINIMUM_STRIP_WIDTH]


def windows(part: Window) -> list[Window]:
    """Divides a part into equal windows of about WINDOW_SIDE."""
    rows, cols = (
        np.linspace(0, n, max(round(n / WINDOW_SIDE), 1) + 1).round().astype(int).tolist() for n in part.shape
    )
    return [
        Window(part.row + row, part.col + col, next_row - row, next_col - col)
        for row, next_row in zip(rows, rows[1:])
        for col, next_col in zip(cols, cols[1:])
    ]


def choose_windows(candidates: Sequence[Window], cells: Cells, count: int) -> list[Window]:
    """Returns at most `count` windows with enough usable cells that represent all kinds of content.

    If no window has enough usable cells, those with the most are taken; none if there is no usable cell.
    """
    shares = np.array([_usable_share(cells, window) for window in candidates])
    if not shares.any():
        return []
    minimum = min(MINIMUM_USABLE_SHARE, shares.max())
    usable = [window for window, share in zip(candidates, shares) if share >= minimum]
    if len(usable) <= count:
        return usable
    features = cells.features
    window_features = np.stack([features[cells.within(window) & cells.usable].mean(0) for window in usable])
    return [usable[i] for i in sorted(representatives(window_features, count))]


def _usable_share(cells: Cells, window: Window) -> float:
    inside = cells.usable[cells.within(window)]
    return float(inside.mean()) if len(inside) else 0.0


def representatives(points: np.ndarray, count: int, rounds: int = 20) -> set[int]:
    """Returns the indices of the points (n, d) nearest to the centres of `count` clusters (k-means).

    Initially, each centre is the point furthest from the centres before it.
    """
    centres = points.mean(0)[None]
    for _ in range(count):
        centres = np.concatenate([centres, points[squared_distances(points, centres).min(1).argmax()][None]])
    centres = centres[1:]
    for _ in range(rounds):
        nearest = squared_distances(points, centres).argmin(1)
        centres = np.stack(
            [points[nearest == k].mean(0) if (nearest == k).any() else centre for k, centre in enumerate(centres)]
        )
    return set(squared_distances(points, centres).argmin(0).tolist())


def squared_distances(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Returns the squared distances (points, centres)."""
    return ((points[:, None] - centres[None]) ** 2).sum(2)
