"""Polygon masks of scenes, as WKT in the CRS of PAN, so that they can be sent to another process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from osgeo import gdal, ogr, osr

from ..common.errors import GeometryError, RasterError, one_line
from ..common.notices import notice
from ..domain.grid import Grid, snapped
from ..domain.scene import Scene
from . import network
from .input_files import check_readable

gdal.UseExceptions()
ogr.UseExceptions()

SURFACES = (ogr.wkbPolyhedralSurface, ogr.wkbTIN)
"types of geometries that consist of polygons and are no collections"


def read(path: str | Path, crs: str) -> str:
    """Reads the union of all polygons of a vector file, as WKT in the given CRS."""
    network.check(str(path))
    check_readable(str(path))
    try:
        source = gdal.OpenEx(str(path), gdal.OF_VECTOR | gdal.OF_VERBOSE_ERROR)
    except RuntimeError as error:
        raise RasterError(notice("mask_unreadable", path=str(path), reason=one_line(error))) from None
    return _united(_shapes(source, crs), str(path))


def united(wkts: Iterable[str]) -> str:
    """Returns the union of polygons in the CRS of PAN, as WKT."""
    return _united(map(ogr.CreateGeometryFromWkt, wkts), "the mask")


def _shapes(source: gdal.Dataset, crs: str) -> Iterator[ogr.Geometry]:
    for layer in (source.GetLayer(number) for number in range(source.GetLayerCount())):
        to_pan = _between(layer.GetSpatialRef(), crs)
        for shape in (feature.GetGeometryRef() for feature in layer):
            if shape is not None:
                if to_pan:
                    shape.Transform(to_pan)
                yield shape.Clone()


def _united(shapes: Iterable[ogr.Geometry], named: str) -> str:
    """Returns the union of polygons as WKT; self-intersecting polygons, common in drawn ones, are repaired."""
    parts = ogr.Geometry(ogr.wkbMultiPolygon)
    try:
        for shape in shapes:
            for polygon in _polygons(shape):
                for valid in [polygon] if polygon.IsValid() else _polygons(polygon.MakeValid(["METHOD=STRUCTURE"])):
                    parts.AddGeometry(valid)
        whole = parts.UnionCascaded()  # one after the other would take quadratic time
    except (RuntimeError, AttributeError) as error:
        raise GeometryError(notice("mask_unusable", name=named, reason=one_line(error))) from None
    if whole is None or whole.IsEmpty():
        raise GeometryError(notice("mask_empty", name=named))
    return whole.ExportToWkt()


def _polygons(shape: ogr.Geometry | None) -> Iterator[ogr.Geometry]:
    """Yields the polygons of a geometry with straight edges, also those in collections and surfaces."""
    straight = shape and shape.GetLinearGeometry()
    kind = ogr.GT_Flatten(straight.GetGeometryType()) if straight else ogr.wkbNone
    if kind in (ogr.wkbPolygon, ogr.wkbTriangle):
        yield ogr.ForceToPolygon(straight)
    elif kind in SURFACES or ogr.GT_IsSubClassOf(kind, ogr.wkbGeometryCollection):
        for part in (straight.GetGeometryRef(number) for number in range(straight.GetGeometryCount())):
            yield from _polygons(part)


def _between(source: osr.SpatialReference | None, crs: str) -> osr.CoordinateTransformation | None:
    if source is None or not crs:
        return None
    target = osr.SpatialReference(wkt=crs)
    for one in (source, target):
        one.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    return osr.CoordinateTransformation(source, target)


def cut_out(scene: Scene, wkt: str) -> Scene:
    """Returns the scene restricted to the polygons."""
    if not scene.pan_grid.placed:
        raise GeometryError(notice("mask_unplaced"))
    try:
        left, right, bottom, top = ogr.CreateGeometryFromWkt(wkt).GetEnvelope()
    except (RuntimeError, AttributeError):
        raise GeometryError(notice("mask_invalid", wkt=wkt[:60])) from None
    window = scene.window & snapped(scene.pan_grid, (left, bottom, right, top))
    if not window:
        raise GeometryError(notice("mask_outside", pan=str(scene.pan_grid)))
    return replace(scene, window=window, mask=wkt)


def as_layer(wkt: str, crs: str) -> gdal.Dataset:
    """Returns a dataset in memory with the polygons as its layer."""
    source = _memory_driver().Create("", 0, 0, 0, gdal.GDT_Unknown)
    layer = source.CreateLayer("mask", osr.SpatialReference(wkt=crs) if crs else None)
    feature = ogr.Feature(layer.GetLayerDefn())
    feature.SetGeometry(ogr.CreateGeometryFromWkt(wkt))
    layer.CreateFeature(feature)
    return source


def _memory_driver() -> gdal.Driver:
    """Returns the driver of vector datasets in memory: MEM from GDAL 3.11 on, Memory before."""
    driver = gdal.GetDriverByName("MEM")
    return driver if driver.GetMetadataItem(gdal.DCAP_VECTOR) else gdal.GetDriverByName("Memory")


def inside(source: gdal.Dataset, grid: Grid) -> np.ndarray:
    """Returns the mask (h, w) of the pixels of a grid whose centres are inside the polygons."""
    image = gdal.GetDriverByName("MEM").Create("", grid.width, grid.height, 1, gdal.GDT_Byte)
    image.SetGeoTransform(grid.transform)
    image.SetProjection(grid.crs)
    gdal.RasterizeLayer(image, [1], source.GetLayer(), burn_values=[1])
    return image.ReadAsArray().astype(bool)
