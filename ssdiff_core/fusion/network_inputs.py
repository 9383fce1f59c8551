"""Images that a network sees: PAN, PAN as MS sees it, interpolated MS, and classical fusions."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..classical.engine import blur_reach
from ..classical.methods.brovey import HazeFreeBrovey
from ..classical.methods.method import distinct
from ..classical.methods.registry import METHODS
from ..classical.resample import Strip, overlapping, take_cols, take_rows
from ..classical.scene_statistics import Survey
from ..domain.block import Block
from ..domain.kernels import interpolation
from ..model.devices import upload
from ..model.normalisation import Units
from .resample import blurrer, reader


@dataclass(frozen=True)
class Seen:
    """What a network sees of a scene; the fields are those of its card and its Config."""

    kernel: str
    "interpolation of MS"
    base: str
    guides: int
    views: tuple[str, ...]


WHOLE = (slice(None), slice(None))


def network_inputs(
    block: Block, pan: Tensor, ms: Tensor, scaling: Units, seen: Seen, part: tuple[slice, slice] = WHOLE
) -> tuple[Tensor, Tensor]:
    """Returns what a network sees, normalised: the input of the spatial branch, and the base.

    The input (guides + views * C, h, w) is PAN, possibly PAN as MS sees it, and each view minus the base. part: the
    rows and columns of block.window to return.
    """
    kernel, sharp = seen.kernel, pan[part]
    base = base_image(seen.base, block, pan, upsample(block, ms, kernel, part), kernel, part)
    guides = [sharp]
    if seen.guides == 2:
        mean = sum(block.stats.mtf) / max(len(block.stats.mtf), 1)
        guides += pan_through_ms(block, pan, (mean,), kernel, part)
    images = torch.empty(seen.guides + len(seen.views) * len(ms), *base.shape[1:], device=pan.device)
    for image, counts in zip(images, guides):
        torch.sub(counts, scaling.pan_zero, out=image).div_(scaling.pan_one)
    for k, view in enumerate(seen.views):
        first = seen.guides + k * len(ms)
        torch.sub(VIEWS[view](block, sharp, ms, kernel, part), base, out=images[first : first + len(ms)])
    images[seen.guides :].unflatten(0, (-1, len(ms))).div_(scaling.ones)
    return images, base.sub_(scaling.zeros).div_(scaling.ones)


def base_reach(base: str, ratio: float, kernel: str) -> int:
    """Returns how many PAN pixels around a pixel influence its base."""
    return 0 if base == "lms" else blur_reach(ratio, kernel)


def has_statistics(block: Block, name: str, bands: int) -> bool:
    """Returns whether a block has the statistics that a base or view needs."""
    return name == "lms" or METHODS[name].has_statistics(block.stats, bands)


def base_image(name: str, block: Block, pan: Tensor, lms: Tensor, kernel: str, part=WHOLE) -> Tensor:
    """Returns the base (C, h, w) over a part of block.window, from its pan (h, w) and lms of the part (C, h, w).

    lms may be overwritten.
    """
    return lms if name == "lms" else mtf_glp_fs(block, pan, lms, kernel, part)


def mtf_glp_fs(block: Block, pan: Tensor, lms: Tensor, kernel: str, part: tuple[slice, slice]) -> Tensor:
    """Adds the detail of PAN that the MS sensor cannot resolve, times a gain for each band, to lms, in place."""
    mtfs, which = distinct(block.stats.mtf)
    details = pan[part] - pan_through_ms(block, pan, mtfs, kernel, part)
    for band, low, gain in zip(lms, which, block.stats.gains):
        band.add_(details[low], alpha=gain)
    return lms


def bt_h(block: Block, pan: Tensor, ms: Tensor, kernel: str, part: tuple[slice, slice] = WHOLE) -> Tensor:
    """Returns BT-H (C, h, w) over a part of block.window, from its pan (h, w) and from ms (C, hm, wm).

    Haze is removed before MS is interpolated, so that black pixels are exactly 0 and rounding errors are not divided.
    """
    fusion = HazeFreeBrovey(block.stats, lambda values: upload(values, pan.device))
    return fusion.fuse(upsample(block, fusion.remove_haze(ms), kernel, part), pan)


VIEWS = {"bt-h": bt_h}
"the fusions that a network can see besides its base"


def pan_through_ms(block: Block, pan: Tensor, mtf: tuple[float, ...], kernel: str, part=WHOLE) -> Tensor:
    """Returns PAN as MS sensors see it: blurred by their MTF, sampled at MS, interpolated back (sensors, h, w).

    part: the rows and columns of block.window to return.
    """
    (down, up), (across, back) = (_down_and_up(block, axis, mtf, kernel, pan.device) for axis in (0, 1))
    return interpolated(take_cols(across, take_rows(down, pan)), up, back, part)


def interpolated(image: Tensor, down: list[Strip], across: list[Strip], part: tuple[slice, slice]) -> Tensor:
    """Returns the rows and columns `part` of an image that is interpolated along rows and columns."""
    (down, rows), (across, cols) = overlapping(down, part[0]), overlapping(across, part[1])
    return take_rows(down, take_cols(across, image))[..., rows, cols]


def _down_and_up(block: Block, axis: int, mtf: tuple[float, ...], kernel: str, device):
    """Returns the matrices of one axis that take PAN to the MS samples, and those back to PAN."""
    start, n = ((block.window.row, block.window.height), (block.window.col, block.window.width))[axis]
    first, last = block.on_ms(np.array([start, start + n - 1]), axis)
    sample, samples = math.floor(first), math.ceil(last) - math.floor(first) + 1
    centre = sample * block.ratio + block.ms_at[axis] - start  # in pixels of pan
    forward = blurrer(centre, samples, mtf, block.ratio, device)
    return forward, reader(first - sample, n, block.ratio, kernel, device)


def fitted(block: Block, mtf: tuple[float, ...], kernel: str = "cubic", views: tuple[str, ...] = ()) -> Block:
    """Returns a block that is a whole scene with its statistics, fitted to its valid pixels.

    views: the fusions that the network sees besides its base (see Config.views).
    """
    survey = Survey("mtf-glp-fs", tuple(mtf), block.ratio, kernel, views=views)
    return replace(block, stats=survey.stats(survey.gather(block)))


def upsample(block: Block, ms: Tensor, kernel: str, part: tuple[slice, slice] = WHOLE) -> Tensor:
    """Returns MS (C, hm, wm) interpolated to the PAN pixels of block.window, or of a part of its rows and columns."""
    window, ratio = block.window, block.ratio
    down = reader(block.on_ms(window.row, 0), window.height, ratio, kernel, ms.device)
    across = reader(block.on_ms(window.col, 1), window.width, ratio, kernel, ms.device)
    return interpolated(ms, down, across, part)


def upsample_to(block: Block, ms: Tensor, kernel: str, rows: np.ndarray, cols: np.ndarray) -> Tensor:
    """Returns MS (C, hm, wm) interpolated to absolute PAN rows and columns."""
    down = upload(interpolation(block.on_ms(rows, 0), ms.shape[1], kernel), ms.device)
    across = upload(interpolation(block.on_ms(cols, 1), ms.shape[2], kernel), ms.device)
    return down @ ms @ across.T
