"""What a network is shown of a scene that is known in every pixel, and what it shall answer: images, and tiles of them.

Where the answer is not known the residual is NaN, and no loss is counted.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from ..domain.block import Block
from ..domain.kernels import REACH
from ..fusion import classical
from ..fusion.masks import filled
from ..fusion.resample import reader, take_cols, take_rows
from ..model.normalisation import units

Samples = dict[str, Tensor]
"pan, lms, ms (as SSNet takes them) and residual, each (n, channels, h, w)"


def conditions(block: Block, how) -> Samples:
    """What the network sees of a whole scene, in the weights' units: as the engine lays it out.

    how: a recipe, or whatever else says scale, interpolation, base, guides, views, ratio and ms_phase.
    """
    own = units(how.scale, block.stats, len(block.ms))
    pan_ok, ms_ok = block.masks()
    around = classical.base_reach("mtf-glp-fs", how.ratio, REACH[how.interpolation])
    pan = torch.from_numpy(filled(block.pan[None], pan_ok, around))[0]
    ms = torch.from_numpy(filled(block.ms, ms_ok, REACH[how.interpolation]))
    seen, base = classical.shown(block, pan, ms, own, how.interpolation, how.base, how.guides, how.views)
    coarse = classical.upsample(block, ms, how.interpolation, *_ms_grid(block, how))
    return {"pan": seen, "lms": base, "ms": own.of_ms(coarse)}


def _ms_grid(block: Block, how) -> Iterable[np.ndarray]:
    """Rows and columns where the network wants MS samples."""
    for start, n in zip((block.window.row, block.window.col), block.window.shape):
        yield start + _phase(how) + np.arange(n // how.ratio) * how.ratio


def _phase(how) -> float:
    return (how.ratio - 1) / 2 if how.ms_phase is None else how.ms_phase


def interpolated(ms: Tensor, how) -> Tensor:
    """The MS samples of a square tile (C, h, h) read at its PAN pixels; beyond its rim the last sample goes on."""
    along = reader(-_phase(how) / how.ratio, ms.shape[1] * how.ratio, how.ratio, how.interpolation)
    return take_rows(along, take_cols(along, ms))


def known(truth: np.ndarray, block: Block, how) -> Samples:
    """The conditions of a scene, and the residual; NaN in truth stays NaN."""
    seen = conditions(block, how)
    own = units(how.scale, block.stats, len(block.ms))
    return {**seen, "residual": own.of_ms(torch.from_numpy(truth)) - seen["lms"]}


def cut(seen: Samples, corners: Iterable[tuple[int, int]], tile: int, ratio: int) -> Samples:
    """Tiles whose upper left pixels are corners, which lie on whole MS samples."""
    corners = list(corners)

    def part(image: Tensor, step: int) -> Tensor:
        side = tile // step
        return torch.stack([image[:, r // step : r // step + side, c // step : c // step + side] for r, c in corners])

    return {key: part(image, ratio if key == "ms" else 1) for key, image in seen.items()}


def together(parts: Iterable[Samples]) -> Samples:
    parts = list(parts)
    return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
