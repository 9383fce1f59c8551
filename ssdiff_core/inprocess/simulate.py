"""The command `ssdiff simulate`: writes simulated satellite scenes as files of PAN, MS and the truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..common.errors import ConfigError
from ..common.notices import Notify, notice
from ..common.paths import ensure_folder
from ..domain import sensors
from ..training import simulate
from ..training.simulated_source import Place
from . import imagery

SIDE = 64
"the sides of PAN are multiples of this many pixels, so that any tile fits"


def scenes(
    paths: Sequence[str | Path], out: str | Path, sensor: str, count: int, seed: int, notify: Notify
) -> list[dict]:
    """Writes `count` scenes; returns the files and the drawn parameters of each.

    paths: the imagery. out: the folder to write to. sensor: id of the sensor.
    """
    if count < 1:
        raise ConfigError(f"--scenes must be at least 1, not {count}")
    places, profile = imagery.load(paths), sensors.get(sensor)
    if not profile.bands:
        raise ConfigError(f"sensor {profile.label} defines no bands: use one that does")
    folder = ensure_folder(out)
    return [_scene(places, profile, folder, number, seed, notify) for number in range(1, count + 1)]


def _scene(places: list[Place], sensor: sensors.Sensor, folder: Path, number: int, seed: int, notify) -> dict:
    rng = np.random.default_rng([seed, number])
    place = places[rng.integers(len(places))]
    picture = place.pictures[rng.integers(len(place.pictures))]
    coarsest = min(picture.image.shape[1:]) / SIDE
    if coarsest < 1:
        raise ConfigError(f"{place.name} is smaller than {SIDE} pixels along a side: leave it out of the imagery")
    drawn = simulate.draw(sensor, picture.wavelengths, place.soft, coarsest, rng)
    scene = simulate.make([picture], drawn, sensor.ratio, rng, SIDE)[0]
    images = {"pan": scene.block.pan[None], "ms": scene.block.ms, "truth": scene.truth}
    files = {kind: folder / f"{sensor.id}_{number}_{kind}.tif" for kind in images}
    for kind, image in images.items():
        _write(files[kind], image, sensor, sensor.ratio if kind == "ms" else 1)
    height, width = scene.truth.shape[1:]
    notify(notice("scene_simulated", name=f"{sensor.id}_{number}", width=width, height=height, place=place.name))
    return {**{kind: str(path) for kind, path in files.items()}, "place": place.name, "drawn": _parameters(drawn)}


def _write(path: Path, image: np.ndarray, sensor: sensors.Sensor, pixel: float) -> None:
    """Writes an image with the same extent as the other files of the scene. pixel: its pixel size."""
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


def _parameters(drawn: simulate.Draw) -> dict:
    """Returns the drawn parameters that matter for measurements on the scene."""
    names = ("factor", "truth_mtf", "pan_mtf", "mtf", "believed_mtf", "shift", "off", "noise", "levels", "gamma")
    return {name: np.asarray(getattr(drawn, name)).tolist() for name in names}
