"""Pieces of a scene, and degraded pairs with known truth that are made from them (Wald et al., 1997).

A pair is PAN degraded to the MS samples, MS degraded by the ratio, and the original MS as the truth of their fusion.
A piece contains its own pixels and nothing around them, so pieces that do not overlap share no information.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ..domain.block import Block, SceneStats
from ..domain.scene import Scene
from ..domain.window import Window
from ..metrics.degradation import Layout, blurred, samples


@dataclass(frozen=True)
class Piece:
    """PAN and MS of a window, in the counts of the files; NaN where there is no data."""

    pan: np.ndarray
    "(h, w)"
    ms: np.ndarray
    "(C, n, m)"
    at: tuple[float, float]
    "row and column in pan of the centre of the first MS sample"
    ratio: float
    phase: tuple[float, float]
    "row and column of the centre of the scene's first MS sample within PAN's first pixels; pairs have the same phase"
    window: Window
    "window in MS samples"
    scene: int = 0
    "number of the scene"
    usable: np.ndarray | None = None
    "(n, m) bool: samples that may be trained on; None: all valid samples"


@dataclass(frozen=True)
class Optics:
    """The MTFs that are assumed for the sensors, and the offset of PAN against MS."""

    mtf: tuple[float, ...]
    pan_mtf: float
    offset: tuple[float, float] = (0.0, 0.0)
    "rows and columns, in pixels of the pair"


@dataclass(frozen=True)
class Pair:
    """A degraded pair and its truth."""

    truth: np.ndarray
    "(C, n, m), NaN where it is excluded from training and scores"
    block: Block
    "the degraded PAN and MS"
    piece: Piece
    optics: Optics


def read_piece(reader, scene: Scene, layout: Layout, window: Window, number: int = 0) -> Piece:
    """Reads the piece of a window of MS samples, which is counted from the first sample of the layout.

    number: the number of the scene.
    """
    ratio = layout.ratio
    spans = []
    for axis, (start, n) in enumerate(((window.row, window.height), (window.col, window.width))):
        first, last = layout.centres(axis, np.array([start, start + n - 1]))
        spans.append((math.ceil(first - ratio / 2 - 1e-6), math.ceil(last + ratio / 2 - 1e-6)))
    core = Window(*(a for a, _ in spans), *(b - a for a, b in spans)) & scene.ground
    block = reader.read(core, 0, 0)
    first = [float(layout.centres(axis, np.array(start))) for axis, start in enumerate((window.row, window.col))]
    return Piece(
        np.where(block.masks()[0], block.pan, np.float32(np.nan)).astype(np.float32),
        samples(block, layout, window).astype(np.float32),
        (first[0] - core.row, first[1] - core.col),
        ratio,
        tuple((at + 0.5) % ratio - 0.5 for at in scene.placement.at),
        window,
        number,
    )


def make_pair(piece: Piece, optics: Optics) -> Pair:
    """Degrades PAN and MS of a piece by the ratio."""
    ratio, size = piece.ratio, piece.ms.shape[1:]
    fine = [at + ratio * (np.arange(n) + offset) for at, n, offset in zip(piece.at, size, optics.offset)]
    ok = np.isfinite(piece.ms).all(0)
    pan = blurred(piece.pan[None], np.isfinite(piece.pan), fine, (optics.pan_mtf,), ratio)[0]
    coarse = [first + ratio * np.arange(int((n - 0.5 - first) / ratio) + 1) for first, n in zip(piece.phase, size)]
    ms = blurred(piece.ms, ok, coarse, optics.mtf, ratio)
    window = Window(0, 0, *size)
    block = Block(pan, ms, piece.phase, ratio, window, window)
    return Pair(_target(piece, block), block, piece, optics)


def _target(piece: Piece, block: Block) -> np.ndarray:
    """Returns MS with everything masked that must not be trained on.

    The border is masked too: a sensor's samples there would include light from outside the piece.
    """
    pan_ok, ms_ok = block.masks()
    known = pan_ok & block.nearest_on_ms(ms_ok)
    border = math.ceil(piece.ratio)
    inner = np.zeros_like(known)
    inner[border:-border, border:-border] = True
    known &= inner if piece.usable is None else inner & piece.usable
    return np.where(known, piece.ms, np.float32(np.nan))


def with_stats(pair: Pair, stats: SceneStats) -> Pair:
    """Returns the pair with the statistics of its scene."""
    return replace(pair, block=replace(pair.block, stats=stats))
