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
    image = image if image.is_contiguous() and image.storage_offset() % side == 0 else image.clone(memory_format=DENSE)
    batch, bands, height, width = image.shape
    rows = image.view(word).view(batch, bands, height // side, side, width // side)
    lines = rows.transpose(1, 2).reshape(batch, height // side, bands * side, width // side)
    return lines.transpose(2, 3).contiguous().view(image.dtype).permute(0, 3, 1, 2)


def from_patches(image: Tensor, side: int) -> Tensor:
    """Returns an image with `to_patches` undone."""
    if side == 1:
        return image
    word = _word(image, side)
    if word is None:
        return F.pixel_shuffle(image, side)
    batch, _, height, width = image.shape
    rows = image.permute(0, 2, 3, 1).contiguous().view(word).view(batch, height, width, -1, side)
    return rows.permute(0, 3, 1, 4, 2).contiguous().view(image.dtype).view(batch, -1, side * height, side * width)


DENSE = torch.contiguous_format


def _word(image: Tensor, side: int) -> torch.dtype | None:
    """Returns the type that holds a row of a patch, if whole rows can be moved: 3 times as fast as single pixels."""
    if torch.is_grad_enabled() or image.device.type != "cpu":
        return None
    return WORDS.get(side * image.element_size())
