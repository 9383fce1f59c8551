"""The MS bands that weights see: groups of as many bands as the weights take, in the order of the weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NEAR_INFRARED = 750.0
"centre wavelength from which a band is near infrared, nm"
VISIBLE_CORRELATION = 0.8
"minimum correlation of the visible bands with each other for near infrared to be recognised"
CORRELATION_GAP = 0.1
"minimum difference between any correlation of the visible bands and any of theirs with near infrared"
MINIMUM_SAMPLES = 1000
"minimum number of MS samples for near infrared to be recognised"


def groups(
    bands: int, size: int, wavelengths: Sequence[float] = (), own: Sequence[float] = ()
) -> list[tuple[int, ...]]:
    """Returns groups of `size` bands in the order of the weights; incomplete groups repeat bands.

    A group takes every second, third ... band in order of wavelength, so that each resembles the bands of the weights.
    wavelengths: of MS, in nm; if they are unknown, its bands are taken to be in the order of the weights. own: those of
    the weights; if they are unknown, they are taken to ascend.
    """
    known = len(wavelengths) == bands
    order = sorted(range(bands), key=lambda band: wavelengths[band]) if known else list(range(bands))
    count, ascending = -(-bands // size), range(size)
    if known and len(own) == size:
        ascending = sorted(ascending, key=lambda band: own[band])
    found = [_filled(order[k::count], size) for k in range(count)]
    return [tuple(group[rank] for rank in sorted(range(size), key=ascending.__getitem__)) for group in found]


def _filled(bands: list[int], size: int) -> list[int]:
    """Returns `size` bands by repeating some of them."""
    return [bands[i * len(bands) // size] for i in range(size)]


def near_infrared(samples: np.ndarray) -> int | None:
    """Returns which of four bands (4, n) is near infrared, if their correlations leave no doubt.

    Visible bands resemble each other; vegetation and water set near infrared apart. A band is taken for it only if the
    other three correlate with each other, and each pair of them clearly more than any of them with this band.
    """
    samples = samples[:, np.isfinite(samples).all(0)]
    if len(samples) != 4 or samples.shape[1] < MINIMUM_SAMPLES or not samples.std(1).all():
        return None
    correlation = np.corrcoef(samples)
    for band in range(4):
        others = [other for other in range(4) if other != band]
        least = correlation[np.ix_(others, others)].min()
        if least >= VISIBLE_CORRELATION and correlation[band, others].max() <= least - CORRELATION_GAP:
            return band
    return None


def with_near_infrared_at(band: int, wavelengths: Sequence[float]) -> tuple[float, ...]:
    """Returns the wavelengths with the longest moved to this band; the others keep their order."""
    ordered = list(wavelengths)
    ordered.remove(longest := max(ordered))
    return (*ordered[:band], longest, *ordered[band:])
