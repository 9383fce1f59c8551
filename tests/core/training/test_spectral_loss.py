"""The spectral loss compares the directions of spectra in counts, whatever their lengths."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssdiff_core.domain.block import SceneStats
from ssdiff_core.model.normalisation import units
from ssdiff_core.training.spectral_loss import SpectralLoss
from ssdiff_core.weights.card import MOMENTS

STATS = SceneStats(means=(300.0, 400.0, 350.0, 600.0, 420.0), deviations=(60.0, 90.0, 120.0, 200.0, 100.0))
SCENE = units(MOMENTS, STATS, 4)
LOSS = SpectralLoss(SCENE, 1.0)


def spectra(seed: int) -> torch.Tensor:
    """Returns counts of an image (1, 4, 6, 6)."""
    return torch.from_numpy(np.random.default_rng(seed).uniform(50, 900, (1, 4, 6, 6)).astype(np.float32))


@given(st.integers(0, 1000), st.floats(0.3, 2.0))
def test_brighter_or_darker_spectra_of_the_same_colour_cost_nothing(seed, factor):
    counts, other = spectra(seed), spectra(seed + 5000)
    base, truth, predicted = (SCENE.of_ms(image) for image in (other, counts, factor * counts))
    assert LOSS(base, predicted - base, truth - base) < 2e-3


@given(st.integers(0, 1000))
def test_the_loss_of_the_base_itself_is_the_weight(seed):
    base, truth = SCENE.of_ms(spectra(seed)), SCENE.of_ms(spectra(seed + 5000))
    assert SpectralLoss(SCENE, 0.7)(base, torch.zeros_like(base), truth - base).item() == pytest.approx(0.7, rel=1e-5)


def test_the_loss_follows_the_angle_between_the_spectra_in_counts():
    """Two spectra at a small angle have directions whose distance is twice the sine of half of it."""
    counts, other, base = spectra(1), spectra(1) * torch.tensor([1.1, 1, 1, 1]).view(1, 4, 1, 1), spectra(2)

    def distance(a, b):
        cosine = (a * b).sum(1).double() / (a.double().norm(dim=1) * b.double().norm(dim=1))
        return (2 * torch.sin(cosine.clamp(-1, 1).arccos() / 2)).mean().item()

    base, predicted, truth = (SCENE.of_ms(image) for image in (base, other, counts))
    expected = distance(other, counts) / distance(spectra(2), counts)
    assert LOSS(base, predicted - base, truth - base).item() == pytest.approx(expected, rel=1e-3)


def test_pixels_without_a_truth_do_not_count():
    base, truth, predicted = (SCENE.of_ms(spectra(k)) for k in (1, 2, 3))
    cut = torch.where(torch.arange(6) < 3, truth - base, torch.nan)
    whole = LOSS(base[..., :3], (predicted - base)[..., :3], (truth - base)[..., :3])
    assert LOSS(base, predicted - base, cut).item() == pytest.approx(whole.item(), rel=1e-5)


def test_gradients_are_finite_where_the_prediction_is_the_truth():
    base, truth = SCENE.of_ms(spectra(1)), SCENE.of_ms(spectra(2))
    predicted = (truth - base).clone().requires_grad_(True)
    LOSS(base, predicted, truth - base).backward()
    assert predicted.grad.isfinite().all()
