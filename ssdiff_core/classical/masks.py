"""Filling masked pixels from valid ones beside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NEIGHBOURS = [(0, 1), (1, 0), (1, 2), (2, 1), (0, 0), (0, 2), (2, 0), (2, 2)]  # the nearer four first


def fill_masked(image: np.ndarray, ok: np.ndarray, rounds: int, rest: Sequence[float] = (0.0,)) -> np.ndarray:
    """Returns an image (C, h, w) as float32 with masked pixels filled from pixels within `rounds` pixels, else `rest`.

    The valid pixels are extended by one pixel a round, copying a neighbour. A filled value depends only on the
    neighbourhood of `rounds` pixels, so that it is the same in every block. rest: a value for each channel, or one for
    all.
    """
    image = np.asarray(image, np.float32)
    if ok.all():
        return image
    image = np.where(ok, image, np.array(rest, np.float32)[:, None, None])
    known = np.pad(ok, 1)
    for _ in range(rounds):
        wide = known[:-2] | known[1:-1] | known[2:]
        rows, cols = np.nonzero((wide[:, :-2] | wide[:, 1:-1] | wide[:, 2:]) & ~known[1:-1, 1:-1])
        if not len(rows):
            break
        places = [(rows + r, cols + c) for r, c in NEIGHBOURS]
        which = np.argmax([known[place] for place in places], axis=0)  # the first valid neighbour
        down, right = np.array(NEIGHBOURS)[which].T - 1
        image[:, rows, cols] = image[:, rows + down, cols + right]
        known[rows + 1, cols + 1] = True
    return image
