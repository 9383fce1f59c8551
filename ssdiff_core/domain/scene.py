"""A PAN and an MS raster as one scene: plain values that can be logged, compared and sent to another process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..common.notices import Notice
from .grid import Grid, Placement, cut, ground
from .resampling import Resampling
from .window import Window


@dataclass(frozen=True)
class Band:
    """A band of a raster file."""

    path: str
    index: int
    dtype: str
    "name of the NumPy data type"
    name: str = ""
    nodata: float | None = None
    masked: bool = False
    "whether pixels can be invalid: by a nodata value, an alpha band or a mask"
    wavelength: float | None = None
    "centre wavelength, nm"
    fill: float | None = None
    "value that counts as nodata though the file does not declare it"
    colour: str = ""
    "name of the band by GDAL's colour interpretation"
    offset: tuple[float, float] = (0.0, 0.0)
    "offset of this band from the placement, in PAN rows and columns; it is corrected when the band is read"
    blur: float = 0.0
    "standard deviation, in samples of the file, of the Gaussian that the band is blurred by if MS is resampled"


@dataclass(frozen=True)
class Scene:
    """A PAN raster and the MS bands of the same ground. `raster.reader.Reader` reads its pixels."""

    pan: Band
    ms: tuple[Band, ...]
    pan_grid: Grid
    ms_grid: Grid
    "grid of the MS files, or the grid that they are warped onto or brought to"
    window: Window
    "extent of the output, in PAN pixels"
    placement: Placement
    notices: tuple[Notice, ...] = ()
    "notices of opening the files, to be shown once"
    warped: bool = False
    "whether MS is warped when it is read"
    mask: str = ""
    "polygons as WKT in the CRS of PAN; pixels outside are not computed"
    resampling: Resampling | None = None
    "how MS is brought to the ratio of weights when it is read; None: it has the ratio of its files"

    @property
    def grid(self) -> Grid:
        "Grid of the output."
        return cut(self.pan_grid, self.window)

    @property
    def dtype(self) -> np.dtype:
        "NumPy data type that holds the values of all MS bands."
        return np.result_type(*(np.dtype(band.dtype) for band in self.ms))

    @property
    def masked(self) -> bool:
        "Whether output pixels can be invalid."
        return self.pan.masked or any(band.masked for band in self.ms) or self.warped or bool(self.mask)

    @property
    def files(self) -> tuple[str, ...]:
        "Path of PAN, then of each MS file once."
        return (self.pan.path, *dict.fromkeys(band.path for band in self.ms))

    @property
    def ground(self) -> Window:
        "PAN pixels that both rasters cover, also outside `window`."
        how = self.resampling
        return ground(self.pan_grid, *((how.grid, how.placement) if how else (self.ms_grid, self.placement)))

    @property
    def whole(self) -> Scene:
        "The scene without the limits of an extent or a mask. What is measured on it is the same for all its parts."
        return replace(self, window=self.ground, mask="")

    def shifted(self, rows: float, cols: float, bands: Sequence[tuple[float, float]] = ()) -> Scene:
        """Returns the scene with a shift of MS corrected.

        rows, cols: PAN pixels by which MS is too far down and right. bands: the same for each band, in addition.
        """
        row, col = self.placement.at
        corrected = replace(self, placement=replace(self.placement, at=(row - rows, col - cols)))
        ms = tuple(replace(band, offset=tuple(offset)) for band, offset in zip(self.ms, bands)) or self.ms
        return replace(corrected, ms=ms, window=self.window & corrected.ground)
