"""Opens PAN and MS as one scene, and reads blocks of both for an engine.

Errors of GDAL are raised as RasterError with one sentence. A `Reader` holds open datasets and belongs to one thread.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from osgeo import gdal, gdal_array, osr

from ..common.errors import GeometryError, RasterError, one_line
from ..common.notices import notice
from ..common.texts import decoded
from ..domain.block import Block, SceneStats, ms_under
from ..domain.fill import dilated, fill_mask
from ..domain.grid import Grid, Placement, checked, cut, place, same_ground, snapped
from ..domain.registration import SHIFT_REACH, Shift, estimate_shift, resample_shifted, windows
from ..domain.scene import Band, Scene
from ..domain.sensors import names_a_band
from ..domain.window import Window
from . import metadata, network, polygon_mask, warp
from .input_files import check_readable

gdal.UseExceptions()


def open_scene(
    pan: str | Path,
    ms: str | Path | Sequence[str | Path],
    bands: Sequence[int] = (),
    extent: tuple[float, float, float, float] | None = None,
) -> Scene:
    """Returns PAN and MS as one scene.

    ms: one file, or one file for each band. bands: numbers of the MS bands from 1, in output order. extent: xmin,
    ymin, xmax, ymax in the CRS of PAN that the output is restricted to.
    """
    pan_bands, pan_grid = read_header(str(pan))
    found = bands_of(ms)
    chosen = _pick(list(found), bands)
    ms_grid = found[chosen[0]]
    for band in chosen:
        if found[band] != ms_grid:
            raise GeometryError(
                notice(
                    "ms_grids",
                    first=chosen[0].path,
                    first_grid=str(ms_grid),
                    second=band.path,
                    second_grid=str(found[band]),
                )
            )
    notices = (notice("pan_has_several_bands", count=len(pan_bands)),) if len(pan_bands) > 1 else ()
    start = Scene(pan_bands[0], chosen, pan_grid, ms_grid, pan_grid.window, Placement((0.0, 0.0), 1.0), notices)
    scene = _with_placement(start)
    if extent is None:
        return scene
    window = scene.window & snapped(pan_grid, extent)
    if not window:
        raise GeometryError(notice("extent_outside", pan=str(pan_grid), ms=str(ms_grid)))
    return replace(scene, window=window)


def bands_of(ms: str | Path | Sequence[str | Path]) -> dict[Band, Grid]:
    """Returns the bands of one or more MS files in their order, each with its grid."""
    files = [str(path) for path in ([ms] if isinstance(ms, (str, Path)) else ms)]
    return {band: grid for bands, grid in map(read_header, files) for band in bands}


def limit_cache(memory: int) -> None:
    """Sets the size of GDAL's cache for a run that may hold this many MiB; GDAL's default depends on the machine."""
    gdal.SetCacheMax(max(memory // 4, 64) * 2**20)


def open_raster(path: str) -> gdal.Dataset:
    network.check(path)
    check_readable(path)
    try:
        source = gdal.OpenEx(path, gdal.OF_RASTER | gdal.OF_VERBOSE_ERROR, **metadata.siblings(path))
    except RuntimeError as error:
        raise RasterError(notice("cannot_open", path=str(path), reason=one_line(error))) from None
    metadata.crs(source)  # GDAL 3.13 fails here, once, if a file next to the raster is broken
    metadata.files(source)  # and older ones here, if it is a folder
    return source


def _named(function):
    """Decorates a function that reads the file `path`, so that its errors name the file."""

    @functools.wraps(function)
    def named(path: str):
        try:
            return function(path)
        except RuntimeError as error:
            raise RasterError(notice("cannot_read", path=str(path), reason=one_line(error))) from None

    return named


@_named
def read_header(path: str) -> tuple[list[Band], Grid]:
    """Returns the bands of a file, without alpha bands, and its grid."""
    source = open_raster(path)
    bands = []
    for index in range(1, source.RasterCount + 1):
        band = source.GetRasterBand(index)
        if band.GetColorInterpretation() == gdal.GCI_AlphaBand:
            continue
        kind = gdal_array.GDALTypeCodeToNumericTypeCode(band.DataType)
        if kind is None or np.dtype(kind).kind == "c":
            raise RasterError(
                notice("band_type", path=str(path), index=index, dtype=gdal.GetDataTypeName(band.DataType))
            )
        masked = not band.GetMaskFlags() & gdal.GMF_ALL_VALID
        description = metadata.description(band), band.GetNoDataValue(), masked, wavelength(band)
        bands.append(Band(path, index, np.dtype(kind).name, *description, colour=colour(band)))
    if not bands:
        raise RasterError(notice("no_image_band", path=str(path)))
    return bands, grid_of(source)


def wavelength(band: gdal.Band) -> float | None:
    """Returns the centre wavelength of a band in nm, from the metadata of GDAL or ENVI; None if unknown."""
    um = metadata.entry(band, "CENTRAL_WAVELENGTH_UM", "IMAGERY")
    value, unit = (um, "um") if um else (metadata.entry(band, key) for key in ("wavelength", "wavelength_units"))
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number * 1000 if (unit or "").lower().startswith(("um", "mic")) or number < 100 else number


def colour(band: gdal.Band) -> str:
    """Returns the name of a band by its colour interpretation; empty if that names none."""
    name = gdal.GetColorInterpretationName(band.GetColorInterpretation())
    return name.lower() if names_a_band(name) else ""


def grid_of(source: gdal.Dataset) -> Grid:
    """Returns the grid of an open raster."""
    transform = source.GetGeoTransform(can_return_null=True)
    size = source.RasterYSize, source.RasterXSize
    if not transform:
        return Grid(*size, placed=False)
    return checked(Grid(*size, tuple(transform), metadata.crs(source)), decoded(source.GetDescription()))


def _pick(bands: list[Band], order: Sequence[int]) -> tuple[Band, ...]:
    for number in order:
        if not 1 <= number <= len(bands):
            raise GeometryError(notice("no_such_band", number=number, count=len(bands)))
    return tuple(bands[number - 1] for number in order) or tuple(bands)


# --- the placement of MS on PAN --------------------------------------------------------------------------------------


def _with_placement(scene: Scene) -> Scene:
    """Returns the scene with MS placed on PAN, marked to be warped if necessary."""
    placed = _placed(scene, scene.pan_grid, scene.ms_grid)
    return replace(placed, window=placed.ground)


def _placed(scene: Scene, pan: Grid, ms: Grid) -> Scene:
    if pan.placed != ms.placed:
        raise GeometryError(notice("one_georeferenced", pan=str(pan), ms=str(ms)))
    if not pan.placed:
        return replace(scene, placement=same_ground(pan, ms), notices=(*scene.notices, notice("not_georeferenced")))
    if pan.crs and ms.crs and not _same(pan.crs, ms.crs):
        return _to_warp(scene, "ms_warped_other_crs")
    placement = place(pan, ms)
    if placement is None:
        return _to_warp(scene, "ms_warped_not_parallel")
    return replace(scene, placement=placement)


def _same(a: str, b: str) -> bool:
    first, second = osr.SpatialReference(wkt=a), osr.SpatialReference(wkt=b)
    return bool(first.IsSame(second, ["IGNORE_DATA_AXIS_TO_SRS_AXIS_MAPPING=YES"]))


def _to_warp(scene: Scene, kind: str) -> Scene:
    """Returns the scene with MS to be warped to PAN's rows and columns at a whole ratio; kind: of the notice."""
    ms_grid, placement = warp.target(scene.pan_grid, open_raster(scene.ms[0].path))
    notices = (*scene.notices, notice(kind, ratio=placement.ratio))
    return replace(scene, ms_grid=ms_grid, placement=placement, warped=True, notices=notices)


