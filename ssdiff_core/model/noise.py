"""Noise at absolute positions: a pixel's value depends only on (seed, row, column, band, sample).

A counter-based generator: the position of each pixel is hashed (with the finaliser of splitmix64, Steele et al. 2014),
so neighbouring blocks, other extents and other devices get the same noise.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
MIX1, MIX2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def _signed(value: int) -> int:
    value &= MASK
    return value - (1 << 64) if value >> 63 else value


def _shift(z: Tensor, bits: int) -> Tensor:
    return (z >> bits) & ((1 << (64 - bits)) - 1)  # torch's shift repeats the sign bit


def _mix(z: Tensor) -> Tensor:
    z = (z ^ _shift(z, 30)) * _signed(MIX1)
    z = (z ^ _shift(z, 27)) * _signed(MIX2)
    return z ^ _shift(z, 31)


def _chain(key: Tensor, counter: Tensor) -> Tensor:
    return _mix(key + (counter + 1) * _signed(GOLDEN))


def normal(seed: int, rows: Tensor, cols: Tensor, bands: int, sample: int = 0) -> Tensor:
    """Returns standard normal noise (bands, h, w) float32 at absolute rows (h,) and columns (w,), on their device."""
    device = rows.device
    if device.type == "mps":  # MPS lacks some 64-bit integer operations
        return normal(seed, rows.cpu(), cols.cpu(), bands, sample).to(device)
    key = torch.full((1,), _signed(seed), dtype=torch.int64, device=device)
    key = _chain(_chain(key, torch.full_like(key, sample)), torch.arange(bands, device=device))  # (bands,)
    bits = _chain(_chain(key[:, None], rows)[:, :, None], cols)  # (bands, h, w)
    u = ((_shift(bits, 40)).float() + 0.5) * 2.0**-24  # in (0, 1)
    angle = (bits & 0xFFFFFF).float() * (2 * math.pi * 2.0**-24)
    return (-2 * u.log()).sqrt() * angle.cos()  # Box-Muller
