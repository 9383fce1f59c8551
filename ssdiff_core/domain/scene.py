"""A PAN and an MS raster as one scene: plain values, which may be logged, compared and sent to another process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .grid import Grid, Placement, cut, ground
from .window import Window


@dataclass(frozen=True)
class Band:
    """One band of one file."""

    path: str
    index: int
    dtype: str
    "numpy's name of the type"
    name: str = ""
    nodata: float | None = None
    masked: bool = False
    "whether there may be pixels without a value: by a nodata value, an alpha band or a mask"
    wavelength: float | None = None
    "its centre, nm"
    off: tuple[float, float] = (0.0, 0.0)
    "PAN rows and columns that this band lies off where the placement says; it is put right as it is read"


@dataclass(frozen=True)
class Scene:
    pan: Band
    ms: tuple[Band, ...]
    pan_grid: Grid
    ms_grid: Grid
    "of the MS files, or what they are warped onto"
    window: Window
    "the output, in PAN pixels"
    placement: Placement
    notes: tuple[str, ...] = ()
    "what the user should hear, once"
    warped: bool = False
    "whether MS has to be warped as it is read"
    mask: str = ""
    "polygons as WKT, in the CRS of PAN, outside of which nothing is wanted"

    @property
    def grid(self) -> Grid:
        "Grid of the output."
        return cut(self.pan_grid, self.window)

    @property
    def dtype(self) -> np.dtype:
        "The type that holds what all MS bands hold."
        return np.result_type(*(np.dtype(band.dtype) for band in self.ms))

    @property
    def masked(self) -> bool:
        return self.pan.masked or any(band.masked for band in self.ms) or self.warped or bool(self.mask)

    @property
    def files(self) -> tuple[str, ...]:
        "PAN's, and each of MS once."
        return (self.pan.path, *dict.fromkeys(band.path for band in self.ms))

    @property
    def ground(self) -> Window:
        "The PAN pixels that both rasters cover, also beyond the extent asked for."
        return ground(self.pan_grid, self.ms_grid, self.placement)

    def shifted(self, rows: float, cols: float, bands: Sequence[tuple[float, float]] = ()) -> Scene:
        """The scene with MS taken to lie so many PAN pixels too far down and right, and its bands so many more."""
        row, col = self.placement.at
        put_right = replace(self, placement=replace(self.placement, at=(row - rows, col - cols)))
        ms = tuple(replace(band, off=tuple(off)) for band, off in zip(self.ms, bands)) or self.ms
        return replace(put_right, ms=ms, window=self.window & put_right.ground)
