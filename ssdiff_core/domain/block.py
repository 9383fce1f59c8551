"""What goes into an engine: a piece of PAN, the MS over the same ground, and what is known of the whole scene."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from ..common.errors import BlockError
from .window import Window


@dataclass(frozen=True)
class SceneStats:
    """What belongs to the whole scene and is the same in all its blocks."""

    scale: float | None = None
    "counts that map to 1, where the weights leave that to the scene"
    means: tuple[float, ...] = ()
    "of each band, and at last of PAN, in counts"
    spreads: tuple[float, ...] = ()
    "standard deviations of the same"
    gains: tuple[float, ...] = ()
    "how much of PAN's detail each band takes (see classical.py)"
    mtf: tuple[float, ...] = ()
    "response of each band's sensor at the MS Nyquist frequency"
    weights: tuple[tuple[float, ...], ...] = ()
    "how much of each band is in the intensity (of each group of bands), or in what each band loses for PAN's detail"
    offsets: tuple[float, ...] = ()
    "counts that each band loses besides"
    haze: tuple[float, ...] = ()
    "counts that the air adds to each band"
    match: tuple[tuple[float, float], ...] = ()
    "factor and summand that make PAN alike to each band, or to the intensity (of each group of bands)"
    caps: tuple[float, ...] = ()
    "the most that a band may take of PAN's detail, where that is found by division"
    limits: tuple[tuple[float, float], ...] = ()
    "values of each band below and above which a fusion has gone wrong, whatever PAN shows"


@dataclass(frozen=True)
class Block:
    """Counts in, any number type. An engine says how far `window` and `ms` must reach beyond `core` (reach, ms_halo);
    where they reach less, the scene is taken to end and is mirrored (PAN) or continued (MS)."""

    pan: np.ndarray
    "(h, w), over window"
    ms: np.ndarray
    "(C, hm, wm), over the same ground and a halo"
    ms_at: tuple[float, float]
    "where the centre of ms[:, 0, 0] lies: row and column of PAN, absolute; corner-aligned at ratio 4: (1.5, 1.5)"
    ratio: float
    "PAN pixels per MS pixel"
    window: Window
    core: Window
    "the part to answer"
    valid: np.ndarray | None = None
    "(h, w) bool; NaN and infinity in pan and ms count as masked in any case"
    stats: SceneStats = field(default_factory=SceneStats)
    wanted: np.ndarray | None = None
    "(h, w) bool, over core: what the answer is cut out by; it has no say in what a pixel becomes"

    def __post_init__(self):
        if self.pan.shape != self.window.shape:
            raise BlockError(f"PAN is {self.pan.shape}, its window {self.window.shape}")
        if self.ms.ndim != 3 or not all(self.ms.shape):
            raise BlockError(f"MS is an array of shape {self.ms.shape}; (bands, rows, columns) is needed")
        if self.valid is not None and self.valid.shape != self.pan.shape:
            raise BlockError(f"the valid mask is {self.valid.shape}, PAN {self.pan.shape}")
        if self.core not in self.window:
            raise BlockError(f"{self.core} was asked for, PAN covers only {self.window}")

    def on_ms(self, index: np.ndarray, axis: int) -> np.ndarray:
        "Absolute PAN rows (axis 0) or columns (axis 1) as fractional indices into ms."
        return (index - self.ms_at[axis]) / self.ratio

    def masks(self) -> tuple[np.ndarray, np.ndarray]:
        "Where PAN is valid (h, w), and where all MS bands are (hm, wm)."
        pan_ok = np.isfinite(np.asarray(self.pan, np.float32))  # what float32 cannot hold is as good as infinite
        ms_ok = np.isfinite(np.asarray(self.ms, np.float32)).all(0)
        return pan_ok if self.valid is None else pan_ok & np.asarray(self.valid, bool), ms_ok

    def nearest_on_ms(self, field: np.ndarray) -> np.ndarray:
        "A field on the MS samples (hm, wm), each pixel of window taking its nearest sample's (h, w)."
        window = self.window
        rows, cols = np.arange(window.row, window.stop[0]), np.arange(window.col, window.stop[1])
        nearest = [np.floor(self.on_ms(index, axis) + 0.5 + 1e-6) for axis, index in enumerate((rows, cols))]
        r, c = (np.clip(i, 0, n - 1).astype(np.intp) for i, n in zip(nearest, field.shape))
        return field[np.ix_(r, c)]

    def crop(self, core: Window, reach: int, ms_halo: int) -> Block:
        "A smaller block around core, with reach PAN and ms_halo MS pixels to spare where this one has them. Views."
        window = core.grow(reach) & self.window
        spans = ms_under(window, self.ms_at, self.ratio, self.ms.shape[1:], ms_halo)
        here = window.within(self.window)
        return replace(
            self,
            pan=self.pan[here],
            ms=self.ms[:, spans[0], spans[1]],
            ms_at=tuple(self.ms_at[axis] + spans[axis].start * self.ratio for axis in (0, 1)),
            window=window,
            core=core,
            valid=None if self.valid is None else self.valid[here],
            wanted=None,
        )

    def cut_out(self, fused: np.ndarray) -> np.ndarray:
        "What was fused of core (C, h, w), NaN where it is not wanted."
        if self.wanted is not None:
            fused[:, ~np.asarray(self.wanted, bool)] = np.nan
        return fused


def ms_under(window: Window, at: tuple[float, float], ratio: float, size: tuple[int, int], halo: int) -> list[slice]:
    """Rows and columns of an MS of that size which lie under a window of PAN, with a halo as far as there are any."""
    spans = []
    for first, stop, centre, n in zip((window.row, window.col), window.stop, at, size):
        start = min(max(math.floor((first - centre) / ratio) - halo, 0), n - 1)
        spans.append(slice(start, max(min(math.ceil((stop - 1 - centre) / ratio) + halo + 1, n), start + 1)))
    return spans


def whole(pan: np.ndarray, ms: np.ndarray, stats: SceneStats, ms_at=None, valid=None, origin=(0, 0)) -> Block:
    """A whole scene held in arrays as one block; corner-aligned unless ms_at says otherwise."""
    ratio = round(pan.shape[0] / ms.shape[1])
    window = Window(*origin, *pan.shape)
    if ms_at is None:
        ms_at = (origin[0] + (ratio - 1) / 2, origin[1] + (ratio - 1) / 2)
    return Block(pan, ms, ms_at, ratio, window, window, valid, stats)
