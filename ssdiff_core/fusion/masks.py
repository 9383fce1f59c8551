"""Filling masked pixels of tiles with the nearest valid ones, so that the network receives complete tiles."""

from __future__ import annotations

import torch
from torch import Tensor


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
