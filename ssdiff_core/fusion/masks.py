"""Filling masked pixels, so that the network receives complete tiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

NEIGHBOURS = [(0, 1), (1, 0), (1, 2), (2, 1), (0, 0), (0, 2), (2, 0), (2, 2)]  # the nearer four first


def fill_masked(image: np.ndarray, ok: np.ndarray, rounds: int, rest: Sequence[float] = (0.0,)) -> np.ndarray:
    """Returns an image (C, h, w) as float32 with masked pixels filled from pixels within `rounds` pixels, else `rest`.

    rest: a value for each channel, or one for all.
    """
    image = np.asarray(image, np.float32)
    if ok.all():
        return image
    values = torch.tensor(rest, dtype=torch.float32)[:, None, None]
    return spread_valid(torch.from_numpy(image), torch.from_numpy(ok), rounds, values).numpy()


def spread_valid(image: Tensor, ok: Tensor, rounds: int, rest: Tensor | float = 0) -> Tensor:
    """Extends the valid pixels of an image (C, h, w) by one pixel a round, copying a neighbour; all others become rest.

    A filled value depends only on the neighbourhood of `rounds` pixels, so that it is the same in every block.
    """
    image = torch.where(ok, image, rest)
    for _ in range(rounds):
        if ok.all():
            break
        h, w = ok.shape
        around, known = F.pad(image, (1, 1, 1, 1)), F.pad(ok, (1, 1, 1, 1))
        grown = ok
        for r, c in NEIGHBOURS:
            found = known[r : r + h, c : c + w] & ~grown
            image = torch.where(found, around[:, r : r + h, c : c + w], image)
            grown = grown | found
        ok = grown
    return image


def nearest_valid(ok: Tensor) -> Tensor:
    """Returns the flat index (B, h * w) of the nearest valid pixel for each pixel of the masks (B, h, w)."""
    h, w = ok.shape[1:]
    far = 2 * (h + w)
    rows, cols = torch.arange(h, device=ok.device), torch.arange(w, device=ok.device)
    # First along each column, then along each row over the distances in the columns: exact Euclidean distance.
    gap = (rows[:, None] - rows).abs()[None, :, :, None] + far * (~ok)[:, None].float()  # (B, h, h', w)
    distance, row = gap.min(dim=2)  # (B, h, w)
    squares = distance[:, :, None, :] ** 2 + ((cols[:, None] - cols) ** 2)[None, None]  # (B, h, w, w')
    col = squares.argmin(dim=3)  # (B, h, w)
    return (row.gather(2, col) * w + col).flatten(1)


def fill_nearest(tiles: Tensor, ok: Tensor) -> Tensor:
    """Returns tiles (B, C, h, w) with each pixel that is not ok (B, h, w) replaced by the nearest that is, if any."""
    index = nearest_valid(ok)[:, None].expand(-1, tiles.shape[1], -1)  # (B, C, h * w)
    return tiles.flatten(2).gather(2, index).view_as(tiles)
