"""The diffusion of SSDiff as plain functions, with the names of the papers.

x0 is (hrms - base) / residual_sigma everywhere: in training, in every step of sampling, and in the output of the
network. The caller adds the base to the sample. Sampling is DDIM (Song et al., ICLR 2021) with eta 0
on the cosine schedule (Nichol & Dhariwal, ICML 2021), with the trailing spacing of Lin et al. (WACV 2024): it starts at
the noisiest step, where training ended.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..common.errors import ConfigError
from ..weights.model_config import T

Denoiser = Callable[[Tensor, Tensor], Tensor]
"(x_t, t) -> x0, with t of shape (1,) or one for each item of the batch"


def cosine_schedule(steps: int = T) -> Tensor:
    """Returns alpha_bar at every t: the share of the variance of x_t that is signal (steps,)."""

    def signal(u: float) -> float:
        return math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = [min(1 - signal((t + 1) / steps) / signal(t / steps), 0.999) for t in range(steps)]
    return torch.cumprod(1 - torch.tensor(betas, dtype=torch.float64), dim=0)


ALPHA_BAR = cosine_schedule()


def trailing(steps: int) -> list[int]:
    """Returns the timesteps of sampling, noisiest first: trailing(10) is 999, 899, ... 99."""
    if not 1 <= steps <= T:
        raise ConfigError(f"the number of steps must be from 1 to {T}, not {steps}")
    return [round(T * k / steps) - 1 for k in range(steps, 0, -1)]


def q_sample(x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """Returns x_t: x0 after t steps of the forward process, computed in closed form."""
    alpha_bar = ALPHA_BAR[t.cpu()].to(x0).view(-1, *[1] * (x0.dim() - 1))
    return alpha_bar.sqrt() * x0 + (1 - alpha_bar).sqrt() * noise


def loss(predicted: Tensor, x0: Tensor) -> Tensor:
    """Returns the mean absolute error of the predicted x0, over the pixels where x0 is not NaN."""
    known = x0.isfinite()
    return (F.l1_loss(predicted, torch.where(known, x0, 0), reduction="none") * known).sum() / known.sum()


def ddim_step(x_t: Tensor, x0: Tensor, t: int, t_next: int | None) -> Tensor:
    """Returns x at the less noisy t_next (None: without noise), given x_t and the predicted x0."""
    if t_next is None:
        return x0
    alpha_bar, alpha_bar_next = float(ALPHA_BAR[t]), float(ALPHA_BAR[t_next])
    eps = (x_t - math.sqrt(alpha_bar) * x0) / math.sqrt(1 - alpha_bar)
    return math.sqrt(alpha_bar_next) * x0 + math.sqrt(1 - alpha_bar_next) * eps


def ddim_sample(
    denoise: Denoiser, noise: Tensor, steps: int, callback: Callable[[int, Tensor], None] | None = None
) -> Tensor:
    """Returns a sample of x0, starting from noise. callback(t, x0) receives the prediction of every step."""
    timesteps = trailing(steps)
    x_t = noise
    for t, t_next in zip(timesteps, [*timesteps[1:], None]):
        x0 = denoise(x_t, torch.full((1,), t, device=noise.device))
        if callback:
            callback(t, x0)
        x_t = ddim_step(x_t, x0, t, t_next)
    return x_t


def mean_and_std(draws: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Returns mean and standard deviation of samples, with one in memory at a time (Welford); 0 for a single sample."""
    mean = squares = None
    for n, draw in enumerate(draws, 1):
        if mean is None:
            mean, squares = draw.clone(), torch.zeros_like(draw)
            continue
        delta = draw - mean
        mean += delta / n
        squares += delta * (draw - mean)
    if mean is None:
        raise ValueError("no sample to average")
    return mean, (squares / max(n - 1, 1)).sqrt()
