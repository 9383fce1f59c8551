"""Grouping of MS bands for weights that take fewer bands than MS has."""

from __future__ import annotations

from collections.abc import Sequence


def groups(bands: int, size: int, wavelengths: Sequence[float] = ()) -> list[tuple[int, ...]]:
    """Returns groups of `size` bands, each in order of wavelength; incomplete groups repeat bands.

    A group takes every second, third ... band in order of wavelength, so that each resembles blue, green, red, near
    infrared.
    """
    order = sorted(range(bands), key=lambda band: wavelengths[band]) if len(wavelengths) == bands else range(bands)
    order, count = list(order), -(-bands // size)
    return [tuple(_filled(order[k::count], size)) for k in range(count)]


def _filled(bands: list[int], size: int) -> list[int]:
    """Returns `size` bands by repeating some of them."""
    return [bands[i * len(bands) // size] for i in range(size)]
