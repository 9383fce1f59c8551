"""Checks at native resolution, where no truth is known: HQNR and D_rho before and after adapting.

What helps at reduced resolution need not help at native resolution, so adapted weights must not be worse there.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from ..classical.scene_statistics import Survey
from ..domain.block import Block
from ..domain.grid import Placement
from ..domain.sensors import Sensor
from ..domain.window import Window
from ..metrics.arrays import without_reference
from .wald_pair import Piece

BLOCK_SIDE = 128
"maximum side of a block in MS samples; blocks are taken from the centre of pieces"
MAX_BLOCKS = 3
"maximum number of blocks"
DIRECTION = {"HQNR": 1, "D_rho": -1}
"the measures; 1: higher is better, -1: lower is better"
TOLERANCE = {"HQNR": 0.005, "D_rho": 0.002}
"how much worse a measure may be; on a simulated scene HQNR fell by 0.02 although the true error fell by a sixth"

Fuse = Callable[[Block], np.ndarray]


@dataclass(frozen=True)
class NativeCheck:
    """Blocks at native resolution, with their initial fusion and its scores."""

    blocks: list[Block]
    images: list[np.ndarray]
    "the initial fusion of each block"
    before: dict[str, float]
    "scores of the initial fusion"
    sensor: Sensor

    @staticmethod
    def create(
        pieces: Sequence[Piece], sensor: Sensor, survey: Survey, initial_survey: Survey, fuse: Fuse
    ) -> NativeCheck:
        """Fuses blocks of the pieces with the initial weights or method, and scores them.

        survey: the scene statistics that the adapted weights need. initial_survey: those that `fuse` needs.
        """
        images = [fuse(block) for block in blocks_of(pieces, initial_survey)]
        blocks = blocks_of(pieces, survey)
        return NativeCheck(blocks, images, native_scores(blocks, images, sensor), sensor)

    def scores(self, fuse: Fuse) -> dict[str, float]:
        """Returns the scores of the blocks, fused by other weights."""
        return native_scores(self.blocks, [fuse(block) for block in self.blocks], self.sensor)

    def target(self, images: list[np.ndarray]) -> list[np.ndarray]:
        """Returns another fusion of the blocks, or the initial one if the HQNR of the other would not be accepted."""
        found = native_scores(self.blocks, images, self.sensor)
        return images if self.accepts({name: found[name] for name in found if name == "HQNR"}) else self.images

    def accepts(self, after: dict[str, float]) -> bool:
        """Returns whether no measure is worse than before by more than its tolerance."""
        gains = {
            name: DIRECTION[name] * (value - self.before[name]) for name, value in after.items() if name in self.before
        }
        return all(gain >= -TOLERANCE[name] for name, gain in gains.items())


def blocks_of(pieces: Sequence[Piece], survey: Survey) -> list[Block]:
    """Returns the centre of up to MAX_BLOCKS pieces, with the statistics of their scenes."""
    selected = pieces[:: -(-len(pieces) // MAX_BLOCKS)]
    stats = {}
    for scene in {piece.scene for piece in selected}:
        gathered = [survey.gather(whole_block(piece)) for piece in pieces if piece.scene == scene]
        stats[scene] = survey.stats(reduce(operator.add, gathered))
    return [replace(whole_block(centre_crop(piece)), stats=stats[piece.scene]) for piece in selected]


def whole_block(piece: Piece) -> Block:
    """Returns a piece as a block without margins."""
    window = Window(0, 0, *piece.pan.shape)
    return Block(piece.pan, piece.ms, piece.at, piece.ratio, window, window)


def centre_crop(piece: Piece) -> Piece:
    """Returns the centre of a piece, with at most BLOCK_SIDE MS samples along a side."""
    spans = [(max(n - BLOCK_SIDE, 0) // 2, min(n, BLOCK_SIDE)) for n in piece.ms.shape[1:]]
    fine = [(round(first * piece.ratio), round(n * piece.ratio)) for first, n in spans]
    ms, pan = ([slice(first, first + n) for first, n in each] for each in (spans, fine))
    at = tuple(at + first * piece.ratio - start for at, (first, _), (start, _) in zip(piece.at, spans, fine))
    return replace(piece, pan=piece.pan[tuple(pan)], ms=piece.ms[(slice(None), *ms)], at=at, usable=None)


def native_scores(blocks: Sequence[Block], images: Sequence[np.ndarray], sensor: Sensor) -> dict[str, float]:
    """Returns the means of HQNR and D_rho over all blocks, weighted by pixels; undefined ones are left out."""
    found = [
        without_reference(image, block.pan, block.ms, Placement(block.ms_at, block.ratio), sensor.mtf, "geometric")
        for block, image in zip(blocks, images)
    ]
    sizes = [block.pan.size for block in blocks]
    means = {name: float(np.average([each[name] for each in found], weights=sizes)) for name in DIRECTION}
    return {name: value for name, value in means.items() if np.isfinite(value)}
