"""The simulate command: imagery in; scenes of a satellite out, as files of PAN, MS and the truth that MS lacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..common.errors import ConfigError
from ..common.paths import made_folder
from ..domain import sensors
from ..training import simulate
from ..training.simulated_source import Place
from . import imagery

SIDE = 64
"sides of PAN are multiples of it, so that any tile fits"


def scenes(
    paths: Sequence[str | Path], out: str | Path, sensor: str, count: int, seed: int, notify: Callable[[str], None]
) -> list[dict]:
    """Writes so many scenes, and answers for each its files and what was drawn for it."""
    if count < 1:
        raise ConfigError(f"{count} scenes were asked for; 1 or more make sense")
    places, profile = imagery.load(paths), sensors.get(sensor)
    if not profile.bands:
        raise ConfigError(f"{profile.label} has no bands of its own: name a sensor that has")
    folder = made_folder(out)
    return [_scene(places, profile, folder, number, seed, notify) for number in range(1, count + 1)]


def _scene(places: list[Place], sensor: sensors.Sensor, folder: Path, number: int, seed: int, notify) -> dict:
    rng = np.random.default_rng([seed, number])
    place = places[rng.integers(len(places))]
    picture = place.pictures[rng.integers(len(place.pictures))]
    coarsest = min(picture.image.shape[1:]) / SIDE
    if coarsest < 1:
        raise ConfigError(f"{place.name} is smaller than {SIDE} pixels: no scene can be made of it")
    drawn = simulate.draw(sensor, picture.wavelengths, place.soft, coarsest, rng)
    made = simulate.make([picture], drawn, sensor.ratio, rng, SIDE)[0]
    images = {"pan": made.block.pan[None], "ms": made.block.ms, "truth": made.truth}
    files = {kind: folder / f"{sensor.id}_{number}_{kind}.tif" for kind in images}
    for kind, image in images.items():
        _write(files[kind], image, sensor, sensor.ratio if kind == "ms" else 1)
    notify(f"{sensor.id}_{number}: PAN of {made.truth.shape[2]} x {made.truth.shape[1]} pixels, from {place.name}")
    return {**{kind: str(path) for kind, path in files.items()}, "place": place.name, "drawn": _told(drawn)}


def _write(path: Path, image: np.ndarray, sensor: sensors.Sensor, pixel: float) -> None:
    """Counts, over the same ground as the other files of the scene."""
    from osgeo import gdal

    gdal.UseExceptions()
    kind = gdal.GDT_Float32 if path.stem.endswith("truth") else gdal.GDT_UInt16
    bands, height, width = image.shape
    file = gdal.GetDriverByName("GTiff").Create(str(path), width, height, bands, kind, ["COMPRESS=DEFLATE"])
    file.SetGeoTransform((0, pixel, 0, 0, 0, -pixel))
    file.WriteArray(image)
    for index, name in enumerate(sensor.bands if bands > 1 else ("pan",), 1):
        file.GetRasterBand(index).SetDescription(name)
    file.FlushCache()


def _told(drawn: simulate.Draw) -> dict:
    """What whoever measures on the scene may want to know."""
    names = ("factor", "truth_mtf", "pan_mtf", "mtf", "believed_mtf", "shift", "off", "noise", "levels", "gamma")
    return {name: np.asarray(getattr(drawn, name)).tolist() for name in names}
