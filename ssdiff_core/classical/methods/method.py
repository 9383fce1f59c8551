"""Description of a classical fusion method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...domain.block import SceneStats
from ..arrays import Array, namespace
from ..ms_samples import MsSamples
from ..scene_sums import SceneSums

Finish = Callable[[np.ndarray, np.ndarray], np.ndarray]
"takes what was interpolated to the core's pixels (n, h, w) and PAN (h, w), and returns the fused bands"


def no_mtfs(survey) -> tuple[float, ...]:
    return ()


def no_statistics(stats: SceneStats) -> tuple[Sequence, ...]:
    return ()


@dataclass(frozen=True)
class Method:
    """A classical fusion method."""

    id: str
    prepare: Callable[[SceneStats, MsSamples], tuple[np.ndarray, Finish]]
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


def column(values: Sequence[float]) -> np.ndarray:
    """Returns values, one for each band, as an array (bands, 1, 1)."""
    return np.array(values, np.float32)[:, None, None]


def add_detail(fine: np.ndarray, gains: np.ndarray, pan: np.ndarray) -> np.ndarray:
    """Adds PAN times the gain of each band to the bands, in place, and returns them."""
    for band, gain in zip(fine, gains.ravel()):
        band += gain * pan
    return fine


def distinct(mtf: tuple[float, ...]) -> tuple[tuple[float, ...], list[int]]:
    """Returns the distinct MTF gains and the index of each band's: bands with the same MTF share a low-pass."""
    gains = tuple(sorted(set(mtf)))
    return gains, [gains.index(gain) for gain in mtf]


def pan_as_seen(stats: SceneStats, samples: MsSamples) -> np.ndarray:
    """Returns PAN as the sensor of each band sees it, at the MS samples."""
    gains, which = distinct(stats.mtf)
    return samples.seen(gains)[which]


def mean_mtfs(survey) -> tuple[float, ...]:
    """Returns the mean MTF gain of each band group."""
    return tuple(map(survey.mean_mtf, survey.band_groups))


def modulated(band: Array, low: Array, pan: Array, caps: Array) -> Array:
    """Returns band * pan / low, with the gain of the detail pan - low limited by caps so that dark pixels stay finite.

    PAN matched to a band can be negative in dark pixels; it is clamped to 0.
    """
    xp = namespace(band)
    pan, low = pan.clip(0), low.clip(TINY)
    gain = band / low
    xp.clip(gain, xp.zeros_like(caps), caps, out=gain)
    gain *= pan - low
    gain += band
    return gain


TINY = 1e-12
"least denominator"
