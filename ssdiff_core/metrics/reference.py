"""The measures of an image against the image that it should be: SAM, ERGAS, Q2n, SCC, PSNR and UQI.

`Referenced` looks at a scene piece by piece and keeps sums; its `values` come from the sums of all pieces.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..common.errors import BlockError
from ..domain.window import Window
from .accumulators import Largest, Mean, Tally
from .q2n import SIDE, q2n
from .similarity import angles, edges, sliding_uqi, unmasked

COUNTS = 65535  # the toolboxes hold counts in 16 bits
CROP = (20, 21)  # pixels that the toolboxes leave out on request, at the beginning and at the end of each axis


@dataclass(frozen=True)
class Likeness(Tally):
    """What single pixels and squares tell."""

    angle: Mean
    error: Mean
    "squared, of each band"
    level: Mean
    "of each band of the reference"
    peak: Largest
    q2n: Mean

    @staticmethod
    def of(image: Tensor, reference: Tensor, ok: Tensor, rounded: bool) -> Likeness:
        """Over a piece whose squares begin at its first pixel. What is masked must be finite."""
        masked = not ok.all()
        seen, wanted = (field[:, ok] if masked else field.flatten(1) for field in (image, reference))
        angle = angles(seen, wanted)
        if rounded:
            image, reference = counts(image), counts(reference)
        return Likeness(
            Mean.of(angle[~angle.isnan()]),
            Mean.of(((seen - wanted) ** 2).T),
            Mean.of(wanted.T),
            Largest(float(wanted.max()) if wanted.numel() else -math.inf),
            Mean.of(q2n(reference, image, ok if masked else None)),
        )

    def ergas(self, ratio: float) -> float:
        return 100 / ratio * float(np.sqrt(np.mean(self.error.value / self.level.value**2)))

    def psnr(self, peak: float) -> float:
        error = float(self.error.value.mean())
        return math.inf if error == 0 else 10 * math.log10(peak**2 / error) if peak > 0 else math.nan


@dataclass(frozen=True)
class Structure(Tally):
    """What neighbouring pixels tell."""

    uqi: Mean
    "of each band"
    edges: np.ndarray
    "of the edges: image times reference, image squared, reference squared"

    @property
    def scc(self) -> float:
        both, image, reference = (float(total) for total in self.edges)
        return both / math.sqrt(image * reference) if image * reference > 0 else math.nan


@dataclass(frozen=True)
class ReferencedSums(Tally):
    likeness: Likeness
    structure: Structure


@dataclass(frozen=True)
class Referenced:
    """The measures over a window of a scene, piece by piece."""

    scene: Window
    "what is measured; squares of 32 pixels are counted from its first pixel"
    ratio: float
    rounded: bool = True
    "whether Q2n is that of counts in 16 bits, as in the toolboxes; never for values that are all below 1 or so"
    peak: float | None = None
    "what PSNR takes for full scale; the greatest value of the reference if none is told"

    reach = SIDE
    "pixels that a piece must have around its core, wherever the scene does"

    def cores(self, side: int = 512) -> list[Window]:
        return pieces(self.scene, side)

    def gather(self, image, reference, window: Window, core: Window, ok=None) -> ReferencedSums:
        """The sums over a core, from what both are over a window around it (bands, h, w)."""
        here = core.grow(self.reach) & window & self.scene
        with torch.inference_mode():
            image, reference, ok = finite(here, window, image, reference, ok)
            inner = (slice(None), *core.within(here))
            likeness = Likeness.of(image[inner], reference[inner], ok[inner[1:]], self.rounded)
            uqi, sums = self._uqi(image, reference, ok, here, core), self._edges(image, reference, ok, here, core)
            return ReferencedSums(likeness, Structure(uqi, sums))

    def maps(self, image, reference, window: Window, core: Window, ok=None) -> tuple[np.ndarray, np.ndarray]:
        """Of each pixel of a core: the angle in degrees, and the error of its bands (rms); NaN where masked."""
        with torch.inference_mode():
            image, reference, ok = finite(core, window, image, reference, ok)
            error = ((image - reference) ** 2).mean(0).sqrt()
            return tuple(torch.where(ok, of, torch.nan).float().numpy() for of in (angles(image, reference), error))

    def _uqi(self, image: Tensor, reference: Tensor, ok: Tensor, here: Window, core: Window) -> Mean:
        """Of the windows that begin in the core and end in the scene."""
        begin = Window(core.row, core.col, core.height + SIDE - 1, core.width + SIDE - 1) & here
        part = begin.within(here)
        known = unmasked(ok[part], SIDE)
        bands = zip(image[(slice(None), *part)], reference[(slice(None), *part)])
        return Mean.of(torch.stack([sliding_uqi(one, other)[known] for one, other in bands], -1))

    def _edges(self, image: Tensor, reference: Tensor, ok: Tensor, here: Window, core: Window) -> np.ndarray:
        """Without the scene's outermost pixels, beyond which all is 0: so the toolboxes have it."""
        inner = self.scene.grow(-1)
        core = core & inner
        if not core:
            return np.zeros(3)
        known = unmasked(taken(ok, here, core.grow(1), inner, True), 3)
        one, other = (edges(taken(field, here, core.grow(1), inner))[:, known] for field in (image, reference))
        return np.array([float((a * b).sum()) for a, b in ((one, other), (one, one), (other, other))])

    def values(self, sums: ReferencedSums) -> dict:
        like, peak = sums.likeness, self.peak or sums.likeness.peak.value
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


