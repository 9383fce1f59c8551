"""A loss for the colours of the fused image, beside the error of the residual."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..model.normalisation import Units

MINIMUM_LENGTH = 1e-6
"length of a spectrum, in counts of a scene whose bands have a mean deviation of 1, below which it has no direction"
SMOOTHED = 1e-4
"distance of two directions below which the loss is smooth"


@dataclass(frozen=True)
class SpectralLoss:
    """The distance between the directions of predicted and true spectra, relative to that of the base.

    The error of the residual is mostly that of bright pixels. The direction of a spectrum in counts, and so the
    spectral angle, changes as easily in dark ones.
    """

    units: Units
    "normalisation of the scene that is trained on"
    weight: float
    "weight relative to the error of the residual: with 1, both are as large for the base"

    def __call__(self, base: Tensor, predicted: Tensor, truth: Tensor) -> Tensor:
        """Returns the loss of residuals in units of the network, each (B, C, h, w); NaN in `truth` is left out."""
        known = truth.isfinite().all(1)
        truth = truth.where(truth.isfinite(), 0)
        target = self._directions(base + truth)
        initial, now = (
            (((self._directions(base + residual) - target).square().sum(1) + SMOOTHED**2).sqrt() * known).sum()
            for residual in (torch.zeros_like(truth), predicted)
        )
        return self.weight * now / initial.clamp_min(SMOOTHED)

    def _directions(self, image: Tensor) -> Tensor:
        """Returns the spectra of an image in units of the network, divided by their lengths."""
        ones = self.units.ones / self.units.ones.mean()
        spectra = image * ones + self.units.zeros / self.units.ones.mean()
        return spectra / spectra.norm(dim=1, keepdim=True).clamp_min(MINIMUM_LENGTH)
