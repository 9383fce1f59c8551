"""Outputs of the published network with synthetic weights, and the formula of these weights."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import torch

DATA = Path(__file__).parents[1] / "data"


def wave(name: str, shape, amp: float = 0.05) -> np.ndarray:
    i = np.arange(int(np.prod(shape)), dtype=np.float64)
    phase = (zlib.crc32(name.encode()) % 10007) / 10007 * 2 * np.pi
    return (amp * np.sin(0.7391 * i + phase) * np.cos(0.1273 * i + 2 * phase)).reshape(shape).astype(np.float32)


def tensor_of(name: str, shape) -> np.ndarray:
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    w = wave(name, shape)
    if name.endswith("running_var"):
        return 1 + np.abs(w)
    gains = ("out_layers.0.weight", "out_layers_pan.0.weight", "out_layers_lms.0.weight")
    if name.endswith(gains) or ("norm" in name and name.endswith("weight")):
        return 1 + w
    return w * np.float32(1.5 / np.sqrt(np.prod(shape[1:])) / 0.05) if len(shape) >= 2 else w


def published_state(bands: int) -> dict[str, torch.Tensor]:
    listing = json.loads((DATA / f"ssnet_{bands}band_state_dict.json").read_text())["state_dict"]
    return {name: torch.from_numpy(np.asarray(tensor_of(name, shape))) for name, shape in listing}


def inputs(bands: int) -> dict[str, torch.Tensor]:
    def field(name, shape, amp, mean=0.4):
        return torch.from_numpy(mean + wave(f"in.{name}", shape, amp)).float()

    return {
        "x_t": field("x_t", (2, bands, 64, 64), 1.0, mean=0.0),
        "t": torch.tensor([0.0, 900.0]),
        "lms": field("lms", (2, bands, 64, 64), 0.3),
        "pan": field("pan", (2, 1, 64, 64), 0.3),
        "ms": field("ms", (2, bands, 16, 16), 0.3),
    }


def answers(bands: int):
    return np.load(DATA / f"ssnet_{bands}band_golden.npz")
