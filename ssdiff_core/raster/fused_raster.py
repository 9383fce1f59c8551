"""Fused images on PAN's grid, read by windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..common.errors import GeometryError, RasterError, one_line
from ..common.notices import notice
from ..common.pipeline import PerThread
from ..domain.grid import Grid, compose, invert
from ..domain.study import within
from ..domain.window import Window
from . import metadata
from .reader import open_raster, read_header, read_window

GRID_TOLERANCE = 0.05
"largest distance of a corner of the image from PAN's pixel grid, in PAN pixels"


class Raster:
    """An image file on the pixel grid of PAN. Any thread may read it."""

    def __init__(self, path: str | Path, pan: Grid, name: str = ""):
        self.path, self.name = str(path), name or Path(path).stem
        found, grid = read_header(self.path)
        self.window = window_on(self.path, grid, pan)
        self.whole = all(np.dtype(band.dtype).kind in "iub" for band in found)
        self.numbers = [band.index for band in found]
        self.names = [band.name for band in found]
        self._file = PerThread(lambda: open_raster(self.path))

    @property
    def provenance(self) -> dict[str, str]:
        """Provenance that SSDiff wrote into the file, by lower-case key."""
        found = metadata.entries(self._file())
        return {key[7:].lower(): text for key, text in found.items() if key.startswith("SSDIFF_")}

    def close(self) -> None:
        """Closes the file; reading opens it again."""
        self._file.close()

    def read(self, window: Window) -> np.ndarray:
        """Reads a window of PAN -> (bands, h, w) float32, NaN outside the image and where it is invalid."""
        inside = window & self.window
        place = Window(inside.row - self.window.row, inside.col - self.window.col, *inside.shape)
        try:
            bands = [self._band(number, place) for number in self.numbers] if inside else None
        except RuntimeError as error:
            raise RasterError(notice("cannot_read", path=str(self.path), reason=one_line(error))) from None
        return within(np.stack(bands) if bands else None, inside, window, len(self.numbers))

    def _band(self, number: int, place: Window) -> np.ndarray:
        image, ok = read_window(self._file().GetRasterBand(number), place)
        image = image.astype(np.float32)
        if ok is not None:
            image[~ok] = np.nan
        return image


def window_on(path: str, grid: Grid, pan: Grid) -> Window:
    """Returns the window of PAN that a raster covers; raises GeometryError if it is not on PAN's pixel grid."""
    if not (grid.placed and pan.placed):
        if grid.window.shape == pan.window.shape:
            return pan.window
        raise GeometryError(notice("fused_size", path=str(path), pan=str(pan), grid=str(grid)))
    t = compose(invert(pan.transform), grid.transform)
    row, col = round(t[3]), round(t[0])
    corners = [
        (t[0] + t[1] * c + t[2] * r - col - c, t[3] + t[4] * c + t[5] * r - row - r)
        for c in (0, grid.width)
        for r in (0, grid.height)
    ]
    if max(abs(off) for corner in corners for off in corner) > GRID_TOLERANCE:
        raise GeometryError(notice("fused_off_grid", path=str(path), pan=str(pan), grid=str(grid)))
    window = Window(row, col, grid.height, grid.width) & pan.window
    if not window:
        raise GeometryError(notice("fused_elsewhere", path=str(path), pan=str(pan), grid=str(grid)))
    return Window(row, col, grid.height, grid.width)
