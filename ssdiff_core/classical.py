"""Scene-fitted classical fusion, in arrays: what the residual of a network may be taken against.

Everything is linear along rows and columns, so an image passes through the matrices of `resample`. What is fitted to
the scene (the injection gains) comes in SceneStats, the same for every block.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from .blocks import Block, SceneStats
from .devices import upload
from .masks import filled
from .resample import REACH, blur, interpolation, mtf_sigma

BASES = ("lms", "mtf-glp-fs")
BLUR_REACH = 5  # of the MTF's Gaussian, in MS pixels; the toolboxes cut at 41 taps for ratio 4


def base_reach(base: str, ratio: float, interpolation_reach: int) -> int:
    """PAN pixels around a pixel that its base depends on."""
    return 0 if base == "lms" else round((BLUR_REACH + interpolation_reach + 1) * ratio)


def base(name: str, block: Block, pan: Tensor, lms: Tensor, kernel: str) -> Tensor:
    """The base over block.window, from pan (h, w) and lms (C, h, w) -> (C, h, w)."""
    if name == "lms":
        return lms
    return mtf_glp_fs(block, pan, lms, block.stats.gains, kernel)


def mtf_glp_fs(block: Block, pan: Tensor, lms: Tensor, gains: tuple[float, ...], kernel: str) -> Tensor:
    """MTF-GLP-FS: what the MS sensor cannot see of PAN, times a gain fitted at full scale (Vivone et al., TIP 2018)."""
    answer = lms.clone()
    for gain in sorted(set(block.stats.mtf)):  # bands of like sensors share a low-pass
        low = as_ms_sees(block, pan, gain, kernel)
        for band, (mtf, inject) in enumerate(zip(block.stats.mtf, gains)):
            if mtf == gain:
                answer[band] += inject * (pan - low)
    return answer


def as_ms_sees(block: Block, pan: Tensor, gain: float, kernel: str) -> Tensor:
    """PAN through the MS sensor: blurred by its MTF, sampled where MS is, interpolated back (h, w)."""
    (down, up), (across, back) = (
        (upload(matrix, pan.device) for matrix in _there_and_back(block, axis, gain, kernel)) for axis in (0, 1)
    )
    return up @ (down @ pan @ across.T) @ back.T


def _there_and_back(block: Block, axis: int, gain: float, kernel: str) -> tuple[np.ndarray, np.ndarray]:
    """Along one axis, PAN to the MS samples on its ground, and those to PAN again."""
    start, n = (block.window.row, block.window.height) if axis == 0 else (block.window.col, block.window.width)
    first, last = block.on_ms(np.array([start, start + n - 1]), axis)
    samples = np.arange(np.floor(first), np.ceil(last) + 1)
    centres = samples * block.ratio + block.ms_at[axis] - start  # in pixels of pan
    there = blur(centres, n, mtf_sigma(gain, block.ratio), round(BLUR_REACH * block.ratio))
    back = interpolation(block.on_ms(np.arange(start, start + n), axis) - samples[0], len(samples), kernel)
    return there, back


def fitted(block: Block, mtf: tuple[float, ...], kernel: str = "cubic") -> Block:
    """The same block, a whole scene, with its statistics filled in from the pixels that are valid."""
    pan_ok, ms_ok = block.masks()
    seen = block.ms[:, ms_ok]
    bright = float(np.quantile(seen, 0.999)) if seen.size else 0.0
    stats = SceneStats(scale=bright / 0.8 if bright > 0 else 1.0, mtf=tuple(mtf))
    return replace(block, stats=replace(stats, gains=_gains(block, stats.mtf, kernel, pan_ok, ms_ok)))


def _gains(block: Block, mtf, kernel: str, pan_ok: np.ndarray, ms_ok: np.ndarray) -> tuple[float, ...]:
    """The gains of MTF-GLP-FS: cov(lms, pan) / cov(low-pass pan, pan), over the valid pixels."""
    ok = torch.from_numpy(pan_ok & block.nearest_on_ms(ms_ok))
    if not ok.any():
        return (0.0,) * len(mtf)
    around = base_reach("mtf-glp-fs", block.ratio, REACH[kernel])
    pan = torch.from_numpy(filled(block.pan[None], pan_ok, around))[0]
    lms = upsample(block, torch.from_numpy(filled(block.ms, ms_ok, REACH[kernel])), kernel)
    detail = pan[ok].double() - pan[ok].double().mean()
    lows = {gain: as_ms_sees(block, pan, gain, kernel)[ok].double() @ detail for gain in set(mtf)}
    return tuple(
        float(lms[band][ok].double() @ detail / lows[gain]) if lows[gain] > 1e-6 * (detail @ detail) > 0 else 0.0
        for band, gain in enumerate(mtf)
    )


def upsample(block: Block, ms: Tensor, kernel: str, rows: np.ndarray | None = None, cols=None) -> Tensor:
    """MS (C, hm, wm) read at absolute PAN rows and columns, by default those of block.window -> (C, rows, cols)."""
    window = block.window
    rows = np.arange(window.row, window.stop[0]) if rows is None else rows
    cols = np.arange(window.col, window.stop[1]) if cols is None else cols
    down = upload(interpolation(block.on_ms(rows, 0), ms.shape[1], kernel), ms.device)
    across = upload(interpolation(block.on_ms(cols, 1), ms.shape[2], kernel), ms.device)
    return down @ ms @ across.T
