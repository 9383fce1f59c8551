"""Options of the commands and algorithms."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sampling:
    """How a network is sampled."""

    device: str = "auto"
    steps: int | None = None
    samples: int | None = None
    seed: int = 0
