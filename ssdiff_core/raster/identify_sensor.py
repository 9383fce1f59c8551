"""From which sensor a scene comes, and which of its bands is which: by names, wavelengths and the files beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..common.notices import Notify
from ..domain import sensors
from ..domain.scene import Band, Scene
from .reader import bands_of, open_raster
from .vendor_metadata import Told, told


def multispectral(ms: str | Path | Sequence[str | Path], wish: str, notify: Notify) -> tuple[int, ...]:
    """The numbers of the bands that are the sensor's: of a product's files some may hold PAN, heat or quality.

    Empty where there is nothing to leave out.
    """
    bands = list(bands_of(ms))
    known = known_of(bands)
    name = wish if wish != "auto" else sensors.satellite(metadata_of(known), files_of(bands))[0]
    sensor = sensors.get(name or sensors.GENERAL)
    other = sensors.others(names_of(bands, known), sensor)
    if not other or len(other) == len(bands):
        return ()
    left = ", ".join(bands[i].name or Path(bands[i].path).name for i in other)
    notify(f"left out (--bands would keep them), as {sensor.label} is sharpened in {', '.join(sensor.bands)}: {left}")
    return tuple(i + 1 for i in range(len(bands)) if i not in other)


def identified(scene: Scene, wish: str, notify: Notify, ordered: bool = True) -> tuple[Scene, sensors.Sensor]:
    """The scene, with its bands in the sensor's order if that is wished, and the sensor for the bands as they are."""
    known = known_of(scene.ms)
    names = names_of(scene.ms, known)
    sensor = _sensor(scene, known, names, wish, notify)
    return _in_order(scene, names, sensor, notify) if ordered else (scene, sensor)


def _sensor(scene: Scene, known: dict[str, Told], names: tuple[str, ...], wish: str, notify: Notify) -> sensors.Sensor:
    """The sensor that was named, or the one that the files tell, and why."""
    n = len(scene.ms)
    if wish != "auto":
        return sensors.get(wish, n, names, wavelengths_of(scene.ms))
    metadata, files = metadata_of(known), files_of(scene.ms)
    found = sensors.recognise(n, scene.placement.ratio, names, metadata, None, wavelengths_of(scene.ms), files)
    notify(f"sensor {found.sensor.id}: {found.why}")
    return found.sensor


def _in_order(
    scene: Scene, names: tuple[str, ...], sensor: sensors.Sensor, notify: Notify
) -> tuple[Scene, sensors.Sensor]:
    """The scene with its bands in the sensor's order, where names or wavelengths tell which they are."""
    order = sensors.usual_order(names, wavelengths_of(scene.ms), sensor)
    if order == list(range(len(scene.ms))):
        return scene, sensor
    ordered = sensor.only([sensor.bands[i] for i in order])
    notify(f"the bands are put in the order {', '.join(ordered.bands)}")
    return replace(scene, ms=tuple(scene.ms[i] for i in order)), ordered


def known_of(bands: Sequence[Band]) -> dict[str, Told]:
    """What is said of each of the files."""
    return {path: told(open_raster(path)) for path in dict.fromkeys(band.path for band in bands)}


def metadata_of(known: dict[str, Told]) -> dict:
    return {path: said.metadata for path, said in known.items()}


def names_of(bands: Sequence[Band], known: dict[str, Told]) -> tuple[str, ...]:
    """What each band is called: by its description, a file beside it, or its own file; empty where one has no name."""
    alone = len({band.path for band in bands}) == len(bands) > 1
    names = [_name(band, known[band.path].bands, alone) for band in bands]
    return tuple(names) if all(names) else ()


def _name(band: Band, told_bands: Sequence[str], alone: bool) -> str:
    if band.name:
        return band.name
    return told_bands[band.index - 1] if told_bands else Path(band.path).name if alone else ""


def wavelengths_of(bands: Sequence[Band]) -> tuple[float, ...]:
    nm = [band.wavelength for band in bands]
    return () if None in nm else tuple(nm)


def files_of(bands: Sequence[Band]) -> list[str]:
    return sorted({Path(band.path).name for band in bands})
