"""A TIFF whose tiles all have their place from the start, so that they can be written straight to the disk.

GDAL makes the file and says where each tile lies; uncompressed tiles never move, and so the directory never changes.
Pixels then go to their places with plain writes: no cache lies between, what is synchronised is there, and after a
kill the file is as readable as before.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from osgeo import gdal

from ..domain.window import Window

HEAD = 16
"bytes at the start of a TIFF that say where its directory is"


@dataclass(frozen=True)
class Layout:
    """Tiles of one band after those of another, in rows, without gaps."""

    first: int
    "where in the file the first tile begins"
    height: int
    width: int
    "of a tile"
    down: int
    across: int
    "tiles of a band"

    def place(self, band: int, row: int, col: int, size: int) -> int:
        """Where in the file a pixel of `size` bytes lies."""
        tile = (band * self.down + row // self.height) * self.across + col // self.width
        return self.first + ((tile * self.height + row % self.height) * self.width + col % self.width) * size


def layout_of(path: Path) -> Layout | None:
    """How the tiles of a file lie; None if not so that pixels can be put there as they are."""
    try:
        file = gdal.OpenEx(str(path), gdal.OF_RASTER, allowed_drivers=["GTiff"])
    except RuntimeError:
        return None
    band, structure = file.GetRasterBand(1), file.GetMetadata("IMAGE_STRUCTURE")
    plain = "COMPRESSION" not in structure and "NBITS" not in band.GetMetadata("IMAGE_STRUCTURE")
    if not plain or structure.get("INTERLEAVE", "BAND") != "BAND" or not _native(path):
        return None
    width, height = band.GetBlockSize()
    down, across = -(-file.RasterYSize // height), -(-file.RasterXSize // width)
    tile = width * height * gdal.GetDataTypeSize(band.DataType) // 8
    places = [
        int(file.GetRasterBand(k).GetMetadataItem(f"BLOCK_OFFSET_{c}_{r}", "TIFF") or 0)
        for k in range(1, file.RasterCount + 1)
        for r in range(down)
        for c in range(across)
    ]
    regular = places == list(range(places[0], places[0] + len(places) * tile, tile))
    whole = os.path.getsize(path) >= places[-1] + tile
    return Layout(places[0], height, width, down, across) if places[0] and regular and whole else None


def _native(path: Path) -> bool:
    """Whether the file's numbers have this machine's order of bytes."""
    return head(path)[:2] == (b"II" if sys.byteorder == "little" else b"MM")


def head(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(HEAD)


def put(file, layout: Layout, counts: np.ndarray, at: Window) -> None:
    """Writes a block of pixels (bands, h, w) to where `at` lies in the image; file is open for bytes, unbuffered."""
    for band, image in enumerate(counts):
        for part in _parts(at, layout):
            pixels = np.ascontiguousarray(image[part.within(at)])
            # Whole rows of a tile follow each other in the file; parts of rows do not.
            for n, run in enumerate([pixels] if part.width == layout.width else pixels):
                _write(file, layout.place(band, part.row + n, part.col, counts.itemsize), run)


def _parts(at: Window, layout: Layout) -> list[Window]:
    """A window cut along the edges of tiles."""
    rows = range(at.row // layout.height * layout.height, at.stop[0], layout.height)
    cols = range(at.col // layout.width * layout.width, at.stop[1], layout.width)
    return [Window(r, c, layout.height, layout.width) & at for r in rows for c in cols]


def _write(file, at: int, pixels: np.ndarray) -> None:
    file.seek(at)
    left = memoryview(pixels).cast("B")
    while left:  # an almost full disk takes a part, and says no the next time
        left = left[file.write(left) :]
