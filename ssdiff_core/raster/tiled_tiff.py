"""Uncompressed tiled TIFFs whose pixels are written directly to their positions in the file.

GDAL creates the file and reports the offset of each tile; uncompressed tiles never move, so the directory does not
change. Pixels are written without GDAL's cache, so data is on disk once it is synced, and the file stays readable if
the process is killed.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from osgeo import gdal

from ..common.files import write_all
from ..domain.window import Window

HEADER_BYTES = 16
"size of a TIFF's header, which contains the offset of its directory"


@dataclass(frozen=True)
class Layout:
    """Positions of the tiles: band by band, row by row, without gaps."""

    first: int
    "offset of the first tile in the file, bytes"
    height: int
    width: int
    "size of a tile, in pixels"
    down: int
    across: int
    "number of tiles of a band along rows and columns"

    def offset(self, band: int, row: int, col: int, size: int) -> int:
        """Returns the offset in the file of a pixel of `size` bytes."""
        tile = (band * self.down + row // self.height) * self.across + col // self.width
        return self.first + ((tile * self.height + row % self.height) * self.width + col % self.width) * size


def layout_of(path: Path) -> Layout | None:
    """Returns the layout of a file; None if its pixels cannot be written directly."""
    try:
        file = gdal.OpenEx(str(path), gdal.OF_RASTER, allowed_drivers=["GTiff"])
    except RuntimeError:
        return None
    band, structure = file.GetRasterBand(1), file.GetMetadata("IMAGE_STRUCTURE")
    uncompressed = "COMPRESSION" not in structure and "NBITS" not in band.GetMetadata("IMAGE_STRUCTURE")
    if not uncompressed or structure.get("INTERLEAVE", "BAND") != "BAND" or not _native(path):
        return None
    width, height = band.GetBlockSize()
    down, across = -(-file.RasterYSize // height), -(-file.RasterXSize // width)
    tile = width * height * gdal.GetDataTypeSize(band.DataType) // 8
    offsets = [
        int(file.GetRasterBand(k).GetMetadataItem(f"BLOCK_OFFSET_{c}_{r}", "TIFF") or 0)
        for k in range(1, file.RasterCount + 1)
        for r in range(down)
        for c in range(across)
    ]
    regular = offsets == list(range(offsets[0], offsets[0] + len(offsets) * tile, tile))
    whole = os.path.getsize(path) >= offsets[-1] + tile
    return Layout(offsets[0], height, width, down, across) if offsets[0] and regular and whole else None


def _native(path: Path) -> bool:
    """Returns whether the file has the byte order of this machine."""
    return head(path)[:2] == (b"II" if sys.byteorder == "little" else b"MM")


def head(path: Path) -> bytes:
    """Reads the header of a TIFF."""
    with open(path, "rb") as file:
        return file.read(HEADER_BYTES)


def put(file, layout: Layout, counts: np.ndarray, at: Window) -> None:
    """Writes pixels (bands, h, w) to the window `at` of the image; file: opened unbuffered in binary mode."""
    for band, image in enumerate(counts):
        for part in _parts(at, layout):
            pixels = np.ascontiguousarray(image[part.within(at)])
            # Whole rows of a tile follow each other in the file; parts of rows do not.
            for n, run in enumerate([pixels] if part.width == layout.width else pixels):
                _write(file, layout.offset(band, part.row + n, part.col, counts.itemsize), run)


def _parts(at: Window, layout: Layout) -> list[Window]:
    """Splits a window along the edges of tiles."""
    rows = range(at.row // layout.height * layout.height, at.stop[0], layout.height)
    cols = range(at.col // layout.width * layout.width, at.stop[1], layout.width)
    return [Window(r, c, layout.height, layout.width) & at for r in rows for c in cols]


def _write(file, at: int, pixels: np.ndarray) -> None:
    file.seek(at)
    write_all(file, pixels)
