"""Warping of MS that is not parallel to PAN's rows and columns: the target grid, and reading samples on it.

The grid may be rotated, which GDAL's warped VRT does not support. Positions are computed exactly and the kernel is the
same everywhere, so that a sample does not depend on the window that it is read with.
"""

from __future__ import annotations

import math

import numpy as np
from osgeo import gdal

from ..common.errors import GeometryError, RasterError, one_line
from ..common.notices import notice
from ..domain.grid import Grid, Placement, check_ratio, compose, cut, lattice
from ..domain.window import Window

EDGE_POINTS = 32
"intervals along each side of MS whose ends are transformed to find its extent on PAN"
Points = list[tuple[float, float]]


def target(pan: Grid, source: gdal.Dataset) -> tuple[Grid, Placement]:
    """Returns the grid parallel to PAN at the nearest integer ratio that covers MS, and its placement.

    The central sample of MS is on the grid, so that the samples of an MS that is only mirrored keep their values.
    """
    transformer = _transformer(source, pan)
    ms = Window(0, 0, source.RasterYSize, source.RasterXSize)
    edge = _outline(ms)
    seen = _transformed(transformer, edge, back=False)
    covered = (
        _bounds(seen, pan.window) if len(seen) == len(edge) else pan.window
    )  # a part of MS is outside the domain of the projection
    if not covered:
        size = f"{ms.width} x {ms.height} pixels"
        raise GeometryError(notice("no_overlap", pan=str(pan), ms=size))
    middle = _transformed(transformer, [(covered.col + covered.width / 2, covered.row + covered.height / 2)], back=True)
    x, y = (math.floor(at) + 0.5 for at in middle[0])
    centre, right, below = _transformed(transformer, [(x, y), (x + 1, y), (x, y + 1)], back=False)
    ratio = _ratio(centre, right, below)
    check_ratio(ratio, pan, f"{ms.width} x {ms.height} pixels")
    return _grid_through(pan, covered, tuple(round(at, 6) for at in centre), max(round(ratio), 2))


def samples(source: gdal.Dataset, grid: Grid, window: Window, fill: float | None = None) -> np.ndarray:
    """Reads all bands but alpha in a window of the grid -> (bands, h, w), NaN where there is no data.

    fill: value of pixels without data instead of that which the file declares.
    """
    last = source.GetRasterBand(source.RasterCount).GetColorInterpretation()
    canvas = _canvas(cut(grid, window), source.RasterCount - (last == gdal.GCI_AlphaBand))
    no_data = "INIT_DEST=nan"  # lower case: GDAL 3.10 reads NAN as 0
    fixed = [no_data, "XSCALE=1", "YSCALE=1"]  # otherwise the kernel's width depends on the window
    missing = {} if fill is None else {"srcNodata": repr(fill)}
    gdal.Warp(canvas, source, resampleAlg="cubic", errorThreshold=0, warpOptions=fixed, **missing)
    return canvas.ReadAsArray(buf_type=gdal.GDT_Float32).reshape(canvas.RasterCount, *window.shape)


def _canvas(grid: Grid, bands: int) -> gdal.Dataset:
    canvas = gdal.GetDriverByName("MEM").Create("", grid.width, grid.height, bands, gdal.GDT_Float32)
    canvas.SetGeoTransform(grid.transform)
    canvas.SetProjection(grid.crs)
    return canvas


def _transformer(source: gdal.Dataset, pan: Grid) -> gdal.Transformer:
    try:
        return gdal.Transformer(source, _canvas(pan, 0), [])
    except RuntimeError as error:
        raise GeometryError(notice("cannot_warp_ms", reason=one_line(error))) from None


def _transformed(transformer: gdal.Transformer, points: Points, back: bool) -> Points:
    """Transforms pixels of MS to pixels of PAN, or back; leaves out those that cannot be transformed."""
    found, fine = transformer.TransformPoints(int(back), points)
    kept = [point[:2] for point, ok in zip(found, fine) if ok]
    if not kept:
        raise RasterError(notice("no_common_area"))
    return kept


def _outline(ms: Window) -> Points:
    along = [i / EDGE_POINTS for i in range(EDGE_POINTS + 1)]
    across = [(u * ms.width, v * ms.height) for u in along for v in (0, 1)]
    return across + [(u * ms.width, v * ms.height) for u in (0, 1) for v in along]


def _bounds(points: Points, pan: Window) -> Window:
    """Returns the PAN pixels within the bounds of points."""
    (left, top), (right, bottom) = ([pick(axis) for axis in zip(*points)] for pick in (min, max))
    first = [max(math.floor(edge + 1e-6), 0) for edge in (top, left)]
    stop = [math.ceil(edge - 1e-6) for edge in (bottom, right)]
    return Window(*first, *(max(b - a, 0) for a, b in zip(first, stop))) & pan


def _ratio(centre, right, below) -> float:
    (a, b), (c, d) = ((x - centre[0], y - centre[1]) for x, y in (right, below))
    return math.sqrt(abs(a * d - b * c))


def _grid_through(pan: Grid, covered_window: Window, centre: tuple[float, float], ratio: int) -> tuple[Grid, Placement]:
    on_pan, rows, columns = lattice(covered_window, centre, ratio)
    at = on_pan[3] + ratio / 2 - 0.5, on_pan[0] + ratio / 2 - 0.5
    return Grid(rows, columns, compose(pan.transform, on_pan), pan.crs), Placement(at, float(ratio))
