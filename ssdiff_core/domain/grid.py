"""Raster grids, and the placement of one on another. Reads no files.

An affine transform maps (column, row) at pixel corners to ground coordinates, in GDAL's order:
x = t[0] + t[1] * column + t[2] * row, y = t[3] + t[4] * column + t[5] * row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..common.errors import GeometryError
from ..common.notices import notice
from .window import Window

Transform = tuple[float, float, float, float, float, float]

IDENTITY: Transform = (0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
RATIOS = (1.5, 8.0)
"lowest and highest ratio (PAN pixels per MS pixel) that can be pansharpened"
MAXIMUM_DRIFT = 0.1
"rotation against PAN, or difference of ratios, over the whole side of MS, in PAN pixels; beyond it MS is warped"

MAXIMUM_COORDINATE = 1e12
"largest coordinate and pixel side of a raster, in the unit of its CRS"
MINIMUM_PIXEL = 1e-12
"smallest pixel side of a raster, in the unit of its CRS"
MINIMUM_SINE = 1e-9
"smallest sine of the angle between rows and columns"


@dataclass(frozen=True)
class Grid:
    """Size and georeferencing of a raster."""

    height: int
    width: int
    transform: Transform = IDENTITY
    crs: str = ""
    "WKT; empty where the raster has none"
    placed: bool = True
    "whether the raster is georeferenced"

    @property
    def window(self) -> Window:
        return Window(0, 0, self.height, self.width)

    def footprint(self) -> tuple[float, float, float, float]:
        "Returns the bounds xmin, ymin, xmax, ymax."
        corners = [apply(self.transform, c, r) for c in (0, self.width) for r in (0, self.height)]
        xs, ys = zip(*corners)
        return min(xs), min(ys), max(xs), max(ys)

    def __str__(self) -> str:
        if not self.placed:
            return f"{self.width} x {self.height} pixels, not georeferenced"
        x0, y0, x1, y1 = self.footprint()
        return f"{self.width} x {self.height} pixels, x {x0:.10g} to {x1:.10g}, y {y0:.10g} to {y1:.10g}"


def checked(grid: Grid, name: str) -> Grid:
    """Returns the grid; raises GeometryError if its transform is not that of a raster on the ground."""
    x, a, b, y, c, d = t = grid.transform
    columns, rows = math.hypot(a, c), math.hypot(b, d)
    if (
        not all(map(math.isfinite, t))
        or not all(MINIMUM_PIXEL <= side <= MAXIMUM_COORDINATE for side in (columns, rows))
        or max(abs(x), abs(y)) > MAXIMUM_COORDINATE
        or abs(a * d - b * c) < MINIMUM_SINE * columns * rows
    ):
        values = ", ".join(f"{value:.10g}" for value in t)
        raise GeometryError(notice("geotransform_wrong", name=name, values=values))
    return grid


@dataclass(frozen=True)
class Placement:
    """Position of MS on PAN: the centre of sample (i, j) is at PAN row at[0] + i * ratio, column at[1] + j * ratio."""

    at: tuple[float, float]
    ratio: float


def apply(t: Transform, column: float, row: float) -> tuple[float, float]:
    return t[0] + t[1] * column + t[2] * row, t[3] + t[4] * column + t[5] * row


def invert(t: Transform) -> Transform:
    det = t[1] * t[5] - t[2] * t[4]
    if det == 0:
        raise GeometryError(notice("geotransform_line"))
    a, b, c, d = t[5] / det, -t[2] / det, -t[4] / det, t[1] / det
    return -t[0] * a - t[3] * b, a, b, -t[0] * c - t[3] * d, c, d


def compose(outer: Transform, inner: Transform) -> Transform:
    "Returns the transform that applies inner, then outer."
    x, y = apply(outer, inner[0], inner[3])
    a, b, c, d = outer[1], outer[2], outer[4], outer[5]
    along_column = a * inner[1] + b * inner[4], c * inner[1] + d * inner[4]
    along_row = a * inner[2] + b * inner[5], c * inner[2] + d * inner[5]
    return x, along_column[0], along_row[0], y, along_column[1], along_row[1]


def place(pan: Grid, ms: Grid) -> Placement | None:
    """Returns the placement of MS on PAN if their axes are parallel; None if MS must be warped first.

    Both must have the same CRS. Raises GeometryError if they cannot be pansharpened.
    """
    t = compose(invert(pan.transform), ms.transform)  # MS pixel corners to PAN pixel corners
    ratio = math.sqrt(abs(t[1] * t[5] - t[2] * t[4]))
    check_ratio(ratio, pan, str(ms))
    if not pan.window & covered(t, ms):
        raise GeometryError(notice("no_overlap", pan=str(pan), ms=str(ms)))
    side = max(ms.height, ms.width)
    if max(abs(t[2]), abs(t[4]), abs(t[1] - ratio), abs(t[5] - ratio)) * side > MAXIMUM_DRIFT:
        return None
    return Placement((t[3] + t[5] / 2 - 0.5, t[0] + t[1] / 2 - 0.5), ratio)


def check_ratio(ratio: float, pan: Grid, ms: str) -> None:
    """Raises GeometryError if the ratio of PAN and MS cannot be pansharpened."""
    if ratio < 1 / RATIOS[0]:
        raise GeometryError(notice("ms_finer_than_pan", times=1 / ratio, pan=str(pan), ms=ms))
    if not RATIOS[0] <= ratio <= RATIOS[1]:
        limits = {"minimum": RATIOS[0], "maximum": RATIOS[1]}
        raise GeometryError(notice("ratio_outside", ratio=ratio, **limits, pan=str(pan), ms=ms))


def covered(ms_to_pan: Transform, ms: Grid) -> Window:
    """Returns the PAN pixels whose centres are inside MS."""
    corners = [apply(ms_to_pan, c, r) for c in (0, ms.width) for r in (0, ms.height)]
    columns, rows = zip(*corners)
    first = [math.ceil(min(axis) - 0.5 - 1e-6) for axis in (rows, columns)]
    stop = [math.ceil(max(axis) - 0.5 - 1e-6) for axis in (rows, columns)]
    return Window(first[0], first[1], max(stop[0] - first[0], 0), max(stop[1] - first[1], 0))


def ground(pan: Grid, ms: Grid, placement: Placement) -> Window:
    """Returns the PAN pixels whose centres are inside MS with this placement."""
    at, ratio = placement.at, placement.ratio
    first = [math.ceil(start - ratio / 2 - 1e-6) for start in at]
    stop = [math.ceil(start + (n - 0.5) * ratio - 1e-6) for start, n in zip(at, (ms.height, ms.width))]
    return Window(*first, *(max(b - a, 0) for a, b in zip(first, stop))) & pan.window


def lattice(window: Window, through: tuple[float, float], step: int) -> tuple[Transform, int, int]:
    """Returns a lattice of cells of `step` PAN pixels that covers a window, with a cell centre at the point `through`.

    through: column and row at pixel corners. Returns the transform from cells to PAN pixels, the rows and the columns.
    """
    start = [middle - step / 2 for middle in through]
    start = [a - math.ceil((a - edge) / step - 1e-6) * step for a, edge in zip(start, (window.col, window.row))]
    columns, rows = (math.ceil((stop - a) / step - 1e-6) for a, stop in zip(start, window.stop[::-1]))
    return (start[0], step, 0.0, start[1], 0.0, step), rows, columns


def same_ground(pan: Grid, ms: Grid) -> Placement:
    """Returns the placement of rasters without georeferencing that cover the same ground at an integer ratio."""
    ratio = round(pan.width / ms.width)
    if (pan.height, pan.width) != (ms.height * ratio, ms.width * ratio) or not RATIOS[0] <= ratio <= RATIOS[1]:
        raise GeometryError(
            notice(
                "sizes_unrelated", pan_width=pan.width, pan_height=pan.height, ms_width=ms.width, ms_height=ms.height
            )
        )
    return Placement(((ratio - 1) / 2, (ratio - 1) / 2), float(ratio))


def snapped(pan: Grid, extent: tuple[float, float, float, float]) -> Window:
    """Returns the PAN pixels that an extent (xmin, ymin, xmax, ymax) touches."""
    x0, y0, x1, y1 = extent
    if not (-math.inf < x0 < x1 < math.inf and -math.inf < y0 < y1 < math.inf):
        raise GeometryError(notice("extent_invalid", x0=x0, y0=y0, x1=x1, y1=y1))
    inverse = invert(pan.transform)
    columns, rows = zip(*(apply(inverse, x, y) for x in (x0, x1) for y in (y0, y1)))
    row, column = (math.floor(min(axis) + 1e-6) for axis in (rows, columns))
    stop = [math.ceil(max(axis) - 1e-6) for axis in (rows, columns)]
    window = Window(row, column, stop[0] - row, stop[1] - column) & pan.window
    if not window:
        raise GeometryError(notice("extent_beside_pan", x0=x0, y0=y0, x1=x1, y1=y1, pan=str(pan)))
    return window


def cut(pan: Grid, window: Window) -> Grid:
    """Returns the grid of a window of PAN."""
    x, y = apply(pan.transform, window.col, window.row)
    transform = (x, *pan.transform[1:3], y, *pan.transform[4:])
    return Grid(window.height, window.width, transform, pan.crs, pan.placed)
