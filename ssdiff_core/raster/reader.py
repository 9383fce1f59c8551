"""Rasters read as one scene: where PAN and MS meet, and blocks of both for an engine.

GDAL's errors become sentences here. A `Reader` holds open datasets and belongs to one thread.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from osgeo import gdal, gdal_array, osr

from ..common.errors import GeometryError, RasterError, one_line
from ..domain.block import Block, SceneStats, ms_under
from ..domain.grid import Grid, Placement, cut, place, same_ground, snapped
from ..domain.registration import REACH, Shift, moved, of_scene
from ..domain.scene import Band, Scene
from ..domain.window import Window
from . import polygon_mask, warp

gdal.UseExceptions()


def open_scene(
    pan: str | Path,
    ms: str | Path | Sequence[str | Path],
    bands: Sequence[int] = (),
    extent: tuple[float, float, float, float] | None = None,
) -> Scene:
    """PAN and MS as one scene. ms is one file or one file a band; bands picks and orders its bands, counted from 1."""
    pan_bands, pan_grid = look(str(pan))
    found = bands_of(ms)
    chosen = _pick(list(found), bands)
    ms_grid = found[chosen[0]]
    for band in chosen:
        if found[band] != ms_grid:
            raise GeometryError(
                f"the MS files lie differently. {chosen[0].path}: {ms_grid}. {band.path}: {found[band]}."
            )
    notes = (f"PAN has {len(pan_bands)} bands; the first is used",) if len(pan_bands) > 1 else ()
    start = Scene(pan_bands[0], chosen, pan_grid, ms_grid, pan_grid.window, Placement((0.0, 0.0), 1.0), notes)
    scene = _meet(start)
    if extent is None:
        return scene
    window = scene.window & snapped(pan_grid, extent)
    if not window:
        raise GeometryError(f"the extent holds no ground that PAN and MS share. PAN: {pan_grid}. MS: {ms_grid}.")
    return replace(scene, window=window)


def bands_of(ms: str | Path | Sequence[str | Path]) -> dict[Band, Grid]:
    """All MS bands of one or more files in their order, and how they lie."""
    files = [str(path) for path in ([ms] if isinstance(ms, (str, Path)) else ms)]
    looked = [look(path) for path in files]
    return {band: grid for bands, grid in looked for band in bands}


def open_raster(path: str) -> gdal.Dataset:
    try:
        source = gdal.OpenEx(path, gdal.OF_RASTER | gdal.OF_VERBOSE_ERROR)
    except RuntimeError as error:
        raise RasterError(f"{path} cannot be opened: {one_line(error)}") from None
    with contextlib.suppress(RuntimeError):
        source.GetProjection()  # GDAL 3.13 fails here, once, over a broken file beside the raster; the raster is whole
    return source


def look(path: str) -> tuple[list[Band], Grid]:
    """The bands of a file that hold an image, and its grid."""
    source = open_raster(path)
    bands = []
    for index in range(1, source.RasterCount + 1):
        band = source.GetRasterBand(index)
        if band.GetColorInterpretation() == gdal.GCI_AlphaBand:
            continue
        kind = gdal_array.GDALTypeCodeToNumericTypeCode(band.DataType)
        if kind is None or np.dtype(kind).kind == "c":
            raise RasterError(
                f"{path}: band {index} is of type {gdal.GetDataTypeName(band.DataType)}, no plain numbers"
            )
        masked = not band.GetMaskFlags() & gdal.GMF_ALL_VALID
        told = band.GetDescription(), band.GetNoDataValue(), masked, wavelength(band)
        bands.append(Band(path, index, np.dtype(kind).name, *told))
    if not bands:
        raise RasterError(f"{path} holds no band with an image")
    return bands, grid_of(source)


def wavelength(band: gdal.Band) -> float | None:
    """The centre wavelength of a band in nm, as GDAL or ENVI write it."""
    told = band.GetMetadataItem("CENTRAL_WAVELENGTH_UM", "IMAGERY")
    value, unit = (told, "um") if told else (band.GetMetadataItem(key) for key in ("wavelength", "wavelength_units"))
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number * 1000 if (unit or "").lower().startswith(("um", "mic")) or number < 100 else number


def grid_of(source: gdal.Dataset) -> Grid:
    transform = source.GetGeoTransform(can_return_null=True)
    size = source.RasterYSize, source.RasterXSize
    return Grid(*size, tuple(transform), source.GetProjection()) if transform else Grid(*size, placed=False)


def _pick(bands: list[Band], order: Sequence[int]) -> tuple[Band, ...]:
    for number in order:
        if not 1 <= number <= len(bands):
            raise GeometryError(f"band {number} was asked for; MS has bands 1 to {len(bands)}")
    return tuple(bands[number - 1] for number in order) or tuple(bands)


# --- where MS lies on PAN --------------------------------------------------------------------------------------------


def _meet(scene: Scene) -> Scene:
    """The scene with MS placed on PAN, to be warped if need be."""
    placed = _placed(scene, scene.pan_grid, scene.ms_grid)
    return replace(placed, window=placed.ground)


def _placed(scene: Scene, pan: Grid, ms: Grid) -> Scene:
    if pan.placed != ms.placed:
        raise GeometryError(f"only one of the two is georeferenced. PAN: {pan}. MS: {ms}.")
    if not pan.placed:
        note = "neither PAN nor MS is georeferenced: both are taken to cover the same ground"
        return replace(scene, placement=same_ground(pan, ms), notes=(*scene.notes, note))
    if pan.crs and ms.crs and not _same(pan.crs, ms.crs):
        return _to_warp(scene, "MS has another CRS than PAN")
    placement = place(pan, ms)
    if placement is None:
        return _to_warp(scene, "MS does not run along PAN's rows and columns at one ratio")
    return replace(scene, placement=placement)


def _same(a: str, b: str) -> bool:
    first, second = osr.SpatialReference(wkt=a), osr.SpatialReference(wkt=b)
    return bool(first.IsSame(second, ["IGNORE_DATA_AXIS_TO_SRS_AXIS_MAPPING=YES"]))


def _to_warp(scene: Scene, why: str) -> Scene:
    """The scene with MS to be warped, when it is read, onto PAN's rows and columns at the nearest whole ratio."""
    onto, placement = warp.target(scene.pan_grid, open_raster(scene.ms[0].path))
    note = f"{why}: it is warped onto PAN's grid, at a ratio of {placement.ratio:g}"
    return replace(scene, ms_grid=onto, placement=placement, warped=True, notes=(*scene.notes, note))


