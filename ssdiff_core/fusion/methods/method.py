"""Description of a classical fusion method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...domain.block import SceneStats
from ..ms_samples import MsSamples
from ..scene_sums import SceneSums

Finish = Callable[[Tensor, Tensor], Tensor]
"takes what was interpolated to the core's pixels (n, h, w) and PAN (h, w), and returns the fused bands"


def no_mtfs(survey) -> tuple[float, ...]:
    return ()


def no_statistics(stats: SceneStats) -> tuple[Sequence, ...]:
    return ()


@dataclass(frozen=True)
class Method:
    """A classical fusion method."""

    id: str
    prepare: Callable[[SceneStats, MsSamples], tuple[Tensor, Finish]]
    """Returns what to interpolate from MS samples to PAN pixels (n, rows, columns), and how to finish the fusion there.

    Nearly all of a fusion is linear, so it is done on MS samples, a sixteenth of the pixels at ratio 4.
    """
    fit: Callable[[object, SceneSums], dict] | None = None
    "returns the fields of SceneStats that the method needs, from a Survey and the sums of the scene; None: no fit"
    required: Callable[[SceneStats], tuple[Sequence, ...]] = no_statistics
    "returns the statistics that must have one value for each band"
    pan_mtfs: Callable[[object], tuple[float, ...]] = no_mtfs
    "returns the MTF gains that a Survey must blur PAN with, to see it as MS sensors do"
    blurs_pan: bool = False
    "whether a pixel depends on the blurred PAN around it, which determines the reach"
    pan_moments: bool = False
    "whether the fit needs moments over PAN pixels, not only over MS samples"
    degrades_ms: bool = False
    "whether the fit needs MS degraded by the ratio"

    def has_statistics(self, stats: SceneStats, bands: int) -> bool:
        """Returns whether `stats` contains all statistics that the method needs for this number of bands."""
        return all(len(values) == bands for values in self.required(stats))


def column(values: Sequence[float]) -> Tensor:
    """Returns values, one for each band, as a tensor (bands, 1, 1)."""
    return torch.tensor(values, dtype=torch.float32)[:, None, None]


def distinct(mtf: tuple[float, ...]) -> tuple[tuple[float, ...], list[int]]:
    """Returns the distinct MTF gains and the index of each band's: bands with the same MTF share a low-pass."""
    gains = tuple(sorted(set(mtf)))
    return gains, [gains.index(gain) for gain in mtf]


def pan_as_seen(stats: SceneStats, samples: MsSamples) -> Tensor:
    """Returns PAN as the sensor of each band sees it, at the MS samples."""
    gains, which = distinct(stats.mtf)
    return samples.seen(gains)[which]


def mean_mtfs(survey) -> tuple[float, ...]:
    """Returns the mean MTF gain of each band group."""
    return tuple(map(survey.mean_mtf, survey.band_groups))


def modulated(band: Tensor, low: Tensor, pan: Tensor, caps: Tensor) -> Tensor:
    """Returns band * pan / low, with the gain of the detail pan - low limited by caps so that dark pixels stay finite.

    PAN matched to a band can be negative in dark pixels; it is clamped to 0.
    """
    pan, low = pan.clamp(min=0), low.clamp(min=TINY)
    gain = (band / low).clamp_(min=0).minimum(caps)
    return gain.mul_(pan - low).add_(band)


TINY = 1e-12
"least denominator"
