"""Nodata of the inputs beyond what their files declare: the user's value, and fill that is recognised."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..common.notices import Notify, notice
from ..domain.fill import find_fill
from ..domain.scene import Band, Scene
from .scene_sample import sampled


def with_input_nodata(scene: Scene, nodata: float | None, notify: Notify) -> Scene:
    """Returns the scene with pixels of this value invalid; NaN: none but those that the files declare.

    None: a raster that declares no nodata, and has neither a mask nor an alpha band, is searched for fill; certain fill
    is nodata, and other values that look like it are reported.
    """
    if nodata is not None and math.isnan(nodata):
        return scene
    pan, ms = ((nodata,) * 2) if nodata is not None else (_found(bands, notify) for bands in ([scene.pan], scene.ms))
    return replace(scene, pan=_with(scene.pan, pan), ms=tuple(_with(band, ms) for band in scene.ms))


def _found(bands: Sequence[Band], notify: Notify) -> float | None:
    """Returns the certain fill of a raster, if it has any, and reports what looks like fill."""
    if any(band.masked for band in bands):
        return None
    fill = find_fill(sampled(bands))
    if fill is None:
        return None
    kind = "fill_is_nodata" if fill.certain else "fill_suspected"
    notify(notice(kind, path=bands[0].path, value=fill.value, share=fill.share))
    return fill.value if fill.certain else None


def _with(band: Band, value: float | None) -> Band:
    """Returns the band with this value as nodata, if its data type holds it."""
    kind = np.dtype(band.dtype)
    if value is None or (kind.kind != "f" and not _is_held(kind, value)):
        return band
    return replace(band, fill=value, nodata=value if band.nodata is None else band.nodata, masked=True)


def _is_held(kind: np.dtype, value: float) -> bool:
    limits = np.iinfo(kind)
    return float(value).is_integer() and limits.min <= value <= limits.max
