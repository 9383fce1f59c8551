"""How the network is applied to a piece of a block: tile by tile, or to the whole piece at once.

The published network attends to a whole tile, so it works only at the tile side of its training: pieces are cut into
overlapping tiles, which are blended. A convolutional network works at any size: a pixel depends on its surroundings up
to the network's reach, so a piece with that margin is computed at once and nothing is blended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor

from ..classical.resample import STRIP
from ..common.errors import ConfigError
from ..domain.window import Window
from ..model.devices import upload
from ..weights.card import Card
from .masks import fill_nearest
from .tiles import Cells, Grid, blend, orientations_of, rotate, rotate_back, split

Denoise = Callable[..., Tensor]
"(x_t, t, lms, pan, ms) -> x0, all in batches of tiles"
Sampler = Callable[[Callable[[Tensor, Tensor], Tensor], Tensor], Tensor]
"(denoiser of x_t and t, noise) -> x0"


@dataclass(frozen=True)
class Canvas:
    """The images of a piece on the device, normalised (see model.normalisation)."""

    window: Window
    "whole MS pixels in the grid that starts at the origin of the PAN raster"
    pan: Tensor
    "(guides + views * C, h, w): the input of the spatial branch, PAN first"
    base: Tensor
    "(C, h, w): the classical fusion that the network refines"
    ms: Tensor
    "(C, h / ratio, w / ratio)"
    ok: Tensor | None
    "(h, w): mask of valid pixels; None: all are valid"
    cells: Cells | None = None
    "the tiles that cover the window"
    live: Tensor | None = None
    "(n, 2) rows and columns of the tiles that have a valid pixel"


def layout_of(card: Card, stride: int | None, hops: int) -> TileLayout | WindowLayout:
    """Returns the layout for the network of a card.

    stride: distance between tiles; None: about three quarters of a tile. hops: number of times that a pixel of the
    result depends on its surroundings through the network: 1, or once for each step of sampling.
    """
    if card.arch.blocks:
        return WindowLayout(card, hops)
    return TileLayout(card, stride, hops)


PIECE = {"cpu": 480, "cuda": 2016, "mps": 960}
SMALLEST = 128
"side of a piece, in PAN pixels, below which a window is not divided for several threads"
FILLED = 16
"PAN pixels by which valid pixels are extended into masked ones for a convolutional network; beyond is the mean"


class TileLayout:
    """Overlapping square tiles that are blended."""

    pieces = PIECE
    "side of the pieces by device, in PAN pixels"
    parallel = False
    "whether several pieces are computed at a time on a CPU, each with one thread"
    step = 1
    "PAN pixels; the windows that are read for a piece start at multiples of it"
    fill_margin = 0
    "PAN pixels beyond the reach of the network whose values fill masked pixels"

    def __init__(self, card: Card, stride: int | None, hops: int):
        self.grid, self._ratio, self._hops = grid_of(card.tile, stride, card.ratio), card.ratio, hops
        self._orientations = orientations_of(card.ratio, card.ms_phase)

    @property
    def reach(self) -> int:
        """PAN pixels around a pixel that its value depends on."""
        return self.grid.reach(self._hops)

    def cover(self, window: Window, side: int, at_least: int = 1) -> list[Window]:
        """Returns pieces of a window of about side x side pixels."""
        return self.grid.cover(window, side)

    def cells(self, core: Window, scene: Window) -> Cells:
        """Returns the tiles that the values of core depend on. scene: the window with data."""
        return self.grid.touching(core.grow(self.grid.reach(self._hops - 1)) & scene, scene)

    def window(self, core: Window, scene: Window) -> Window:
        """Returns the window of a canvas for core."""
        return self.cells(core, scene).window

    def with_tiles(self, canvas: Canvas, core: Window, scene: Window, ok: Tensor) -> Canvas:
        """Returns the canvas with its tiles. ok: (h, w) mask of valid pixels, on the CPU."""
        cells = self.cells(core, scene)
        live = split(ok[None], cells).flatten(2).any(2).nonzero()
        return replace(canvas, cells=cells, live=upload(live.numpy(), canvas.base.device))

    def apply(
        self, canvas: Canvas, image: Tensor, sample: int, denoise: Denoise, sampler: Sampler, batch: int, report
    ) -> Tensor:
        """Cuts an image (C, h, w) into tiles, applies the sampler to the live ones, and blends the results."""
        orientation = self._orientations[sample % len(self._orientations)]
        cells, tiles = canvas.cells, split(image, canvas.cells)
        sampled = torch.zeros(tiles.shape, device=image.device)
        done = 0
        while done < len(canvas.live):
            r, c = canvas.live[done : done + batch].unbind(1)
            conditions = [rotate(part, orientation) for part in self._conditions(canvas, r, c)]
            x0 = sampler(
                lambda x_t, t, conditions=conditions: denoise(x_t, t, *conditions), rotate(tiles[r, c], orientation)
            )
            sampled[r, c] = rotate_back(x0, orientation)
            done += len(r)
            report(done / len(canvas.live))
        return blend(sampled, cells)

    def _conditions(self, canvas: Canvas, r: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns lms, pan and ms of the tiles at rows r and columns c, without masked pixels."""
        pan, lms, ms = (split(image, canvas.cells)[r, c] for image in (canvas.pan, canvas.base, canvas.ms))
        if canvas.ok is not None:
            ok = split(canvas.ok[None], canvas.cells)[r, c, 0]
            pan, lms = fill_nearest(torch.cat([pan, lms], dim=1), ok).split([pan.shape[1], lms.shape[1]], dim=1)
            coarse = ok.unflatten(1, (-1, self._ratio)).unflatten(3, (-1, self._ratio)).any(4).any(2)
            ms = fill_nearest(ms, coarse)
        return lms, pan, ms


