"""Squares of pixels as channels: a network on patches treats each square of ratio x ratio PAN pixels as one pixel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

WORDS = {4: torch.int32, 8: torch.int64, 16: torch.complex128}
"a type for each number of bytes of a row of a patch"


def to_patches(image: Tensor, side: int) -> Tensor:
    """Returns an image with its squares of side x side pixels as channels: (B, C, h, w) -> (B, C * side², h', w')."""
    if side == 1:
        return image
    word = _word(image, side)
    if word is None:
        return F.pixel_unshuffle(image, side)
    batch, bands, height, width = image.shape
    rows = _as(image, word).view(batch, bands, height // side, side, width // side)
    lines = rows.transpose(1, 2).reshape(batch, height // side, bands * side, width // side)
    moved = _as(lines.transpose(2, 3), image.dtype)
    return moved.view(batch, height // side, width // side, bands * side**2).permute(0, 3, 1, 2)


def from_patches(image: Tensor, side: int) -> Tensor:
    """Returns an image with `to_patches` undone."""
    if side == 1:
        return image
    word = _word(image, side)
    if word is None:
        return F.pixel_shuffle(image, side)
    batch, channels, height, width = image.shape
    rows = _as(image.permute(0, 2, 3, 1), word).view(batch, height, width, channels // side**2, side)
    moved = _as(rows.permute(0, 3, 1, 4, 2), image.dtype)
    return moved.view(batch, channels // side**2, side * height, side * width)


def _as(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns the bytes of a tensor, in the order of its elements, as another type (n,)."""
    flat = tensor.reshape(-1)
    aligned = flat.storage_offset() * flat.element_size() % dtype.itemsize == 0
    return (flat if aligned else flat.clone()).view(dtype)


def _word(image: Tensor, side: int) -> torch.dtype | None:
    """Returns the type that holds a row of a patch, if whole rows can be moved: 3 times as fast as single pixels."""
    if torch.is_grad_enabled() or image.device.type != "cpu":
        return None
    return WORDS.get(side * image.element_size())
