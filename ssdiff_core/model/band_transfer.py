"""Weights for other bands, or another ratio, than a scene has, made to begin with there.

Each band begins as the nearest by wavelength; each of the pixels that an MS sample becomes as those in its place.
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


def nearest(wanted: Sequence[float], given: Sequence[float]) -> list[int]:
    """For each wavelength the nearest of those given."""
    return [min(range(len(given)), key=lambda i: abs(given[i] - nm)) for nm in wanted]


def sources(bands: int, wavelengths: Sequence[float], had: int, had_wavelengths: Sequence[float]) -> list[int]:
    """Which of the bands that weights had each of a scene's is to begin as; by rank where wavelengths are unknown."""
    if len(wavelengths) == bands and len(had_wavelengths) == had:
        return nearest(wavelengths, had_wavelengths)
    return list(range(bands)) if bands == had else [band * had // bands for band in range(bands)]


def phase(card: Card, ratio: int) -> float:
    """Where the first MS sample lies at another ratio, if it covers the same share of its pixel."""
    return (card.ms_phase + 0.5) * ratio / card.ratio - 0.5


def fitted(weights: Weights, names: Sequence[str], wavelengths: Sequence[float], ratio: int | None = None) -> Weights:
    """The weights for bands of these names: what was told apart by band is shared out and copied by wavelength.

    Where two bands begin as the same one, each counts half in what is summed over bands.
    """
    card = weights.card
    source = sources(len(names), wavelengths, len(card.bands), card.wavelengths_nm)
    ratio = ratio or card.ratio
    arch = replace(card.arch, bands=len(names), ratio=ratio)
    net = SSNet(arch)
    load_state(net, _parted(_taken(state_of(weights.net), source, len(card.bands), card.arch), card.ratio, ratio))
    told = {"bands": tuple(names), "wavelengths_nm": tuple(wavelengths)}
    told |= {"arch": arch, "ratio": ratio, "ms_phase": phase(card, ratio)}
    sigma = tuple(card.residual_sigma[i] for i in source)
    return Weights(replace(card, residual_sigma=sigma, **told), net.eval().requires_grad_(False), weights.sha256)


def _taken(state: dict[str, Tensor], source: list[int], had: int, arch) -> dict[str, Tensor]:
    """A state dict whose bands are those of another, by number."""
    index = torch.tensor(source)
    share = 1 / torch.tensor([source.count(i) for i in source], dtype=torch.float32)[:, None, None]

    def of_inputs(weight: Tensor, alone: int) -> Tensor:
        """After `alone` channels that are no bands, all channels are the bands, one or more times over."""
        groups = weight[:, alone:].split(had, dim=1)
        return torch.cat([weight[:, :alone], *(group[:, index] * share for group in groups)], dim=1)

    square = arch.ratio**2
    answers = (index[:, None] * square + torch.arange(square)).flatten()
    return {
        **state,
        "spatial_stem.conv_in.weight": of_inputs(state["spatial_stem.conv_in.weight"], arch.guides),
        "spectral_stem.conv_in.weight": of_inputs(state["spectral_stem.conv_in.weight"], 0),
        "skip.0.weight": of_inputs(state["skip.0.weight"], 0)[answers],
        "head.2.weight": state["head.2.weight"][index],
        "head.2.bias": state["head.2.bias"][index],
    }


def _parted(state: dict[str, Tensor], had: int, ratio: int) -> dict[str, Tensor]:
    """A state dict whose MS samples become ratio x ratio pixels: means of those that they became, or copies of them."""
    if had == ratio:
        return state
    old = state["skip.0.weight"]
    bands, (around, *kernel) = len(old) // had**2, old.shape[1:]
    places = old.reshape(bands, had, had, -1).permute(0, 3, 1, 2)
    places = adaptive_avg_pool2d(places, ratio) if ratio < had else interpolate(places, size=(ratio, ratio))
    return {**state, "skip.0.weight": places.permute(0, 2, 3, 1).reshape(-1, around, *kernel)}
