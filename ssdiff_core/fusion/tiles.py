"""Division of images into overlapping tiles, and blending of the tiles. The grid starts at the PAN raster's origin.

The raster is divided into cells of `stride` pixels: cell i covers stride * i up to stride * (i + 1). The tile of a cell
is the cell with an equal margin on both sides, so every pixel is in exactly one cell and well inside its tile; where
margins overlap, tiles are blended. The positions of tiles depend only on the scene, not on the block.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..common.errors import ConfigError
from ..domain.window import Window
from ..model.devices import upload


@dataclass(frozen=True)
class Cells:
    """A rectangle of cells of a grid, and the window that their tiles cover."""

    tile: int
    stride: int
    row: int
    col: int
    rows: int
    cols: int

    @property
    def margin(self) -> int:
        return (self.tile - self.stride) // 2

    @property
    def window(self) -> Window:
        height, width = ((n - 1) * self.stride + self.tile for n in (self.rows, self.cols))
        return Window(self.row * self.stride - self.margin, self.col * self.stride - self.margin, height, width)


@dataclass(frozen=True)
class Grid:
    """Positions of the tiles of a scene."""

    tile: int = 64
    stride: int = 48

    def __post_init__(self):
        if not 0 < self.stride <= self.tile or (self.tile - self.stride) % 2:
            raise ConfigError(
                f"stride {self.stride} leaves no equal whole margins in a tile of {self.tile}; both must be even or odd"
            )

    def touching(self, window: Window, scene: Window) -> Cells:
        """Returns the cells that have a pixel of the scene and whose tiles overlap the window."""
        margin = (self.tile - self.stride) // 2
        spans = []
        for lo, hi, first, last in zip((window.row, window.col), window.stop, (scene.row, scene.col), scene.stop):
            start = max((lo - margin) // self.stride, first // self.stride)
            stop = min(-((-hi - margin) // self.stride), -(-last // self.stride))
            spans.append((start, stop - start))
        return Cells(self.tile, self.stride, spans[0][0], spans[1][0], spans[0][1], spans[1][1])

    def reach(self, steps: int = 1) -> int:
        """Returns how far tiles that overlap a window extend beyond it; for steps > 1 with tiles that overlap those."""
        return (self.tile - 1) * steps

    def cover(self, window: Window, side: int) -> list[Window]:
        """Returns pieces of a window of about side x side pixels, divided at cell borders."""
        step = max(side // self.stride, 1) * self.stride
        rows = range(window.row // step * step, window.stop[0], step)
        cols = range(window.col // step * step, window.stop[1], step)
        return [Window(r, c, step, step) & window for r in rows for c in cols]


def split(image: Tensor, cells: Cells) -> Tensor:
    """Returns a view of the tiles (rows, cols, C, t, t) of an image over cells.window, or of its coarser MS."""
    coarser = cells.window.height // image.shape[-2]
    tile, stride = cells.tile // coarser, cells.stride // coarser
    return image.unfold(-2, tile, stride).unfold(-2, tile, stride).permute(1, 2, 0, 3, 4)


def blend(tiles: Tensor, cells: Cells) -> Tensor:
    """Returns the image (C, h, w) over cells.window, blended from tiles (rows, cols, C, t, t) by raised cosines.

    Tiles are added in a fixed order, so that the result does not depend on the batch.
    """
    weight = upload(taper(cells.tile, cells.stride).numpy(), tiles.device)
    total = _paste(tiles * (weight[:, None] * weight), cells)
    down, across = (upload(_total_weight(n, cells).numpy(), tiles.device) for n in (cells.rows, cells.cols))
    return total / (down[:, None] * across)


def taper(tile: int, stride: int) -> Tensor:
    """Returns a tile's weight along one axis (tile,): 1 in the middle, a raised cosine where tiles overlap."""
    ramp = min(tile - stride, tile // 2)
    if ramp == 0:
        return torch.ones(tile)
    rise = torch.sin((torch.arange(ramp, dtype=torch.float64) + 0.5) / ramp * torch.pi / 2) ** 2
    return torch.cat([rise, torch.ones(tile - 2 * ramp).double(), rise.flip(0)]).float()


def _total_weight(n: int, cells: Cells) -> Tensor:
    weight = taper(cells.tile, cells.stride)
    total = torch.zeros((n - 1) * cells.stride + cells.tile)
    for start in range(0, n * cells.stride, cells.stride):
        total[start : start + cells.tile] += weight
    return total


def _paste(tiles: Tensor, cells: Cells) -> Tensor:
    """Returns the sum of overlapping tiles. Every k-th tile along an axis does not overlap the last: added at once."""
    rows, cols, channels, side, _ = tiles.shape
    k = -(-cells.tile // cells.stride)
    image = tiles.new_zeros(channels, (rows + k) * cells.stride + side, (cols + k) * cells.stride + side)
    for i in range(min(k, rows)):
        for j in range(min(k, cols)):
            part = tiles[i::k, j::k].permute(2, 0, 1, 3, 4)  # (C, some rows, some cols, t, t)
            clear = image[:, i * cells.stride :, j * cells.stride :]
            clear = clear.unfold(1, side, k * cells.stride).unfold(2, side, k * cells.stride)
            clear[:, : part.shape[1], : part.shape[2]] += part
    window = cells.window
    return image[:, : window.height, : window.width]


ORIENTATIONS = ((0, False), (2, True), (1, True), (0, True), (2, False), (1, False), (3, False), (3, True))
"orientations of a tile: quarter turns, then whether it is flipped; averaging the first few gains most in this order"


def orientations_of(ratio: int, ms_phase: float | None) -> tuple[tuple[int, bool], ...]:
    """Returns the possible orientations: a rotated tile has the MS phase of training only if MS is centred on PAN.

    ms_phase: position of the first MS sample in a tile; None: centred.
    """
    return ORIENTATIONS if ms_phase in (None, (ratio - 1) / 2) else ORIENTATIONS[:1]


def rotate(image: Tensor, orientation: tuple[int, bool]) -> Tensor:
    """Returns an image (..., S, S) in an orientation: rotated, then flipped."""
    image = image.rot90(orientation[0], (-2, -1)) if orientation[0] else image
    return image.flip(-2) if orientation[1] else image


def rotate_back(image: Tensor, orientation: tuple[int, bool]) -> Tensor:
    """Returns an image with `rotate` undone."""
    image = image.flip(-2) if orientation[1] else image
    return image.rot90(-orientation[0], (-2, -1)) if orientation[0] else image
