"""Fused images as files on PAN's grid, over any window of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..common.errors import GeometryError, RasterError, one_line
from ..common.pipeline import PerThread
from ..domain.grid import Grid, compose, invert
from ..domain.study import within
from ..domain.window import Window
from .reader import look, open_raster, values

OFF = 0.05
"PAN pixels that the last pixel of an image may lie off PAN's grid"


class Raster:
    """A file whose pixels are PAN's; any thread may read it."""

    def __init__(self, path: str | Path, pan: Grid, name: str = ""):
        self.path, self.name = str(path), name or Path(path).stem
        found, grid = look(self.path)
        self.window = lies(self.path, grid, pan)
        self.whole = all(np.dtype(band.dtype).kind in "iub" for band in found)
        self.numbers = [band.index for band in found]
        self.names = [band.name for band in found]
        self._file = PerThread(lambda: open_raster(self.path))

    @property
    def said(self) -> dict[str, str]:
        """What SSDiff wrote into the file on how it was made."""
        metadata = self._file().GetMetadata() or {}
        return {key[7:].lower(): text for key, text in metadata.items() if key.startswith("SSDIFF_")}

    def close(self) -> None:
        """Closes the file, which is opened again if need be."""
        self._file.close()

    def over(self, window: Window) -> np.ndarray:
        """(bands, h, w) float32 over a window of PAN; NaN where there is nothing, or nothing valid."""
        here = window & self.window
        place = Window(here.row - self.window.row, here.col - self.window.col, *here.shape)
        try:
            bands = [self._band(number, place) for number in self.numbers] if here else None
        except RuntimeError as error:
            raise RasterError(f"{self.path} cannot be read: {one_line(error)}") from None
        return within(np.stack(bands) if bands else None, here, window, len(self.numbers))

    def _band(self, number: int, place: Window) -> np.ndarray:
        image, ok = values(self._file().GetRasterBand(number), place)
        image = image.astype(np.float32)
        if ok is not None:
            image[~ok] = np.nan
        return image


def lies(path: str, grid: Grid, pan: Grid) -> Window:
    """The PAN pixels that a raster covers; its own must be those."""
    if not (grid.placed and pan.placed):
        if grid.window.shape == pan.window.shape:
            return pan.window
        raise GeometryError(f"{path} is not georeferenced and has another size than PAN. PAN: {pan}. {path}: {grid}.")
    t = compose(invert(pan.transform), grid.transform)
    row, col = round(t[3]), round(t[0])
    corners = [
        (t[0] + t[1] * c + t[2] * r - col - c, t[3] + t[4] * c + t[5] * r - row - r)
        for c in (0, grid.width)
        for r in (0, grid.height)
    ]
    if max(abs(off) for corner in corners for off in corner) > OFF:
        raise GeometryError(
            f"{path} does not lie on PAN's pixels; warp it onto them first. PAN: {pan}. {path}: {grid}."
        )
    window = Window(row, col, grid.height, grid.width) & pan.window
    if not window:
        raise GeometryError(f"{path} lies beside PAN. PAN: {pan}. {path}: {grid}.")
    return Window(row, col, grid.height, grid.width)
