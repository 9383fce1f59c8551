import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssdiff_core.model.diffusion import ALPHA_BAR, T, ddim_sample, loss, mean_and_std, q_sample, trailing


def test_schedule_falls_from_signal_to_noise():
    assert ALPHA_BAR.shape == (T,)
    assert (ALPHA_BAR[1:] < ALPHA_BAR[:-1]).all()
    assert ALPHA_BAR[0] > 0.9999
    assert ALPHA_BAR[-1] < 1e-6
    assert ALPHA_BAR[900].item() == pytest.approx(0.0236, abs=2e-4)
    assert math.sqrt(1 - ALPHA_BAR[100]) == pytest.approx(0.169, abs=1e-3)


def test_forward_process_has_the_right_moments_at_every_t():
    n, x0 = 4000, 0.7
    noise = torch.randn(T, n, generator=torch.Generator().manual_seed(3))
    x_t = q_sample(torch.full((T, n), x0), torch.arange(T), noise)
    mean, std = ALPHA_BAR.sqrt() * x0, (1 - ALPHA_BAR).sqrt()
    assert ((x_t.mean(1) - mean).abs() < 5 * std / math.sqrt(n) + 1e-6).all()
    assert ((x_t.std(1) / std - 1).abs() < 5 / math.sqrt(2 * n) + 1e-3).all()


def test_each_item_of_a_batch_has_its_own_t():
    x0, noise, t = torch.rand(5, 2, 3, 3), torch.randn(5, 2, 3, 3), torch.tensor([0, 10, 500, 900, 999])
    together = q_sample(x0, t, noise)
    apart = torch.cat([q_sample(x0[i : i + 1], t[i : i + 1], noise[i : i + 1]) for i in range(5)])
    assert torch.equal(together, apart)


@given(st.integers(1, T))
def test_sampling_starts_at_the_noisiest_step_and_visits_true_timesteps(steps):
    visited = trailing(steps)
    assert visited[0] == T - 1
    assert len(set(visited)) == steps
    assert visited == sorted(visited, reverse=True)
    assert visited[-1] >= 0


def test_ten_steps_are_999_899_to_99():
    assert trailing(10) == [999, 899, 799, 699, 599, 499, 399, 299, 199, 99]


@pytest.mark.parametrize("steps", [0, -1, T + 1])
def test_impossible_numbers_of_steps_are_refused(steps):
    with pytest.raises(ValueError, match="steps"):
        trailing(steps)


@settings(max_examples=30)
@given(st.integers(1, T), st.integers(0, 2**31))
def test_a_perfect_denoiser_is_followed_to_the_target(steps, seed):
    generator = torch.Generator().manual_seed(seed)
    target, noise = torch.rand(2, 3, 4, 4, generator=generator), torch.randn(2, 3, 4, 4, generator=generator)
    drawn = ddim_sample(lambda x_t, t: target, noise, steps)
    assert (drawn - target).abs().max() < 1e-5


def test_denoiser_and_callback_receive_every_timestep():
    told, heard = [], []
    ddim_sample(lambda x_t, t: told.append(int(t)) or x_t, torch.zeros(1), 4, lambda t, x0: heard.append(t))
    assert told == heard == [999, 749, 499, 249]


def test_a_gaussian_posterior_is_sampled_with_its_mean_and_spread():
    """x0 ~ N(mu, s^2): the optimal denoiser is known, and DDIM must turn noise into this distribution."""
    mu, s, n = 0.4, 0.5, 40_000

    def posterior_mean(x_t, t):
        a = float(ALPHA_BAR[int(t)])
        return mu + math.sqrt(a) * s**2 / (a * s**2 + 1 - a) * (x_t - math.sqrt(a) * mu)

    noise = torch.randn(n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    drawn = ddim_sample(posterior_mean, noise, 500)
    assert drawn.mean().item() == pytest.approx(mu, abs=0.02)
    assert drawn.std().item() == pytest.approx(s, rel=0.03)
    standard = ((drawn - drawn.mean()) / drawn.std()).sort().values
    normal = torch.distributions.Normal(0, 1).icdf((torch.arange(n, dtype=torch.float64) + 0.5) / n)
    assert (standard - normal)[n // 100 : -n // 100].abs().max() < 0.05


def test_two_modes_are_both_found_in_their_shares():
    """x0 is +1 with probability 0.3, else -1: an average of both would be -0.4 everywhere."""

    def posterior_mean(x_t, t):
        a = float(ALPHA_BAR[int(t)])
        return torch.tanh(math.sqrt(a) * x_t / (1 - a) + 0.5 * math.log(0.3 / 0.7))

    noise = torch.randn(20_000, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    drawn = ddim_sample(posterior_mean, noise, 200)
    assert ((drawn.abs() - 1).abs() < 0.05).double().mean() > 0.97
    assert (drawn > 0).double().mean().item() == pytest.approx(0.3, abs=0.02)


def test_loss_is_the_mean_distance_to_x0_where_x0_is_known():
    x0 = torch.rand(4, 2, 8, 8)
    assert loss(x0, x0) == 0
    assert loss(x0 + 0.25, x0).item() == pytest.approx(0.25, rel=1e-5)
    half = torch.where(torch.arange(8) < 4, x0, torch.nan)
    assert loss(x0 + 0.25, half).item() == pytest.approx(0.25, rel=1e-5)


@given(st.integers(1, 6), st.integers(0, 1000))
def test_mean_and_spread_of_samples_are_those_of_the_stack(k, seed):
    draws = torch.randn(k, 3, 5, generator=torch.Generator().manual_seed(seed)) + 7
    mean, std = mean_and_std(iter(draws))
    assert torch.allclose(mean, draws.mean(0), atol=1e-5)
    assert torch.allclose(std, draws.std(0) if k > 1 else torch.zeros(3, 5), atol=1e-5)


def test_no_samples_have_no_mean():
    with pytest.raises(ValueError, match="no sample"):
        mean_and_std(iter([]))
