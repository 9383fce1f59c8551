"""Distillation: a network learns from the answers of another one, the teacher, besides the truth.

Most of the truth is detail that no network can predict. The teacher's answer has none of it, so a smaller network
learns the same from fewer samples.
"""

from __future__ import annotations

import torch

from ..common.errors import ConfigError
from ..fusion.tiles import orientations_of, rotate, rotate_back
from ..model import devices
from ..model.checkpoint import Weights
from ..weights.model_config import T
from .samples import Samples

TURNS = 2
"number of orientations over which the teacher's answers are averaged"
BATCH = 16
"number of tiles that the teacher answers at a time"


class Teacher:
    """Trained weights that give part of the target."""

    def __init__(self, weights: Weights, recipe, device: torch.device):
        """Requires weights without noise, and with the inputs and the units of the recipe.

        recipe: its `distilled` is the share of the target that is the teacher's answer.
        """
        own, needed = weights.card, recipe.config(recipe.stages[0].tile)
        same = ("bands", "ratio", "guides", "views")
        if any(getattr(own.arch, name) != getattr(needed, name) for name in same) or own.scale != recipe.scale:
            raise ConfigError(
                f"weights {own.id!r} cannot teach weights {recipe.id!r}: "
                "bands, ratio, guides, views and scale must be equal"
            )
        if not own.arch.quiet:
            raise ConfigError(f"weights {own.id!r} cannot teach: they need noise (quiet is 0 in their recipe)")
        self.share, self._sigma = recipe.distilled, own.residual_sigma[0]
        half = devices.fast_bfloat16(device) and own.arch.patch > 1
        self._device, self._dtype = device, torch.bfloat16 if half else torch.float32
        self._net = weights.net.to(device, self._dtype, memory_format=torch.channels_last)
        self._orientations = orientations_of(recipe.ratio, recipe.ms_phase)[:TURNS]

    def blend(self, samples: Samples) -> Samples:
        """Returns the samples with targets that are partly the teacher's answers; unknown pixels stay unknown."""
        answers = torch.cat(
            [
                self._answer({key: samples[key][k : k + BATCH] for key in ("lms", "pan", "ms")})
                for k in range(0, len(samples["pan"]), BATCH)
            ]
        )
        return {**samples, "residual": torch.lerp(samples["residual"], answers, self.share)}

    @torch.inference_mode()
    def _answer(self, conditions: Samples) -> torch.Tensor:
        """Returns the teacher's residual for tiles, in the network's units."""
        t = torch.full((1,), T - 1, device=self._device)
        total = 0.0
        for orientation in self._orientations:
            images = (
                rotate(conditions[key], orientation).to(self._device, self._dtype) for key in ("lms", "pan", "ms")
            )
            total = total + rotate_back(self._net(None, t, *images), orientation).float().cpu()
        return total * (self._sigma / len(self._orientations))
