"""Which bands are fused together by weights that take fewer bands than MS has."""

from __future__ import annotations

from collections.abc import Sequence


def groups(bands: int, size: int, wavelengths: Sequence[float] = ()) -> list[tuple[int, ...]]:
    """Bands in groups of `size`, each from short waves to long ones; bands that are left over are taken twice.

    Every second, third ... band in order of wavelength: so each group looks like blue, green, red, near infrared.
    """
    order = sorted(range(bands), key=lambda band: wavelengths[band]) if len(wavelengths) == bands else range(bands)
    order, count = list(order), -(-bands // size)
    return [tuple(_filled(order[k::count], size)) for k in range(count)]


def _filled(bands: list[int], size: int) -> list[int]:
    """As many bands as a network wants: some stand for two neighbours."""
    return [bands[i * len(bands) // size] for i in range(size)]
