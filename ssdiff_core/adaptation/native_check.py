"""How a fusion looks where no truth is known: pieces of scenes as they are, fused, and what the field measures then.

What helps when all is made coarser need not help as it is. So weights are also held to this, which asks for no truth.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from ..domain.block import Block
from ..domain.sensors import Sensor
from ..domain.window import Window
from ..fusion.scene_statistics import Survey
from ..metrics.arrays import without_reference
from .wald_pair import Piece

SIDE = 128
"MS samples along the middle of a piece that are looked at"
PIECES = 3
"that are looked at, at most"
GOOD = {"HQNR": 1, "D_rho": -1}
"what is measured: the more the better, or the less"
SLACK = {"HQNR": 0.01, "D_rho": 0.005}
"so much worse a measure may be: on a made-up scene HQNR fell by 0.02 where the true error fell by a sixth"

Fuse = Callable[[Block], np.ndarray]


@dataclass(frozen=True)
class Native:
    """Pieces as they are, and how they were fused before: nothing may be lost there."""

    blocks: list[Block]
    images: list[np.ndarray]
    before: dict[str, float]
    sensor: Sensor

    @staticmethod
    def of(pieces: Sequence[Piece], sensor: Sensor, wanted: Survey, survey: Survey, fuse: Fuse) -> Native:
        """wanted: what weights will want to know of the scenes; survey, fuse: what there is before, and wants."""
        images = [fuse(block) for block in blocks_of(pieces, survey)]
        blocks = blocks_of(pieces, wanted)
        return Native(blocks, images, measured(blocks, images, sensor), sensor)

    def after(self, fuse: Fuse) -> dict[str, float]:
        return measured(self.blocks, [fuse(block) for block in self.blocks], self.sensor)

    def is_kept(self, after: dict[str, float]) -> bool:
        """No measure is worse by more than its slack."""
        better = {
            name: GOOD[name] * (value - self.before[name]) for name, value in after.items() if name in self.before
        }
        return all(gain >= -SLACK[name] for name, gain in better.items())


def blocks_of(pieces: Sequence[Piece], survey: Survey) -> list[Block]:
    """The middle of some of the pieces, with what an engine wants to know of their scenes."""
    some = pieces[:: -(-len(pieces) // PIECES)]
    stats = {}
    for scene in {piece.scene for piece in some}:
        own = [survey.gather(whole(piece)) for piece in pieces if piece.scene == scene]
        stats[scene] = survey.stats(reduce(operator.add, own))
    return [replace(whole(middle(piece)), stats=stats[piece.scene]) for piece in some]


def whole(piece: Piece) -> Block:
    window = Window(0, 0, *piece.pan.shape)
    return Block(piece.pan, piece.ms, piece.at, piece.ratio, window, window)


def middle(piece: Piece) -> Piece:
    """At most SIDE samples of it, and the PAN that belongs to them."""
    spans = [(max(n - SIDE, 0) // 2, min(n, SIDE)) for n in piece.ms.shape[1:]]
    fine = [(round(first * piece.ratio), round(n * piece.ratio)) for first, n in spans]
    ms, pan = ([slice(first, first + n) for first, n in each] for each in (spans, fine))
    at = tuple(at + first * piece.ratio - start for at, (first, _), (start, _) in zip(piece.at, spans, fine))
    return replace(piece, pan=piece.pan[tuple(pan)], ms=piece.ms[(slice(None), *ms)], at=at, trust=None)


def measured(blocks: Sequence[Block], images: Sequence[np.ndarray], sensor: Sensor) -> dict[str, float]:
    """HQNR and D_rho over all blocks, each counted by its pixels; what cannot be told is left out."""
    found = [
        without_reference(image, block.pan, block.ms, block.ms_at, block.ratio, sensor.mtf, "geometric")
        for block, image in zip(blocks, images)
    ]
    sizes = [block.pan.size for block in blocks]
    means = {name: float(np.average([each[name] for each in found], weights=sizes)) for name in GOOD}
    return {name: value for name, value in means.items() if np.isfinite(value)}