def counts(image: Tensor) -> Tensor:
    """As a cast to 16 bits makes them."""
    return (image + 0.5).floor().clamp(0, COUNTS)


def inside(whole: Window) -> Window:
    """An image without the rim that the toolboxes leave out on request."""
    found = Window(whole.row + CROP[0], whole.col + CROP[0], *(n - sum(CROP) for n in whole.shape)) & whole
    if not found:
        raise BlockError(f"an image of {whole.width} by {whole.height} pixels has no inside left to measure")
    return found


def pieces(window: Window, side: int) -> list[Window]:
    """A window in pieces of side by side pixels, a multiple of 32; what is less than 32 goes to the piece before, so
    that a piece has all that its last squares are mirrored from."""
    rows, cols = (_spans(start, n, side) for start, n in zip((window.row, window.col), window.shape))
    return [Window(r, c, h, w) for r, h in rows for c, w in cols]


def _spans(start: int, n: int, side: int) -> list[tuple[int, int]]:
    side = max(side // SIDE, 1) * SIDE
    firsts = [first for first in range(0, n, side) if first == 0 or n - first >= SIDE]
    return [(start + first, stop - first) for first, stop in zip(firsts, [*firsts[1:], n])]


def finite(here: Window, window: Window, image, reference, ok=None) -> tuple[Tensor, Tensor, Tensor]:
    """Both images and what is valid of them, cut from a window; 0 where it is not."""
    part = (..., *here.within(window))
    image, reference = (torch.from_numpy(np.ascontiguousarray(a[part], np.float64)) for a in (image, reference))
    known = image.isfinite().all(0) & reference.isfinite().all(0)
    if ok is not None:
        known &= torch.from_numpy(np.ascontiguousarray(ok[part]))
    if not known.all():
        image, reference = torch.where(known, image, 0), torch.where(known, reference, 0)
    return image, reference, known


def taken(field: Tensor, window: Window, wanted: Window, scene: Window, beyond: float = 0) -> Tensor:
    """A field over a window (..., h, w), over another one; `beyond` where that one leaves the scene."""
    there = wanted & scene
    (top, left), (bottom, right) = (
        (a - b for a, b in zip(*ends))
        for ends in (((there.row, there.col), (wanted.row, wanted.col)), (wanted.stop, there.stop))
    )
    return F.pad(field[(..., *there.within(window))], (left, right, top, bottom), value=beyond)
