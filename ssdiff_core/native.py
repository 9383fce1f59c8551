"""How a fusion looks where no truth is known: pieces of scenes as they are, fused, and what the field measures then.

What helps when all is made coarser need not help as it is. So weights are also held to this, which asks for no truth.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from .blocks import Block
from .metrics import without_reference
from .pieces import Piece
from .sensors import Sensor
from .statistics import Survey
from .window import Window

SIDE = 96
"MS samples along the middle of a piece that are looked at"
PIECES = 3
"that are looked at, at most"
SLACK = {"HQNR": -0.004, "D_rho": 0.004}
"how much of a measure is noise: so much worse it may be"


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
    size = piece.ms.shape[1:]
    spans = [(max(n - SIDE, 0) // 2, min(n, SIDE)) for n in size]
    fine = [(round(first * piece.ratio), round(n * piece.ratio)) for first, n in spans]
    rows, cols = (slice(first, first + n) for first, n in spans)
    pan_rows, pan_cols = (slice(first, first + n) for first, n in fine)
    at = tuple(at + first * piece.ratio - start for at, (first, _), (start, _) in zip(piece.at, spans, fine))
    return replace(piece, pan=piece.pan[pan_rows, pan_cols], ms=piece.ms[:, rows, cols], at=at, trust=None)


def measured(blocks: Sequence[Block], images: Sequence[np.ndarray], sensor: Sensor) -> dict[str, float]:
    """HQNR and D_rho over all blocks, each counted by its pixels; what cannot be told is left out."""
    found = [
        without_reference(image, block.pan, block.ms, block.ms_at, block.ratio, sensor.mtf, "geometric")
        for block, image in zip(blocks, images)
    ]
    sizes = [block.pan.size for block in blocks]
    means = {name: float(np.average([each[name] for each in found], weights=sizes)) for name in SLACK}
    return {name: value for name, value in means.items() if np.isfinite(value)}


def no_worse(after: dict[str, float], before: dict[str, float]) -> bool:
    """HQNR has not fallen, and D_rho has not grown, by more than their slack."""
    return all(
        (after.get(name, value) - value - SLACK[name]) * np.sign(SLACK[name]) <= 0 for name, value in before.items()
    )
