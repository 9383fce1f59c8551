"""Quality measures of images held in memory.

`Referenced`, `FullScale` and `Reprojected` compute the same measures for scenes of any size, block by block.
"""

from __future__ import annotations

import functools
import operator

import numpy as np

from ..common.errors import BlockError
from ..domain.block import Block
from ..domain.grid import Placement
from ..domain.window import Window
from .block_view import Setting
from .conventions import convention as convention_of
from .full_scale import FullScale
from .reference import Referenced, without_border
from .reprojected import Reprojected

__all__ = ["FullScale", "Referenced", "Reprojected", "Setting", "full_scale", "with_reference", "without_reference"]


def with_reference(
    fused: np.ndarray,
    reference: np.ndarray,
    ratio: float,
    mask: np.ndarray | None = None,
    crop: bool = False,
    rounded: bool | None = None,
    peak: float | None = None,
) -> dict:
    """Returns SAM (degrees), ERGAS, Q2n, SCC, PSNR and UQI of an image (bands, h, w) and its reference.

    mask: true for valid pixels (h, w); NaN is always invalid.
    crop: exclude a border of about 21 pixels, as the MATLAB toolbox does.
    rounded: compute Q2n on values rounded to 16-bit integers. Default: if the reference is of an integer type.
    peak: full scale for PSNR. Default: the maximum of the reference.
    """
    if fused.shape != reference.shape:
        raise BlockError(
            f"the fused image has shape {fused.shape} and its reference {reference.shape}: the shapes must be equal"
        )
    whole = Window(0, 0, *reference.shape[1:])
    rounded = _has_integers(reference) if rounded is None else rounded
    measure = Referenced(without_border(whole) if crop else whole, ratio, rounded, peak)
    sums = (measure.gather(fused, reference, whole, core, mask) for core in measure.cores())
    return {**measure.values(functools.reduce(operator.add, sums)), "cropped": crop}


def without_reference(
    fused: np.ndarray,
    pan: np.ndarray,
    ms: np.ndarray,
    placement: Placement,
    mtf: tuple[float, ...],
    convention: str = "toolbox",
    mask: np.ndarray | None = None,
    rounded: bool | None = None,
) -> dict:
    """Returns D_lambda_K, D_s, HQNR, D_lambda, QNR, D_rho, R-SAM, R-ERGAS and R-Q2n of a fused image (bands, h, w).

    placement: of MS on PAN, whose first pixel is at (0, 0). mtf: gain of each band at the MS Nyquist frequency.
    convention: a key of CONVENTIONS. mask, rounded: as in with_reference.
    """
    if fused.shape != (len(ms), *pan.shape) or len(mtf) != len(ms):
        raise BlockError(
            f"the fused image {fused.shape}, PAN {pan.shape}, MS {ms.shape} and the {len(mtf)} MTF gains do not match"
        )
    scene, setting = _scene_of(pan, ms, placement, mtf, convention, mask, rounded)
    low = Reprojected(setting)
    shifts = low.shifts(_gather_all(low, low.correlations, scene))
    return {
        **_full_scale(fused, scene, setting),
        **low.values(_gather_all(low, functools.partial(low.gather, shifts=shifts), scene, fused), shifts),
    }


def full_scale(
    fused: np.ndarray,
    pan: np.ndarray,
    ms: np.ndarray,
    placement: Placement,
    mtf: tuple[float, ...],
    convention: str = "toolbox",
    rounded: bool | None = None,
) -> dict:
    """Returns only D_lambda_K, D_s, HQNR, D_lambda, QNR and D_rho; the parameters are those of without_reference."""
    return _full_scale(fused, *_scene_of(pan, ms, placement, mtf, convention, None, rounded))


def _full_scale(fused: np.ndarray, scene: Block, setting: Setting) -> dict:
    full = FullScale(setting)
    return full.values(_gather_all(full, full.gather, scene, fused))


def _scene_of(pan: np.ndarray, ms: np.ndarray, placement: Placement, mtf, convention: str, mask, rounded):
    """Returns the scene as a block, and the setting of its measures."""
    window, at, ratio = Window(0, 0, *pan.shape), placement.at, placement.ratio
    rounded = _has_integers(ms) if rounded is None else rounded
    setting = Setting(window, at, ms.shape[1:], ratio, tuple(mtf), convention_of(convention), rounded)
    return Block(pan, ms, at, ratio, window, window, mask), setting


def _gather_all(measure, gather, scene: Block, *fused: np.ndarray):
    """Returns the sums of a measure over a scene held in memory."""
    parts = (scene.crop(core, measure.reach, measure.ms_halo) for core in measure.cores())
    sums = (
        gather(part, *(image[(slice(None), *part.window.within(scene.window))] for image in fused)) for part in parts
    )
    return functools.reduce(operator.add, sums)


def _has_integers(image: np.ndarray) -> bool:
    return image.dtype.kind in "iub"
