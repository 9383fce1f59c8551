"""Transfer of weights to a scene with other bands or another ratio, as a start for training.

Each band starts from the band of the weights that is nearest by wavelength. If the ratio differs, the layer that makes
ratio x ratio pixels of an MS sample is resampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from ..weights.card import Card
from .checkpoint import Weights
from .ssnet import SSNet, load_state, state_of


def nearest(wavelengths: Sequence[float], given: Sequence[float]) -> list[int]:
    """Returns for each wavelength the index of the nearest of those in `given`."""
    return [min(range(len(given)), key=lambda i: abs(given[i] - nm)) for nm in wavelengths]


def sources(bands: int, wavelengths: Sequence[float], old_bands: int, old_wavelengths: Sequence[float]) -> list[int]:
    """Returns for each band of a scene the band of the weights that it starts from; by position without wavelengths."""
    if len(wavelengths) == bands and len(old_wavelengths) == old_bands:
        return nearest(wavelengths, old_wavelengths)
    return list(range(bands)) if bands == old_bands else [band * old_bands // bands for band in range(bands)]


def phase(card: Card, ratio: int) -> float:
    """Returns the position of the first MS sample at another ratio, at the same share of its pixel."""
    return (card.ms_phase + 0.5) * ratio / card.ratio - 0.5


def fitted(weights: Weights, names: Sequence[str], wavelengths: Sequence[float], ratio: int | None = None) -> Weights:
    """Returns weights for bands with these names, copied from the bands that are nearest by wavelength.

    Where two bands start from the same one, each has half its input weight, so that sums over bands stay the same.
    """
    card = weights.card
    source = sources(len(names), wavelengths, len(card.bands), card.wavelengths_nm)
    ratio = ratio or card.ratio
    arch = replace(card.arch, bands=len(names), ratio=ratio)
    net = SSNet(arch)
    state = _with_bands(state_of(weights.net), source, len(card.bands), card.arch)
    load_state(net, _resampled(state, card.ratio, ratio))
    changed = {"bands": tuple(names), "wavelengths_nm": tuple(wavelengths)}
    changed |= {"arch": arch, "ratio": ratio, "ms_phase": phase(card, ratio)}
    sigma = tuple(card.residual_sigma[i] for i in source)
    return Weights(replace(card, residual_sigma=sigma, **changed), net.eval().requires_grad_(False), weights.sha256)


def _with_bands(state: dict[str, Tensor], source: list[int], old_bands: int, arch) -> dict[str, Tensor]:
    """Returns a state dict with bands copied from those with these indices."""
    index = torch.tensor(source)
    share = 1 / torch.tensor([source.count(i) for i in source], dtype=torch.float32)[:, None, None]

    def of_inputs(weight: Tensor, alone: int) -> Tensor:
        """Returns input weights; after the first `alone` channels, the channels are all bands, once or repeatedly."""
        groups = weight[:, alone:].split(old_bands, dim=1)
        return torch.cat([weight[:, :alone], *(group[:, index] * share for group in groups)], dim=1)

    square = arch.ratio**2
    outputs = (index[:, None] * square + torch.arange(square)).flatten()
    return {
        **state,
        "spatial_stem.conv_in.weight": of_inputs(state["spatial_stem.conv_in.weight"], arch.guides),
        "spectral_stem.conv_in.weight": of_inputs(state["spectral_stem.conv_in.weight"], 0),
        "skip.0.weight": of_inputs(state["skip.0.weight"], 0)[outputs],
        "head.2.weight": state["head.2.weight"][index],
        "head.2.bias": state["head.2.bias"][index],
    }


def _resampled(state: dict[str, Tensor], old_ratio: int, ratio: int) -> dict[str, Tensor]:
    """Returns a state dict that makes ratio x ratio pixels of an MS sample: means or copies of the previous ones."""
    if old_ratio == ratio:
        return state
    old = state["skip.0.weight"]
    bands, (around, *kernel) = len(old) // old_ratio**2, old.shape[1:]
    pixels = old.reshape(bands, old_ratio, old_ratio, -1).permute(0, 3, 1, 2)
    pixels = adaptive_avg_pool2d(pixels, ratio) if ratio < old_ratio else interpolate(pixels, size=(ratio, ratio))
    return {**state, "skip.0.weight": pixels.permute(0, 2, 3, 1).reshape(-1, around, *kernel)}
