"""The measures of an image against its reference: SAM, ERGAS, Q2n, SCC, PSNR and UQI.

`Referenced` accumulates sums block by block and computes the measures from their total.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..common.errors import BlockError
from ..domain.window import Window
from .accumulators import Accumulator, Largest, Mean
from .q2n import SIDE, q2n
from .similarity import angles, edges, sliding_uqi, unmasked

MAXIMUM_COUNT = 65535  # the toolboxes round values to 16-bit integers
BORDER = (20, 21)  # pixels at the start and end of each axis that the toolboxes exclude on request


@dataclass(frozen=True)
class PixelSums(Accumulator):
    """Accumulated sums over pixels and over squares of 32 pixels."""

    angle: Mean
    error: Mean
    "squared error of each band"
    level: Mean
    "mean of each band of the reference"
    peak: Largest
    q2n: Mean

    @staticmethod
    def of(image: np.ndarray, reference: np.ndarray, ok: np.ndarray, rounded: bool) -> PixelSums:
        """Returns the sums over a block whose squares start at its first pixel. Masked pixels must be finite."""
        masked = not ok.all()
        seen, target = (field[:, ok] if masked else field.reshape(len(field), -1) for field in (image, reference))
        angle = angles(seen, target)
        if rounded:
            image, reference = rounded_counts(image), rounded_counts(reference)
        return PixelSums(
            Mean.of(angle[~np.isnan(angle)]),
            Mean.of(((seen - target) ** 2).T),
            Mean.of(target.T),
            Largest(float(target.max()) if target.size else -math.inf),
            Mean.of(q2n(reference, image, ok if masked else None)),
        )

    def ergas(self, ratio: float) -> float:
        return 100 / ratio * float(np.sqrt(np.mean(self.error.value / self.level.value**2)))

    def psnr(self, peak: float) -> float:
        error = float(self.error.value.mean())
        return math.inf if error == 0 else 10 * math.log10(peak**2 / error) if peak > 0 else math.nan


@dataclass(frozen=True)
class Structure(Accumulator):
    """Accumulated sums over sliding windows."""

    uqi: Mean
    "universal quality index of each band"
    edges: np.ndarray
    "sums over the edges: image times reference, image squared, reference squared"

    @property
    def scc(self) -> float:
        both, image, reference = (float(total) for total in self.edges)
        return both / math.sqrt(image * reference) if image * reference > 0 else math.nan


@dataclass(frozen=True)
class ReferencedSums(Accumulator):
    """Accumulated sums of the measures with a reference."""

    pixels: PixelSums
    structure: Structure


@dataclass(frozen=True)
class Referenced:
    """The measures over a window of a scene, block by block."""

    scene: Window
    "measured window; squares of 32 pixels start at its first pixel"
    ratio: float
    rounded: bool = True
    "whether Q2n is computed on 16-bit integers, as in the toolboxes; unsuitable for reflectances in 0 to 1"
    peak: float | None = None
    "full scale for PSNR; None: the maximum of the reference"

    reach = SIDE
    "pixels that a block needs around its core, except beyond the scene"

    def cores(self, side: int = 512) -> list[Window]:
        """Returns the cores of the blocks."""
        return block_cores(self.scene, side)

    def gather(self, image, reference, window: Window, core: Window, ok=None) -> ReferencedSums:
        """Returns the sums over a core. image, reference: (bands, h, w) over a window around it."""
        area = core.grow(self.reach) & window & self.scene
        image, reference, ok = finite(area, window, image, reference, ok)
        inner = (slice(None), *core.within(area))
        pixels = PixelSums.of(image[inner], reference[inner], ok[inner[1:]], self.rounded)
        uqi, sums = self._uqi(image, reference, ok, area, core), self._edges(image, reference, ok, area, core)
        return ReferencedSums(pixels, Structure(uqi, sums))

    def maps(self, image, reference, window: Window, core: Window, ok=None) -> tuple[np.ndarray, np.ndarray]:
        """Returns for each pixel of a core the spectral angle in degrees and the RMS error; NaN where masked."""
        image, reference, ok = finite(core, window, image, reference, ok)
        error = np.sqrt(((image - reference) ** 2).mean(0))
        return tuple(np.where(ok, of, np.nan).astype(np.float32) for of in (angles(image, reference), error))

    def _uqi(self, image: np.ndarray, reference: np.ndarray, ok: np.ndarray, area: Window, core: Window) -> Mean:
        """Returns the mean over the windows that start in the core and end in the scene."""
        begin = Window(core.row, core.col, core.height + SIDE - 1, core.width + SIDE - 1) & area
        part = begin.within(area)
        known = unmasked(ok[part], SIDE)
        bands = zip(image[(slice(None), *part)], reference[(slice(None), *part)])
        return Mean.of(np.stack([sliding_uqi(one, other)[known] for one, other in bands], -1))

    def _edges(
        self, image: np.ndarray, reference: np.ndarray, ok: np.ndarray, area: Window, core: Window
    ) -> np.ndarray:
        """Returns the sums over the edges, without the outermost pixels of the scene, as in the toolboxes."""
        inner = self.scene.grow(-1)
        core = core & inner
        if not core:
            return np.zeros(3)
        known = unmasked(extract(ok, area, core.grow(1), inner, True), 3)
        one, other = (edges(extract(field, area, core.grow(1), inner))[:, known] for field in (image, reference))
        return np.array([float((a * b).sum()) for a, b in ((one, other), (one, one), (other, other))])

    def values(self, sums: ReferencedSums) -> dict:
        """Returns the measures and the settings they depend on."""
        like, peak = sums.pixels, self.peak or sums.pixels.peak.value
        return {
            "SAM": float(like.angle.value),
            "ERGAS": like.ergas(self.ratio),
            "Q2n": float(like.q2n.value),
            "SCC": sums.structure.scc,
            "PSNR": like.psnr(peak),
            "UQI": float(sums.structure.uqi.value.mean()),
            "peak": peak,
            "rounded": self.rounded,
        }


def rounded_counts(image: np.ndarray) -> np.ndarray:
    """Returns the values rounded and clipped to unsigned 16-bit integers."""
    return np.floor(image + 0.5).clip(0, MAXIMUM_COUNT)


def without_border(whole: Window) -> Window:
    """Returns the window without the border that the toolboxes exclude; raises BlockError if nothing remains."""
    found = Window(whole.row + BORDER[0], whole.col + BORDER[0], *(n - sum(BORDER) for n in whole.shape)) & whole
    if not found:
        raise BlockError(
            f"an image of {whole.width} x {whole.height} pixels is too small to exclude a border of {BORDER[1]} pixels"
        )
    return found


def block_cores(window: Window, side: int) -> list[Window]:
    """Returns a window divided into blocks of `side` pixels, rounded down to a multiple of 32.

    A remainder below 32 pixels is joined to the last block, which needs its neighbours for mirroring.
    """
    rows, cols = (_spans(start, n, side) for start, n in zip((window.row, window.col), window.shape))
    return [Window(r, c, h, w) for r, h in rows for c, w in cols]


def _spans(start: int, n: int, side: int) -> list[tuple[int, int]]:
    side = max(side // SIDE, 1) * SIDE
    firsts = [first for first in range(0, n, side) if first == 0 or n - first >= SIDE]
    return [(start + first, stop - first) for first, stop in zip(firsts, [*firsts[1:], n])]


def finite(area: Window, window: Window, image, reference, ok=None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns both images over `area`, with 0 for invalid pixels, and the mask of valid pixels."""
    part = (..., *area.within(window))
    image, reference = (np.ascontiguousarray(a[part], np.float64) for a in (image, reference))
    known = np.isfinite(image).all(0) & np.isfinite(reference).all(0)
    if ok is not None:
        known &= ok[part]
    if not known.all():
        image, reference = np.where(known, image, 0), np.where(known, reference, 0)
    return image, reference, known


def extract(field: np.ndarray, window: Window, target: Window, scene: Window, beyond: float = 0) -> np.ndarray:
    """Returns a field (..., h, w) given over `window` over `target`, filled with `beyond` outside the scene."""
    overlap = target & scene
    (top, left), (bottom, right) = (
        (a - b for a, b in zip(*ends))
        for ends in (((overlap.row, overlap.col), (target.row, target.col)), (target.stop, overlap.stop))
    )
    part = field[(..., *overlap.within(window))]
    margins = [(0, 0)] * (part.ndim - 2) + [(top, bottom), (left, right)]
    return np.pad(part, margins, constant_values=beyond)
