"""How good a fused image is, as the field measures it: arrays in, numbers out.

`Referenced`, `FullScale` and `Reprojected` do the same for scenes of any size, block by block: each keeps sums that
add exactly, so how a scene is cut does not matter.
"""

from __future__ import annotations

import functools
import operator

import numpy as np

from ..common.errors import BlockError
from ..domain.block import Block
from ..domain.window import Window
from .block_view import Setting
from .conventions import convention as named
from .full_scale import FullScale
from .reference import Referenced, inside
from .reprojected import Reprojected

__all__ = ["FullScale", "Referenced", "Reprojected", "Setting", "with_reference", "without_reference"]


def with_reference(
    fused: np.ndarray,
    reference: np.ndarray,
    ratio: float,
    mask: np.ndarray | None = None,
    crop: bool = False,
    rounded: bool | None = None,
    peak: float | None = None,
) -> dict:
    """SAM (degrees), ERGAS, Q2n, SCC, PSNR and UQI of an image (bands, h, w) against what it should be.

    mask (h, w) is true where pixels count; NaN never does. crop leaves out a rim of about 21 pixels, as the toolboxes
    may. rounded: Q2n as of 16-bit counts; by default where the reference is made of whole numbers.
    """
    if fused.shape != reference.shape:
        raise BlockError(f"the fused image is {fused.shape}, its reference {reference.shape}: they must be alike")
    whole = Window(0, 0, *reference.shape[1:])
    rounded = _whole_numbers(reference) if rounded is None else rounded
    measure = Referenced(inside(whole) if crop else whole, ratio, rounded, peak)
    sums = (measure.gather(fused, reference, whole, core, mask) for core in measure.cores())
    return {**measure.values(functools.reduce(operator.add, sums)), "cropped": crop}


def without_reference(
    fused: np.ndarray,
    pan: np.ndarray,
    ms: np.ndarray,
    ms_at: tuple[float, float],
    ratio: float,
    mtf: tuple[float, ...],
    convention: str = "toolbox",
    mask: np.ndarray | None = None,
    rounded: bool | None = None,
) -> dict:
    """D_lambda_K, D_s, HQNR, D_lambda, QNR, D_rho, R-SAM, R-ERGAS and R-Q2n of a fused image (bands, h, w).

    ms_at and ratio place MS on PAN as in blocks.Block, PAN's first pixel being at 0; mtf is the gain of each band at
    the MS Nyquist frequency. mask and rounded as in with_reference.
    """
    window = Window(0, 0, *pan.shape)
    if fused.shape != (len(ms), *pan.shape) or len(mtf) != len(ms):
        raise BlockError(f"a fused image {fused.shape} of PAN {pan.shape}, MS {ms.shape} and {len(mtf)} MTF gains")
    scene = Block(pan, ms, ms_at, ratio, window, window, mask)
    rounded = _whole_numbers(ms) if rounded is None else rounded
    setting = Setting(window, ms_at, ms.shape[1:], ratio, tuple(mtf), named(convention), rounded)
    full, low = FullScale(setting), Reprojected(setting)
    shifts = low.shifts(_over(low, low.look, scene))
    return {
        **full.values(_over(full, full.gather, scene, fused)),
        **low.values(_over(low, functools.partial(low.gather, shifts=shifts), scene, fused), shifts),
    }


def _over(measure, gather, scene: Block, *fused: np.ndarray):
    """The sums over a scene held in memory."""
    parts = (scene.crop(core, measure.reach, measure.ms_halo) for core in measure.cores())
    sums = (
        gather(part, *(image[(slice(None), *part.window.within(scene.window))] for image in fused)) for part in parts
    )
    return functools.reduce(operator.add, sums)


def _whole_numbers(image: np.ndarray) -> bool:
    return image.dtype.kind in "iub"
