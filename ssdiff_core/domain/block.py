"""Input of an engine: a part of PAN, the MS of the same ground, and the statistics of the whole scene."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from ..common.errors import BlockError
from .window import Window


@dataclass(frozen=True)
class SceneStats:
    """Statistics of the whole scene, the same for all its blocks."""

    scale: float | None = None
    "counts that map to 1, for weights that take the scale from the scene"
    means: tuple[float, ...] = ()
    "means of the bands, then of PAN, in counts"
    deviations: tuple[float, ...] = ()
    "standard deviations of the bands, then of PAN, in counts"
    gains: tuple[float, ...] = ()
    "injection gain of each band"
    mtf: tuple[float, ...] = ()
    "MTF gain of each band at the MS Nyquist frequency"
    weights: tuple[tuple[float, ...], ...] = ()
    "weights of the bands in the intensity (of each group of bands), or in the mixture subtracted from each band"
    offsets: tuple[float, ...] = ()
    "counts subtracted from each band"
    haze: tuple[float, ...] = ()
    "haze of each band, in counts"
    match: tuple[tuple[float, float], ...] = ()
    "gain and offset that match PAN to each band, or to the intensity (of each group of bands)"
    caps: tuple[float, ...] = ()
    "upper limit of each band's injection gain, for methods that divide by an intensity"
    limits: tuple[tuple[float, float], ...] = ()
    "lowest and highest plausible value of each band"


@dataclass(frozen=True)
class Block:
    """A part of a scene in counts of any number type.

    An engine defines how far `window` and `ms` must extend beyond `core` (reach, ms_halo); where they extend less, the
    scene is assumed to end there and is mirrored (PAN) or extended with its edge samples (MS).
    """

    pan: np.ndarray
    "(h, w), the pixels of window"
    ms: np.ndarray
    "(C, hm, wm), over the same ground and a halo"
    ms_at: tuple[float, float]
    "centre of ms[:, 0, 0] in absolute PAN rows and columns; corner-aligned at ratio 4: (1.5, 1.5)"
    ratio: float
    "PAN pixels per MS pixel"
    window: Window
    core: Window
    "the part to compute"
    valid: np.ndarray | None = None
    "(h, w) bool; NaN and infinity in pan and ms count as masked in any case"
    stats: SceneStats = field(default_factory=SceneStats)
    requested: np.ndarray | None = None
    "(h, w) bool, over core: output pixels that are kept; it does not affect their values"

    def __post_init__(self):
        if self.pan.shape != self.window.shape:
            raise BlockError(f"PAN is {self.pan.shape}, its window {self.window.shape}")
        if self.ms.ndim != 3 or not all(self.ms.shape):
            raise BlockError(f"MS is an array of shape {self.ms.shape}; (bands, rows, columns) is needed")
        if self.valid is not None and self.valid.shape != self.pan.shape:
            raise BlockError(f"the valid mask is {self.valid.shape}, PAN {self.pan.shape}")
        if self.core not in self.window:
            raise BlockError(f"the core {self.core} is not inside the window {self.window} of PAN")

    def on_ms(self, index: np.ndarray, axis: int) -> np.ndarray:
        "Returns absolute PAN rows (axis 0) or columns (axis 1) as fractional indices into ms."
        return (index - self.ms_at[axis]) / self.ratio

    def masks(self) -> tuple[np.ndarray, np.ndarray]:
        "Returns the valid masks of PAN (h, w) and of all MS bands together (hm, wm)."
        pan_ok = np.isfinite(np.asarray(self.pan, np.float32))  # values beyond float32 become infinite
        ms_ok = np.isfinite(np.asarray(self.ms, np.float32)).all(0)
        return pan_ok if self.valid is None else pan_ok & np.asarray(self.valid, bool), ms_ok

    def nearest_on_ms(self, field: np.ndarray) -> np.ndarray:
        "Resamples a field on the MS samples (hm, wm) to the pixels of window (h, w) by nearest neighbour."
        window = self.window
        rows, cols = np.arange(window.row, window.stop[0]), np.arange(window.col, window.stop[1])
        nearest = [np.floor(self.on_ms(index, axis) + 0.5 + 1e-6) for axis, index in enumerate((rows, cols))]
        r, c = (np.clip(i, 0, n - 1).astype(np.intp) for i, n in zip(nearest, field.shape))
        return field[np.ix_(r, c)]

    def crop(self, core: Window, reach: int, ms_halo: int, step: int = 1) -> Block:
        """Returns a view of a smaller block around core, with margins of reach PAN and ms_halo MS pixels if available.

        step: the window is extended to multiples of it, if available.
        """
        window = core.grow(reach).snapped(step) & self.window
        spans = ms_under(window, self.ms_at, self.ratio, self.ms.shape[1:], ms_halo)
        inside = window.within(self.window)
        return replace(
            self,
            pan=self.pan[inside],
            ms=self.ms[:, spans[0], spans[1]],
            ms_at=tuple(self.ms_at[axis] + spans[axis].start * self.ratio for axis in (0, 1)),
            window=window,
            core=core,
            valid=None if self.valid is None else self.valid[inside],
            requested=None,
        )

    def cut_out(self, fused: np.ndarray) -> np.ndarray:
        "Sets fused pixels of core (C, h, w) outside the mask to NaN, in place, and returns them."
        if self.requested is not None:
            fused[:, ~np.asarray(self.requested, bool)] = np.nan
        return fused


def ms_under(window: Window, at: tuple[float, float], ratio: float, size: tuple[int, int], halo: int) -> list[slice]:
    """Returns the slices of MS rows and columns that cover a window of PAN, with a halo, clipped to the size of MS."""
    spans = []
    for first, stop, centre, n in zip((window.row, window.col), window.stop, at, size):
        start = min(max(math.floor((first - centre) / ratio) - halo, 0), n - 1)
        spans.append(slice(start, max(min(math.ceil((stop - 1 - centre) / ratio) + halo + 1, n), start + 1)))
    return spans


def whole(pan: np.ndarray, ms: np.ndarray, stats: SceneStats, ms_at=None, valid=None, origin=(0, 0)) -> Block:
    """Returns a whole scene in arrays as one block; corner-aligned unless ms_at is given."""
    ratio = round(pan.shape[0] / ms.shape[1])
    window = Window(*origin, *pan.shape)
    if ms_at is None:
        ms_at = (origin[0] + (ratio - 1) / 2, origin[1] + (ratio - 1) / 2)
    return Block(pan, ms, ms_at, ratio, window, window, valid, stats)
