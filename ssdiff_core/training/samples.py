"""Training samples: the inputs of the network and its target, for scenes with known truth and for tiles of them.

The target, the residual, is NaN where the truth is unknown; these pixels do not contribute to the loss.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from ..classical.resample import take_cols, take_rows
from ..domain.block import Block
from ..domain.fill import fill_masked
from ..domain.kernels import REACH
from ..fusion import network_inputs
from ..fusion.resample import reader
from ..model.normalisation import units

Samples = dict[str, Tensor]
"the inputs of SSNet (pan, lms, ms) and the target (residual), each (n, channels, h, w)"


def conditions(block: Block, recipe) -> Samples:
    """Returns the inputs of the network for a whole scene, in the network's units, as the engine prepares them.

    recipe: a recipe, or a card with the same attributes.
    """
    scaling = units(recipe.scale, block.stats, len(block.ms))
    pan_ok, ms_ok = block.masks()
    around = network_inputs.base_reach("mtf-glp-fs", recipe.ratio, recipe.interpolation)
    pan = torch.from_numpy(fill_masked(block.pan[None], pan_ok, around))[0]
    ms = torch.from_numpy(fill_masked(block.ms, ms_ok, REACH[recipe.interpolation]))
    seen = network_inputs.Seen(recipe.interpolation, recipe.base, recipe.guides, recipe.views)
    images, base = network_inputs.network_inputs(block, pan, ms, scaling, seen)
    coarse = network_inputs.upsample_to(block, ms, recipe.interpolation, *_ms_grid(block, recipe))
    return {"pan": images, "lms": base, "ms": scaling.of_ms(coarse)}


def _ms_grid(block: Block, recipe) -> Iterable[np.ndarray]:
    """Yields the rows and the columns at which the network expects MS samples."""
    for start, n in zip((block.window.row, block.window.col), block.window.shape):
        yield start + _phase(recipe) + np.arange(n // recipe.ratio) * recipe.ratio


def _phase(recipe) -> float:
    return (recipe.ratio - 1) / 2 if recipe.ms_phase is None else recipe.ms_phase


def interpolated(ms: Tensor, recipe) -> Tensor:
    """Returns the MS samples of a square tile (C, h, h), interpolated at its PAN pixels; the border is replicated."""
    along = reader(-_phase(recipe) / recipe.ratio, ms.shape[1] * recipe.ratio, recipe.ratio, recipe.interpolation)
    return take_rows(along, take_cols(along, ms))


def training_images(truth: np.ndarray, block: Block, recipe) -> Samples:
    """Returns the inputs of the network and the residual of the truth, which is NaN where the truth is."""
    images = conditions(block, recipe)
    scaling = units(recipe.scale, block.stats, len(block.ms))
    return {**images, "residual": scaling.of_ms(torch.from_numpy(truth)) - images["lms"]}


def cut(images: Samples, corners: Iterable[tuple[int, int]], tile: int, ratio: int) -> Samples:
    """Cuts tiles out of images. corners: their upper left pixels, at multiples of the ratio."""
    corners = list(corners)

    def part(image: Tensor, step: int) -> Tensor:
        side = tile // step
        return torch.stack([image[:, r // step : r // step + side, c // step : c // step + side] for r, c in corners])

    return {key: part(image, ratio if key == "ms" else 1) for key, image in images.items()}


def concatenated(parts: Iterable[Samples]) -> Samples:
    """Concatenates samples."""
    parts = list(parts)
    return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