# --- reading ---------------------------------------------------------------------------------------------------------


def values(band: gdal.Band, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
    """A band over a window of its pixels, and where it is valid (None: everywhere)."""
    place = window.col, window.row, window.width, window.height
    image = band.ReadAsArray(*place)
    if band.GetMaskFlags() & gdal.GMF_ALL_VALID:
        return image, None
    return image, band.GetMaskBand().ReadAsArray(*place) > 0


class Reader:
    """Blocks of a scene. Belongs to the thread that made it."""

    def __init__(self, scene: Scene, stats: SceneStats | None = None):
        self.scene, self.stats = scene, stats or SceneStats()
        self._open: dict[str, gdal.Dataset] = {}
        self._mask = None

    def read(self, core: Window, reach: int = 0, ms_halo: int = 0) -> Block:
        """A block around core (in PAN pixels, inside the scene) with what an engine wants to see around it.

        PAN is read beyond the scene's window where it and MS go on, so that an extent has no rim.
        """
        scene, at, ratio = self.scene, self.scene.placement.at, self.scene.placement.ratio
        window = core.grow(reach) & scene.ground
        rows, cols = ms_under(window, at, ratio, scene.ms_grid.window.shape, ms_halo)
        top, left = rows.start, cols.start
        pan, valid = self._values(scene.pan, window)
        ms, seen = self._multispectral(Window(top, left, rows.stop - top, cols.stop - left))
        if seen is not None:
            ms = np.where(_grown(~seen), np.float32(np.nan), ms)
        ms_at, wanted = (at[0] + top * ratio, at[1] + left * ratio), self._wanted(core) if scene.mask else None
        return Block(pan, ms, ms_at, ratio, window, core, valid, self.stats, wanted)

    def _wanted(self, core: Window) -> np.ndarray:
        if self._mask is None:
            self._mask = polygon_mask.drawn(self.scene.mask, self.scene.pan_grid.crs)
        return polygon_mask.inside(self._mask, cut(self.scene.pan_grid, core))

    def _multispectral(self, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
        """All MS bands over a window of MS pixels, and where all are valid (None: everywhere)."""
        ms, ratio = self.scene.ms, self.scene.placement.ratio
        furthest = max(abs(step) for band in ms for step in band.off)
        wide = window.grow(math.ceil(furthest / ratio) + REACH) & self.scene.ms_grid.window if furthest else window
        images, valid = [], None
        for band, (image, ok) in zip(ms, self._samples(wide)):
            if furthest:
                image, ok = _put_right(image, ok, wide, window, [step / ratio for step in band.off])
            images.append(image)
            if ok is not None:
                valid = ok if valid is None else valid & ok
        return np.stack(images), valid

    def _samples(self, window: Window) -> Iterable[tuple[np.ndarray, np.ndarray | None]]:
        """Each MS band over a window of MS pixels, and where it is valid."""
        if not self.scene.warped:
            return (self._values(band, window) for band in self.scene.ms)
        files = {path: self._warped(path, window) for path in {band.path for band in self.scene.ms}}
        images = (files[band.path][band.index - 1] for band in self.scene.ms)
        return ((image, np.isfinite(image)) for image in images)

    def _warped(self, path: str, window: Window) -> np.ndarray:
        try:
            return warp.samples(self._dataset(path), self.scene.ms_grid, window)
        except RuntimeError as error:
            raise RasterError(f"{path} cannot be warped onto PAN: {one_line(error)}") from None

    def _values(self, band: Band, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
        try:
            return values(self._dataset(band.path).GetRasterBand(band.index), window)
        except RuntimeError as error:
            raise RasterError(f"{band.path} cannot be read: {one_line(error)}") from None

    def _dataset(self, path: str) -> gdal.Dataset:
        if path not in self._open:
            self._open[path] = open_raster(path)
        return self._open[path]


def _put_right(image: np.ndarray, ok, wide: Window, window: Window, off: Sequence[float]):
    """A band over wide, as it should be over window within it; off is in MS samples."""
    image = np.asarray(image, np.float32)
    image = image if ok is None else np.where(ok, image, np.float32(np.nan))
    image = moved(image, window.within(wide), off)
    return image, None if ok is None else np.isfinite(image)


def alignment(scene: Scene) -> Shift:
    """The shift between PAN and MS, from windows all over the scene."""
    reader = Reader(scene)
    ground = scene.window

    def read(place):
        row, col, height, width = place
        window = Window(ground.row + row, ground.col + col, height, width)
        block = reader.read(window, 0, 4)
        at = tuple(start - first for start, first in zip(block.ms_at, (window.row, window.col)))
        return block.pan, block.ms, at, block.valid

    return of_scene(ground.shape, scene.placement.ratio, read)


def _grown(mask: np.ndarray) -> np.ndarray:
    """A mask and the samples next to it: interpolation from there would lean on what is not known."""
    if not mask.any():
        return mask
    padded = np.pad(mask, 1)
    rows = padded[:-2] | padded[1:-1] | padded[2:]
    return rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]
