"""How much of what PAN shows MS still shows at its own Nyquist frequency, told by the scene itself.

PAN is blurred until the gradients of MS explain its own best. What that blur leaves is what MS keeps of an image as
sharp as PAN. A sensor's profile says what it keeps of the ground, and a vendor may have sharpened either since.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .coarser import blurred
from .pieces import Piece

GAINS = (0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.16, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
SURE = 0.5
"share of PAN's gradients that must be explained for the answer to be believed"
MOST = 6
"pieces that are asked"


def response_of(pieces: Sequence[Piece]) -> float | None:
    """The gain at Nyquist, of all bands together; None where MS and PAN show too little in common."""
    share = [_explained(pieces[:: -(-len(pieces) // MOST)], gain) for gain in GAINS]
    best = int(np.argmax(share))
    return _top(share, best) if share[best] > SURE else None


def _top(share: Sequence[float], best: int) -> float:
    """Where a parabola through the best gain and its neighbours has its top."""
    if best in (0, len(GAINS) - 1):
        return GAINS[best]
    at, value = GAINS[best - 1 : best + 2], share[best - 1 : best + 2]
    curve = np.polyfit(at, value, 2)
    return float(np.clip(-curve[1] / (2 * curve[0]), at[0], at[2]))


def _explained(pieces: Sequence[Piece], gain: float) -> float:
    """The share of the gradients of PAN, blurred so much, that is a mixture of the gradients of the bands."""
    gram = sum(_products(piece, gain) for piece in pieces)
    with_pan, own = gram[:-1, -1], gram[:-1, :-1]
    if gram[-1, -1] <= 0:
        return 0.0
    mixture = np.linalg.lstsq(own, with_pan, rcond=1e-10)[0]
    return float(with_pan @ mixture / gram[-1, -1])


def _products(piece: Piece, gain: float) -> np.ndarray:
    """Of the gradients of all bands and of PAN, at last, with each other, summed over what may be learnt from."""
    at = [first + piece.ratio * np.arange(n) for first, n in zip(piece.at, piece.ms.shape[1:])]
    pan = blurred(piece.pan[None], np.isfinite(piece.pan), at, (gain,), piece.ratio)
    image = np.concatenate([piece.ms, pan]).astype(np.float64)
    if piece.trust is not None:
        image = np.where(piece.trust, image, np.nan)
    image = image[:, 2:-2, 2:-2]  # PAN ends with the piece
    down, across = (np.diff(image, axis=axis).reshape(len(image), -1) for axis in (1, 2))
    slopes = np.concatenate([down, across], axis=1)
    slopes = slopes[:, np.isfinite(slopes).all(0)]
    return slopes @ slopes.T
