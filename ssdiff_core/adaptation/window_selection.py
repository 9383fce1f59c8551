"""Which parts of a scene to learn from, and which to hold out: cells of it are looked at, and windows are chosen that
show all there is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..domain.scene import Scene
from ..domain.window import Window
from ..metrics.degradation import Layout
from .quality_mask import CELL, cells, clouds, limits_of
from .wald_pair import read_piece

GLANCES = 20
"places that are looked at along a side of a scene, at most, four by four cells each"
SIDE = 256
"MS samples along a window, about"
SHARE = 0.2
"of the scene's longer side that is held out, as a strip across it"
LEAST = 20
"samples that the strip is wide at least"
GAP = 4
"samples between what is learnt from and what is held out: as far as putting a band right may reach"
LONG = 512
"samples from which on the strip may lie inside the scene; a shorter scene would be cut into too short ends"
WORTH = 0.5
"share of its cells that must be worth learning from in a window"


@dataclass(frozen=True)
class Cells:
    """What was looked at."""

    places: np.ndarray
    "(k, 2) row and column of their first samples"
    means: np.ndarray
    "(k, C) of each band; NaN where a sample has no value"
    detail: np.ndarray
    "(k,) standard deviation of PAN"
    limits: np.ndarray
    "(C,) how bright a cloud is"

    def within(self, window: Window) -> np.ndarray:
        """Which cells begin in a window of samples."""
        first, stop = np.array([window.row, window.col]), np.array(window.stop)
        return ((self.places >= first) & (self.places < stop)).all(1)

    @property
    def cloud(self) -> np.ndarray:
        return clouds(self.means.T, self.limits)

    @property
    def good(self) -> np.ndarray:
        return np.isfinite(self.means).all(1) & np.isfinite(self.detail) & ~self.cloud

    @property
    def traits(self) -> np.ndarray:
        """(k, C + 1) what each is like, about what the good ones are like."""
        all_of = np.column_stack([self.means, np.log1p(self.detail)])
        usual = all_of[self.good]
        return (all_of - usual.mean(0)) / (usual.std(0) + 1e-9)


def looked_at(reader, scene: Scene, layout: Layout, wavelengths: Sequence[float] = ()) -> Cells:
    """Cells all over a scene, or those of places that lie evenly in it."""
    places, means, detail = [], [], []
    for window in _glances(layout.part):
        piece = read_piece(reader, scene, layout, window)
        ms = cells(piece.ms)
        rows, cols = ms.shape[1:]
        fine = [n // k for n, k in zip(piece.pan.shape, (rows, cols))]
        pan = piece.pan[: rows * fine[0], : cols * fine[1]].reshape(rows, fine[0], cols, fine[1])
        places += [(window.row + r * CELL, window.col + c * CELL) for r in range(rows) for c in range(cols)]
        means.append(ms.reshape(len(ms), -1).T)
        detail.append(pan.std((1, 3)).ravel())
    means = np.concatenate(means)
    return Cells(np.array(places), means, np.concatenate(detail), limits_of(means, wavelengths))


def _glances(part: Window) -> list[Window]:
    """Windows of whole cells, four by four or as many as there are, counted from the part's first sample."""
    spans = []
    for n in part.shape:
        side = min(4 * CELL, n // CELL * CELL)
        count = min(math.ceil(n / side), GLANCES)
        firsts = [round((n - side) * i / max(count - 1, 1)) for i in range(count)]
        spans.append([(first, side) for first in firsts])
    return [Window(r, c, h, w) for r, h in spans[0] for c, w in spans[1]]


# --- windows ---------------------------------------------------------------------------------------------------------


def strips(part: Window) -> list[Window]:
    """Strips across the longer side, any of which may be held out, counted from the part's first sample."""
    height, width = part.shape
    length = max(height, width)
    wide = max(round(SHARE * length), LEAST)
    count = round(1 / SHARE) if length >= LONG else 2
    firsts = [round((length - wide) * i / (count - 1)) for i in range(count)]
    if height >= width:
        return [Window(first, 0, wide, width) for first in firsts]
    return [Window(0, first, height, wide) for first in firsts]


def held_out(part: Window, seen: Cells) -> Window:
    """The strip that is most like the whole scene, of those that hold about as much as the best."""
    found = strips(part)
    worth = [seen.good[seen.within(strip)].mean() for strip in found]
    traits = seen.traits
    likeness = [_unlike(traits[seen.within(strip) & seen.good]) for strip in found]
    return min(
        (strip for strip, share in zip(found, worth) if share >= 0.8 * max(worth)),
        key=lambda strip: likeness[found.index(strip)],
    )


def _unlike(traits: np.ndarray) -> float:
    """How far the mean and spread of some cells are from those of all."""
    if not len(traits):
        return math.inf
    return float(np.abs(traits.mean(0)).mean() + np.abs(traits.std(0) - 1).mean())


def around(part: Window, strip: Window) -> list[Window]:
    """What is left of the part beside the strip, as far from it as needed."""
    height, width = part.shape
    if strip.width == width:
        ends = (0, strip.row - GAP), (strip.stop[0] + GAP, height)
        return [Window(a, 0, b - a, width) for a, b in ends if b - a >= LEAST]
    ends = (0, strip.col - GAP), (strip.stop[1] + GAP, width)
    return [Window(0, a, height, b - a) for a, b in ends if b - a >= LEAST]


def windows(part: Window) -> list[Window]:
    """A part in equal windows of about SIDE."""
    rows, cols = (np.linspace(0, n, max(round(n / SIDE), 1) + 1).round().astype(int).tolist() for n in part.shape)
    return [
        Window(part.row + r, part.col + c, below - r, beside - c)
        for r, below in zip(rows, rows[1:])
        for c, beside in zip(cols, cols[1:])
    ]


def chosen(found: Sequence[Window], seen: Cells, most: int) -> list[Window]:
    """At most so many windows that show all there is, each worth learning from; if none is, those that come nearest."""
    worth = np.array([_worth(seen, window) for window in found])
    good = [window for window, share in zip(found, worth) if share >= min(WORTH, worth.max())]
    if len(good) <= most:
        return good
    traits = seen.traits
    like = np.stack([traits[seen.within(window) & seen.good].mean(0) for window in good])
    return [good[i] for i in sorted(spread(like, most))]


def _worth(seen: Cells, window: Window) -> float:
    inside = seen.good[seen.within(window)]
    return float(inside.mean()) if len(inside) else 0.0


def spread(points: np.ndarray, count: int, rounds: int = 20) -> set[int]:
    """Which of the points (n, d) stand for all of them: those next to the centres of so many clusters (k-means).

    Each cluster begins as the point that lies furthest from those before it.
    """
    centres = points.mean(0)[None]
    for _ in range(count):
        centres = np.concatenate([centres, points[squares(points, centres).min(1).argmax()][None]])
    centres = centres[1:]
    for _ in range(rounds):
        nearest = squares(points, centres).argmin(1)
        centres = np.stack(
            [points[nearest == k].mean(0) if (nearest == k).any() else centre for k, centre in enumerate(centres)]
        )
    return set(squares(points, centres).argmin(0).tolist())


def squares(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Of the distances (points, centres)."""
    return ((points[:, None] - centres[None]) ** 2).sum(2)
