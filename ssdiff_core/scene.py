"""A PAN and an MS raster as one scene: where they meet, and blocks of both for an engine.

GDAL's errors become sentences here. A `Scene` is plain values and may go anywhere; a `Reader` holds open datasets and
belongs to one thread.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from osgeo import gdal, gdal_array, osr

from .align import Shift, of_scene
from .blocks import Block, SceneStats, ms_under
from .errors import GeometryError, RasterError
from .grid import RATIOS, Grid, Placement, compose, covered, cut, invert, place, same_ground, snapped
from .tiles import Window

gdal.UseExceptions()


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


@dataclass(frozen=True)
class Scene:
    pan: Band
    ms: tuple[Band, ...]
    pan_grid: Grid
    window: Window
    "the output, in PAN pixels"
    placement: Placement
    notes: tuple[str, ...] = ()
    "what the user should hear, once"
    warp: Window | None = None
    "where MS has to be warped first: the PAN pixels that the warped MS covers"

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
        return self.pan.masked or any(band.masked for band in self.ms) or self.warp is not None


def open_scene(
    pan: str | Path,
    ms: str | Path | Sequence[str | Path],
    bands: Sequence[int] = (),
    extent: tuple[float, float, float, float] | None = None,
) -> Scene:
    """PAN and MS as one scene. ms is one file or one file a band; bands picks and orders its bands, counted from 1."""
    files = [str(path) for path in ([ms] if isinstance(ms, (str, Path)) else ms)]
    pan_bands, pan_grid = look(str(pan))
    looked = [look(path) for path in files]
    ms_grid = looked[0][1]
    for path, (_, grid) in zip(files, looked):
        if grid != ms_grid:
            raise GeometryError(f"the MS files lie differently. {files[0]}: {ms_grid}. {path}: {grid}.")
    chosen = _pick([band for found, _ in looked for band in found], bands)
    notes = (f"PAN has {len(pan_bands)} bands; the first is used",) if len(pan_bands) > 1 else ()
    start = Scene(pan_bands[0], chosen, pan_grid, pan_grid.window, Placement((0.0, 0.0), 1.0), notes)
    scene = _meet(start, ms_grid)
    if extent is None:
        return scene
    window = scene.window & snapped(pan_grid, extent)
    if not window:
        raise GeometryError(f"the extent holds no ground that PAN and MS share. PAN: {pan_grid}. MS: {ms_grid}.")
    return replace(scene, window=window)


def open_raster(path: str) -> gdal.Dataset:
    try:
        return gdal.OpenEx(path, gdal.OF_RASTER | gdal.OF_VERBOSE_ERROR)
    except RuntimeError as error:
        raise RasterError(f"{path} cannot be opened: {one_line(error)}") from None


def one_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


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
        bands.append(Band(path, index, np.dtype(kind).name, band.GetDescription(), band.GetNoDataValue(), masked))
    if not bands:
        raise RasterError(f"{path} holds no band with an image")
    return bands, grid_of(source)


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


def _meet(scene: Scene, ms: Grid) -> Scene:
    """The scene with MS placed on PAN, to be warped if need be."""
    pan = scene.pan_grid
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
    here = covered(compose(invert(pan.transform), ms.transform), ms)
    return replace(scene, placement=placement, window=here & pan.window)


def _same(a: str, b: str) -> bool:
    first, second = osr.SpatialReference(wkt=a), osr.SpatialReference(wkt=b)
    return bool(first.IsSame(second, ["IGNORE_DATA_AXIS_TO_SRS_AXIS_MAPPING=YES"]))


def _to_warp(scene: Scene, why: str) -> Scene:
    """The scene with MS to be warped, when it is read, onto PAN's rows and columns at the nearest whole ratio."""
    pan = scene.pan_grid
    if pan.transform[2] or pan.transform[4]:
        raise GeometryError(f"{why}, and PAN is rotated: warp PAN to a north-up grid first. PAN: {pan}.")
    try:
        rough = grid_of(gdal.Warp("", open_raster(scene.ms[0].path), format="VRT", dstSRS=pan.crs or None))
    except RuntimeError as error:
        raise GeometryError(f"{why}, and it cannot be warped: {one_line(error)}") from None
    to_pan = compose(invert(pan.transform), rough.transform)
    ratio = round(math.sqrt(abs(to_pan[1] * to_pan[5])))
    if not RATIOS[0] <= ratio <= RATIOS[1]:
        raise GeometryError(f"MS pixels are about {ratio} times PAN's; no pair to pansharpen. PAN: {pan}. MS: {rough}.")
    here = covered(to_pan, rough) & pan.window
    if not here:
        raise GeometryError(f"PAN and MS do not overlap. PAN: {pan}. MS: {rough}.")
    row, col = here.row // ratio * ratio, here.col // ratio * ratio
    height, width = (-(-(stop - start) // ratio) * ratio for stop, start in zip(here.stop, (row, col)))
    return replace(
        scene,
        window=here,
        placement=Placement((row + (ratio - 1) / 2, col + (ratio - 1) / 2), float(ratio)),
        warp=Window(row, col, height, width),
        notes=(*scene.notes, f"{why}: it is warped onto PAN's grid, at a ratio of {ratio}"),
    )


# --- reading ---------------------------------------------------------------------------------------------------------


class Reader:
    """Blocks of a scene. Belongs to the thread that made it."""

    def __init__(self, scene: Scene, stats: SceneStats | None = None):
        self.scene, self.stats = scene, stats or SceneStats()
        self._open: dict[tuple[str, bool], gdal.Dataset] = {}
        ms = self._dataset(scene.ms[0].path, warped=True)
        self._ms_size = ms.RasterYSize, ms.RasterXSize

    def read(self, core: Window, reach: int = 0, ms_halo: int = 0) -> Block:
        """A block around core (in PAN pixels, inside the scene) with what an engine wants to see around it.

        PAN is read beyond the scene's window where it and MS go on, so that an extent has no rim.
        """
        scene, at, ratio = self.scene, self.scene.placement.at, self.scene.placement.ratio
        window = core.grow(reach) & self.ground
        rows, cols = ms_under(window, at, ratio, self._ms_size, ms_halo)
        top, left = rows.start, cols.start
        ms_window = Window(top, left, rows.stop - top, cols.stop - left)
        pan, valid = self._values(scene.pan, window, warped=False)
        ms, seen = self._multispectral(ms_window)
        if seen is not None:
            ms = np.where(_grown(~seen), np.float32(np.nan), ms)
        return Block(pan, ms, (at[0] + top * ratio, at[1] + left * ratio), ratio, window, core, valid, self.stats)

    @property
    def ground(self) -> Window:
        """The PAN pixels that both rasters cover, also beyond the extent asked for."""
        scene = self.scene
        if scene.warp:
            return scene.warp & scene.pan_grid.window
        at, ratio = scene.placement.at, scene.placement.ratio
        first = [math.ceil(start - ratio / 2 - 1e-6) for start in at]
        stop = [math.ceil(start + (n - 0.5) * ratio - 1e-6) for start, n in zip(at, self._ms_size)]
        return Window(first[0], first[1], stop[0] - first[0], stop[1] - first[1]) & scene.pan_grid.window

    def _multispectral(self, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
        """All MS bands over a window of MS pixels, and where all are valid (None: everywhere)."""
        images, valid = [], None
        for band in self.scene.ms:
            image, ok = self._values(band, window, warped=True)
            images.append(image)
            if ok is not None:
                valid = ok if valid is None else valid & ok
        return np.stack(images), valid

    def _values(self, band: Band, window: Window, warped: bool) -> tuple[np.ndarray, np.ndarray | None]:
        source = self._dataset(band.path, warped).GetRasterBand(band.index)
        place = window.col, window.row, window.width, window.height
        try:
            image = source.ReadAsArray(*place)
            if source.GetMaskFlags() & gdal.GMF_ALL_VALID:
                return image, None
            return image, source.GetMaskBand().ReadAsArray(*place) > 0
        except RuntimeError as error:
            raise RasterError(f"{band.path} cannot be read: {one_line(error)}") from None

    def _dataset(self, path: str, warped: bool) -> gdal.Dataset:
        if (path, warped) not in self._open:
            source = open_raster(path)
            self._open[path, warped] = self._warped(source) if warped and self.scene.warp else source
        return self._open[path, warped]

    def _warped(self, source: gdal.Dataset) -> gdal.Dataset:
        grid = cut(self.scene.pan_grid, self.scene.warp)
        step = self.scene.placement.ratio
        return gdal.Warp(
            "",
            source,
            format="VRT",
            dstSRS=grid.crs or None,
            outputBounds=grid.footprint(),
            xRes=abs(grid.transform[1]) * step,
            yRes=abs(grid.transform[5]) * step,
            resampleAlg="cubic",
            outputType=gdal.GDT_Float32,
            dstNodata=float("nan"),
        )


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
