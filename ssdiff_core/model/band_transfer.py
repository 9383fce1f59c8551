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

from ..common.errors import ConfigError
from ..weights.card import Card
from ..weights.model_config import Config
from .checkpoint import Weights
from .networks import network
from .ssnet import load_state, state_of


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
    arch = replace(card.arch, bands=len(names), ratio=ratio, **({"patch": ratio} if card.arch.patch > 1 else {}))
    net = network(arch)
    moved = _on_patches if card.arch.blocks else _published
    load_state(net, moved(state_of(weights.net), source, card.arch, arch))
    changed = {"bands": tuple(names), "wavelengths_nm": tuple(wavelengths)}
    changed |= {"arch": arch, "ratio": ratio, "ms_phase": phase(card, ratio)}
    sigma = tuple(card.residual_sigma[i] for i in source)
    return Weights(replace(card, residual_sigma=sigma, **changed), net.eval().requires_grad_(False), weights.sha256)


# --- the published network --------------------------------------------------------------------------------------------


def _published(state: dict[str, Tensor], source: list[int], old: Config, arch: Config) -> dict[str, Tensor]:
    """Returns the state of SSNet with bands copied from those with the indices in `source`, at the ratio of arch."""
    if old.patch > 1:
        raise ConfigError("weights with attention on patches cannot be changed to other bands or another ratio")
    return _resampled(_with_bands(state, source, old.bands, old), old.ratio, arch.ratio)


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


# --- the convolutional network ----------------------------------------------------------------------------------------


def _on_patches(state: dict[str, Tensor], source: list[int], old: Config, arch: Config) -> dict[str, Tensor]:
    """Returns the state of ConvSSNet with bands copied from those with the indices in `source`, on patches of arch."""
    index = torch.tensor(source)
    share = 1 / torch.tensor([source.count(i) for i in source], dtype=torch.float32)

    def patches(weight: Tensor, images: int) -> Tensor:
        """Returns input weights of this many images of a branch, for patches of another size."""
        kept = weight.unflatten(1, (images, old.patch, old.patch))
        return _resized(kept, arch.patch, (old.patch / arch.patch) ** 2)

    def of_bands(weight: Tensor) -> Tensor:
        """Returns weights (outputs, bands, ...) for the new bands."""
        return weight[:, index] * share.view(-1, *[1] * (weight.dim() - 2))

    def inputs(weight: Tensor, alone: int, with_ms: bool = False) -> Tensor:
        """Returns input weights: first of `alone` images, then of images of all bands, then of MS itself."""
        ms = of_bands(weight[:, -old.bands :]) if with_ms else weight[:, :0]
        fine = weight[:, : -old.bands] if with_ms else weight
        fine = patches(fine, fine.shape[1] // old.patch**2)
        views = fine[:, alone:]
        groups = [of_bands(group) for group in views.split(old.bands, dim=1)] if views.shape[1] else []
        return torch.cat([torch.cat([fine[:, :alone], *groups], dim=1).flatten(1, 3), ms], dim=1)

    def outputs(weight: Tensor) -> Tensor:
        """Returns the weights of the last layer, of which each patch of a band is an output."""
        kept = weight.unflatten(0, (old.bands, old.patch, old.patch))[index]
        return _resized(kept.unsqueeze(0), arch.patch, 1.0)[0].flatten(0, 2)

    return {
        **state,
        "spatial_stem.conv_in.weight": inputs(state["spatial_stem.conv_in.weight"], arch.guides),
        "spatial_stem.noise_in.weight": inputs(state["spatial_stem.noise_in.weight"], 0),
        "spectral_stem.conv_in.weight": inputs(state["spectral_stem.conv_in.weight"], 0, with_ms=True),
        "spectral_stem.noise_in.weight": inputs(state["spectral_stem.noise_in.weight"], 0),
        "head.2.weight": outputs(state["head.2.weight"]),
        "head.2.bias": outputs(state["head.2.bias"]),
    }


def _resized(weight: Tensor, side: int, factor: float) -> Tensor:
    """Returns weights (n, images, p, p, ...) for patches of another side: means or copies of them, times the factor."""
    old = weight.shape[2]
    if old == side:
        return weight
    moved = weight.flatten(4).movedim(-1, 0) if weight.dim() > 4 else weight[None]  # (..., n, images, p, p)
    flat = moved.flatten(0, 1)
    resized = adaptive_avg_pool2d(flat, side) if side < old else interpolate(flat, size=(side, side))
    resized = resized.unflatten(0, moved.shape[:2])
    return resized.movedim(0, -1).unflatten(-1, weight.shape[4:]) * factor if weight.dim() > 4 else resized[0] * factor
