"""Pieces of a scene, and pairs made of them whose truth is known: PAN at the MS samples, MS a ratio coarser, and MS
as it is, which is what fusing those two shall give (Wald et al., 1997).

A piece holds its own pixels and nothing around them. So two pieces that do not overlap have nothing in common, and what
is learnt on one knows nothing of the other.
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
    """Counts as delivered, NaN where there are none."""

    pan: np.ndarray
    "(h, w)"
    ms: np.ndarray
    "(C, n, m)"
    at: tuple[float, float]
    "row and column of pan where the first sample has its centre"
    ratio: float
    phase: tuple[float, float]
    "row and column of the first sample that lies on PAN's first pixels: so it is in a pair too"
    window: Window
    "the MS samples"
    scene: int = 0
    trust: np.ndarray | None = None
    "(n, m) bool: the samples that may be learnt from; None: all that have a value"


@dataclass(frozen=True)
class Look:
    """What the sensors are taken to be, and how far PAN lies beside MS, in pixels of the pair."""

    mtf: tuple[float, ...]
    pan_mtf: float
    off: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Pair:
    truth: np.ndarray
    "(C, n, m), NaN where nothing is to be learnt"
    block: Block
    piece: Piece
    look: Look


def read_piece(reader, scene: Scene, layout: Layout, window: Window, number: int = 0) -> Piece:
    """The piece of these MS samples (counted from the layout's first); number: of the scene."""
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


def pair(piece: Piece, look: Look) -> Pair:
    """The piece from further away."""
    ratio, size = piece.ratio, piece.ms.shape[1:]
    fine = [at + ratio * (np.arange(n) + off) for at, n, off in zip(piece.at, size, look.off)]
    ok = np.isfinite(piece.ms).all(0)
    pan = blurred(piece.pan[None], np.isfinite(piece.pan), fine, (look.pan_mtf,), ratio)[0]
    coarse = [first + ratio * np.arange(int((n - 0.5 - first) / ratio) + 1) for first, n in zip(piece.phase, size)]
    ms = blurred(piece.ms, ok, coarse, look.mtf, ratio)
    window = Window(0, 0, *size)
    block = Block(pan, ms, piece.phase, ratio, window, window)
    return Pair(_trusted(piece, block), block, piece, look)


def _trusted(piece: Piece, block: Block) -> np.ndarray:
    """MS where it may be learnt from: not near the rim, where coarse samples would have seen more than the piece."""
    pan_ok, ms_ok = block.masks()
    known = pan_ok & block.nearest_on_ms(ms_ok)
    rim = math.ceil(piece.ratio)
    inner = np.zeros_like(known)
    inner[rim:-rim, rim:-rim] = True
    known &= inner if piece.trust is None else inner & piece.trust
    return np.where(known, piece.ms, np.float32(np.nan))


def with_stats(made: Pair, stats: SceneStats) -> Pair:
    return replace(made, block=replace(made.block, stats=stats))
