"""Rectangles of pixels, with which all packages describe positions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """A rectangle of whole pixels, in absolute rows and columns of the PAN raster."""

    row: int
    col: int
    height: int
    width: int

    @property
    def stop(self) -> tuple[int, int]:
        return self.row + self.height, self.col + self.width

    @property
    def shape(self) -> tuple[int, int]:
        return self.height, self.width

    def grow(self, by: int) -> Window:
        return Window(self.row - by, self.col - by, self.height + 2 * by, self.width + 2 * by)

    def snapped(self, step: int) -> Window:
        """Returns the smallest window around this one that starts and stops at multiples of step."""
        row, col = self.row // step * step, self.col // step * step
        height, width = (-(-stop // step) * step - start for stop, start in zip(self.stop, (row, col)))
        return Window(row, col, height, width)

    def __and__(self, other: Window) -> Window:
        row, col = max(self.row, other.row), max(self.col, other.col)
        height = min(self.stop[0], other.stop[0]) - row
        width = min(self.stop[1], other.stop[1]) - col
        return Window(row, col, max(height, 0), max(width, 0))

    def __contains__(self, other: Window) -> bool:
        return (self & other) == other

    def __bool__(self) -> bool:
        return self.height > 0 and self.width > 0

    def within(self, outer: Window) -> tuple[slice, slice]:
        "Returns the slices that cut this window out of an array that covers outer."
        row, col = self.row - outer.row, self.col - outer.col
        return slice(row, row + self.height), slice(col, col + self.width)