class WindowLayout:
    """The whole piece at once, for convolutional networks.

    All windows start where the strips of the resampling do (see resample), so that the same numbers are added in the
    same order wherever a block begins: half precision would turn differences of the last digit into visible ones.
    """

    parallel, pieces = True, {**PIECE, "cpu": 1024}

    def __init__(self, card: Card, hops: int):
        self._ratio, self._margin, self.step = card.ratio, card.arch.reach * hops, STRIP * card.ratio
        self._orientations = orientations_of(card.ratio, card.ms_phase)

    @property
    def reach(self) -> int:
        """PAN pixels around a pixel that its value depends on; the canvas ends at whole MS pixels."""
        return self._margin + self._ratio

    @property
    def fill_margin(self) -> int:
        """PAN pixels beyond the reach of the network whose values fill masked pixels."""
        return FILLED

    def cover(self, window: Window, side: int, at_least: int = 1) -> list[Window]:
        """Returns equal pieces of a window of at most 1.25 * side² pixels, with the smallest margins.

        at_least: number of pieces, if they are not smaller than SMALLEST.
        """
        area = window.height * window.width
        count = max(-(-4 * area // (5 * side**2)), min(at_least, area // SMALLEST**2), 1)

        def work(rows: int) -> float:
            """Returns the number of pixels to compute, with `rows` rows of pieces."""
            cols = -(-count // rows)
            return (window.height + 2 * self._margin * rows) * (window.width + 2 * self._margin * cols)

        rows = min(range(1, count + 1), key=work)
        return _divided(window, rows, -(-count // rows))

    def window(self, core: Window, scene: Window) -> Window:
        """Returns the window of a canvas for core."""
        return (core.grow(self._margin) & scene).snapped(self._ratio)

    def with_tiles(self, canvas: Canvas, core: Window, scene: Window, ok: Tensor) -> Canvas:
        """Returns the canvas itself: it has no tiles."""
        return canvas

    def apply(
        self, canvas: Canvas, image: Tensor | None, sample: int, denoise: Denoise, sampler: Sampler, batch: int, report
    ) -> Tensor:
        """Applies the sampler to the canvas, rotated or flipped. image: the noise (C, h, w); None: no noise."""
        orientation = self._orientations[sample % len(self._orientations)]
        conditions = [rotate(part[None], orientation) for part in (canvas.base, canvas.pan, canvas.ms)]
        noise = None if image is None else rotate(image[None], orientation)
        x0 = sampler(lambda x_t, t: denoise(x_t, t, *conditions), noise)
        report(1.0)
        return rotate_back(x0, orientation)[0]


def _divided(window: Window, rows: int, cols: int) -> list[Window]:
    """Returns a window divided into rows x cols windows of about the same size."""
    row_at = [window.row + window.height * k // rows for k in range(rows + 1)]
    col_at = [window.col + window.width * k // cols for k in range(cols + 1)]
    spans = product(zip(row_at, row_at[1:]), zip(col_at, col_at[1:]))
    return [Window(r, c, end_r - r, end_c - c) for (r, end_r), (c, end_c) in spans if end_r > r and end_c > c]


def grid_of(tile: int, stride: int | None, ratio: int) -> Grid:
    """Returns a grid whose margins are whole MS pixels.

    stride: None: the possible stride nearest to three quarters of a tile.
    """
    fit = [s for s in range(ratio, tile + 1, ratio) if (tile - s) % (2 * ratio) == 0]
    if stride is None:
        stride = min(fit, key=lambda s: abs(4 * s - 3 * tile))
    if stride not in fit:
        raise ConfigError(f"stride {stride} is not possible with tiles of {tile} at ratio {ratio}; choose one of {fit}")
    return Grid(tile, stride)