# --- reading ---------------------------------------------------------------------------------------------------------


def read_window(band: gdal.Band, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns the pixels of a band in a window, and their valid mask (None: all are valid)."""
    place = window.col, window.row, window.width, window.height
    image = band.ReadAsArray(*place)
    if band.GetMaskFlags() & gdal.GMF_ALL_VALID:
        return image, None
    return image, band.GetMaskBand().ReadAsArray(*place) > 0


class Reader:
    """Reads blocks of a scene. Use it only in the thread that created it."""

    def __init__(self, scene: Scene, stats: SceneStats | None = None):
        self.scene, self.stats = scene, stats or SceneStats()
        self._open: dict[str, gdal.Dataset] = {}
        self._mask = None

    def read(self, core: Window, reach: int = 0, ms_halo: int = 0) -> Block:
        """Reads the block around `core` (PAN pixels inside the scene) with the margins that an engine needs.

        reach: PAN pixels around the core; ms_halo: MS pixels around that. Both are read beyond the scene's window
        where the files continue, so that an extent has no edge effects.
        """
        scene, at, ratio = self.scene, self.scene.placement.at, self.scene.placement.ratio
        window = core.grow(reach) & scene.ground
        rows, cols = ms_under(window, at, ratio, scene.ms_grid.window.shape, ms_halo)
        top, left = rows.start, cols.start
        pan, valid = self._values(scene.pan, window)
        ms, seen = self._multispectral(Window(top, left, rows.stop - top, cols.stop - left))
        if seen is not None:
            ms = np.where(dilated(~seen), np.float32(np.nan), ms)  # interpolation there would use invalid samples
        ms_at, requested = (at[0] + top * ratio, at[1] + left * ratio), self._requested(core) if scene.mask else None
        return Block(pan, ms, ms_at, ratio, window, core, valid, self.stats, requested)

    def _requested(self, core: Window) -> np.ndarray:
        if self._mask is None:
            self._mask = polygon_mask.as_layer(self.scene.mask, self.scene.pan_grid.crs)
        return polygon_mask.inside(self._mask, cut(self.scene.pan_grid, core))

    def _multispectral(self, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns all MS bands in a window of MS pixels, and the mask where all are valid (None: everywhere)."""
        how, placement = self.scene.resampling, self.scene.placement
        if how is None:
            return self._of_files(window, placement.ratio, self.scene.ms_grid)
        blurs = [band.blur for band in self.scene.ms]
        samples = self._of_files(how.samples(window, placement, blurs), how.placement.ratio, how.grid)
        return how.resample(*samples, window, placement, blurs)

    def _of_files(self, window: Window, ratio: float, grid: Grid) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns the same for a window of the samples of the files, which have this ratio and grid."""
        ms = self.scene.ms
        furthest = max(abs(step) for band in ms for step in band.offset)
        wide = window.grow(math.ceil(furthest / ratio) + SHIFT_REACH) & grid.window if furthest else window
        images, valid = [], None
        for band, (image, ok) in zip(ms, self._samples(wide, grid)):
            if furthest:
                image, ok = _corrected(image, ok, wide, window, [step / ratio for step in band.offset])
            images.append(image)
            if ok is not None:
                valid = ok if valid is None else valid & ok
        return np.stack(images), valid

    def _samples(self, window: Window, grid: Grid) -> Iterable[tuple[np.ndarray, np.ndarray | None]]:
        """Yields the pixels of each MS band in a window of MS pixels, and their valid mask."""
        if not self.scene.warped:
            return (self._values(band, window) for band in self.scene.ms)
        files = {
            band.path: self._warped(band, window, grid) for band in {band.path: band for band in self.scene.ms}.values()
        }
        images = (files[band.path][band.index - 1] for band in self.scene.ms)
        return ((image, np.isfinite(image)) for image in images)

    def _warped(self, band: Band, window: Window, grid: Grid) -> np.ndarray:
        """Returns all bands of the band's file in a window of MS pixels."""
        try:
            return warp.samples(self._dataset(band.path), grid, window, band.fill)
        except RuntimeError as error:
            raise RasterError(notice("cannot_warp", path=str(band.path), reason=one_line(error))) from None

    def _values(self, band: Band, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
        try:
            image, ok = read_window(self._dataset(band.path).GetRasterBand(band.index), window)
        except RuntimeError as error:
            raise RasterError(notice("cannot_read", path=band.path, reason=one_line(error))) from None
        missing, image = fill_mask(image, band.fill), _within_float32(image)
        return (image, ok) if missing is None else (image, ~missing if ok is None else ok & ~missing)

    def _dataset(self, path: str) -> gdal.Dataset:
        if path not in self._open:
            self._open[path] = open_raster(path)
        return self._open[path]


def _within_float32(image: np.ndarray) -> np.ndarray:
    """Returns an image whose values beyond float32, in which is computed, are infinite, and so invalid."""
    if image.dtype != np.float64:
        return image
    limit = float(np.finfo(np.float32).max)
    return np.where(np.abs(image) > limit, np.copysign(np.inf, image), image)


def _corrected(image: np.ndarray, ok, wide: Window, window: Window, off: Sequence[float]):
    """Returns a band, read over `wide`, at `window` with its offset (in MS samples) corrected, and its valid mask."""
    image = np.asarray(image, np.float32)
    image = image if ok is None else np.where(ok, image, np.float32(np.nan))
    image = resample_shifted(image, window.within(wide), off)
    return image, None if ok is None else np.isfinite(image)


def blocks_over(scene: Scene, maximum: int) -> Iterator[Block]:
    """Yields up to `maximum` small blocks all over the scene."""
    reader, ground = Reader(scene.whole), scene.ground
    for row, col, height, width in windows(ground.shape, scene.placement.ratio, maximum):
        yield reader.read(Window(ground.row + row, ground.col + col, height, width), 0, 1)


def alignment(scene: Scene) -> Shift:
    """Returns the shift of MS against PAN, measured on windows all over the scene, also outside of its extent."""
    reader = Reader(scene.whole)
    ground = scene.ground

    def read(place):
        row, col, height, width = place
        window = Window(ground.row + row, ground.col + col, height, width)
        block = reader.read(window, 0, 4)
        at = tuple(start - first for start, first in zip(block.ms_at, (window.row, window.col)))
        return block.pan, block.ms, at, block.valid

    return estimate_shift(ground.shape, scene.placement.ratio, read)
