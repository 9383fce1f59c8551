"""Virtual rasters of an image of a delivery: tiles put together, bands chosen and named."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from osgeo import gdal

from ..common.errors import GeometryError, RasterError, one_line
from ..common.notices import notice
from ..domain.grid import apply, invert
from ..raster.reader import open_raster
from .delivery import Image
from .files import name_of, stem_of

TILE = re.compile(r"_R(\d{1,4})_?C(\d{1,4})(?=[_.-])", re.IGNORECASE)
"row and column of a tile in the names of its file"
MAXIMUM_SIDE = 2**31 - 1
"columns and rows that GDAL can hold"


@dataclass(frozen=True)
class Tile:
    """A tile: its file, and its position in the mosaic, in pixels."""

    file: str
    source: gdal.Dataset
    column: int
    row: int


def mosaic_text(images: Sequence[Image]) -> str:
    """Returns the bands of images, each of one file or of tiles, as one virtual raster in XML.

    Raises RasterError or GeometryError if tiles or images do not fit together.
    """
    target = None
    for image in images:
        try:
            tiles = _placed([(file, open_raster(file)) for file in image.files])
            target = target or _empty(tiles)
            _check_grid(target, tiles)
            _add_bands(target, image, tiles, len(images) > 1)
        except RuntimeError as error:
            raise RasterError(notice("cannot_read", path=str(image.files[0]), reason=one_line(error))) from None
    return target.GetMetadata("xml:VRT")[0]


def _empty(tiles: Sequence[Tile]) -> gdal.Dataset:
    """Returns a virtual raster without bands on the grid of tiles."""
    source = _first(tiles)
    target = gdal.GetDriverByName("VRT").Create("", *_size(tiles), 0)
    transform = source.GetGeoTransform(can_return_null=True)
    if transform:
        target.SetGeoTransform(transform)
        target.SetSpatialRef(source.GetSpatialRef())
    if rpc := source.GetMetadata("RPC"):
        target.SetMetadata(rpc, "RPC")
    return target


def _check_grid(target: gdal.Dataset, tiles: Sequence[Tile]) -> None:
    transforms = [source.GetGeoTransform(can_return_null=True) for source in (target, _first(tiles))]
    if (target.RasterXSize, target.RasterYSize) != _size(tiles) or transforms[0] != transforms[1]:
        raise GeometryError(notice("ms_file_elsewhere", file=str(tiles[0].file)))


def _first(tiles: Sequence[Tile]) -> gdal.Dataset:
    return min(tiles, key=lambda tile: (tile.row, tile.column)).source


def _size(tiles: Sequence[Tile]) -> tuple[int, int]:
    return (
        max(tile.column + tile.source.RasterXSize for tile in tiles),
        max(tile.row + tile.source.RasterYSize for tile in tiles),
    )


def _add_bands(target: gdal.Dataset, image: Image, tiles: Sequence[Tile], one_of_several: bool) -> None:
    """Adds the bands of an image, named as it tells, or else, as one of several files with one band, by the file."""
    source = _first(tiles)
    chosen = image.bands or tuple(range(1, source.RasterCount + 1))
    names = image.names if len(image.names) == len(chosen) else ("",) * len(chosen)
    by_file = stem_of(image.files[0]) if one_of_several and len(chosen) == 1 else ""
    for index, name in zip(chosen, names):
        band = source.GetRasterBand(index)
        target.AddBand(band.DataType)
        added = target.GetRasterBand(target.RasterCount)
        _fill(added, band, index, tiles)
        if name or not added.GetDescription():
            added.SetDescription(name or by_file)


def _fill(target: gdal.Band, source: gdal.Band, index: int, tiles: Sequence[Tile]) -> None:
    """Describes a band like that of a tile, and adds the tiles to it."""
    target.SetDescription(source.GetDescription())
    target.SetColorInterpretation(source.GetColorInterpretation())
    target.SetMetadata(source.GetMetadata("IMAGERY") or {}, "IMAGERY")
    nodata = source.GetNoDataValue()
    if nodata is not None:
        target.SetNoDataValue(nodata)
    for number, tile in enumerate(tiles):
        target.SetMetadataItem(f"source_{number}", _source(tile, index, nodata), "new_vrt_sources")


def _source(tile: Tile, index: int, nodata: float | None) -> str:
    kind = "SimpleSource" if nodata is None else "ComplexSource"
    columns, rows = tile.source.RasterXSize, tile.source.RasterYSize
    name = gdal.EscapeString(tile.file, gdal.CPLES_XML)
    return (
        f'<{kind}><SourceFilename relativeToVRT="0">{name}</SourceFilename><SourceBand>{index}</SourceBand>'
        f'<SrcRect xOff="0" yOff="0" xSize="{columns}" ySize="{rows}"/>'
        f'<DstRect xOff="{tile.column}" yOff="{tile.row}" xSize="{columns}" ySize="{rows}"/>'
        + (f"<NODATA>{nodata!r}</NODATA>" if nodata is not None else "")
        + f"</{kind}>"
    )


def _placed(tiles: Sequence[tuple[str, gdal.Dataset]]) -> list[Tile]:
    """Returns the tiles with their positions: by georeferencing, else by the rows and columns in their names."""
    reference = tiles[0][1]
    for file, source in tiles:
        if source.RasterCount != reference.RasterCount:
            raise GeometryError(
                notice(
                    "tile_bands",
                    file=str(file),
                    count=source.RasterCount,
                    other=str(tiles[0][0]),
                    expected=reference.RasterCount,
                )
            )
    if len(tiles) == 1:
        return [Tile(*tiles[0], 0, 0)]
    if all(source.GetGeoTransform(can_return_null=True) for _, source in tiles):
        return _by_ground(tiles)
    return _by_name(tiles)


def _by_ground(tiles) -> list[Tile]:
    inverse = invert(tuple(tiles[0][1].GetGeoTransform()))
    first = tiles[0][1].GetGeoTransform()
    placed = []
    for file, source in tiles:
        transform = source.GetGeoTransform()
        column, row = apply(inverse, transform[0], transform[3])
        if any(abs(a - b) > 1e-6 * abs(first[1]) for a, b in zip(_sides(transform), _sides(first))) or (
            max(abs(column - round(column)), abs(row - round(row))) > 0.01
        ):
            raise GeometryError(notice("tile_off_grid", file=str(file), other=str(tiles[0][0])))
        placed.append((file, source, round(column), round(row)))
    left, top = min(each[2] for each in placed), min(each[3] for each in placed)
    if max(each[2] for each in placed) - left > MAXIMUM_SIDE or max(each[3] for each in placed) - top > MAXIMUM_SIDE:
        raise GeometryError(notice("tiles_far_apart", file=str(tiles[0][0])))
    return [Tile(file, source, column - left, row - top) for file, source, column, row in placed]


def _sides(transform) -> tuple[float, ...]:
    return transform[1], transform[2], transform[4], transform[5]


def _by_name(tiles) -> list[Tile]:
    """Returns the tiles in the order of rows and columns in their names, each beside the one before."""
    cells = {}
    for file, source in tiles:
        found = TILE.search(name_of(file))
        if not found:
            raise GeometryError(notice("tile_without_place", file=str(file)))
        cells[int(found[1]), int(found[2])] = file, source
    widths = {column: max(s.RasterXSize for (_, c), (_, s) in cells.items() if c == column) for _, column in cells}
    heights = {row: max(s.RasterYSize for (r, _), (_, s) in cells.items() if r == row) for row, _ in cells}
    return [
        Tile(file, source, _before(widths, column), _before(heights, row))
        for (row, column), (file, source) in sorted(cells.items())
    ]


def _before(sizes: dict[int, int], index: int) -> int:
    return sum(size for key, size in sizes.items() if key < index)
