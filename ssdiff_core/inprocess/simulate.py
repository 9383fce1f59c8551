"""The command `ssdiff simulate`: writes simulated satellite scenes as files of PAN, MS and the truth, or as a set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..classical.engine import ClassicalEngine
from ..common.errors import ConfigError
from ..common.files import check_targets
from ..common.notices import Notify, notice
from ..common.paths import ensure_folder
from ..domain import sensors
from ..domain.image_set import Images
from ..raster import image_sets
from ..training import simulate
from ..training.simulated_source import Place
from . import imagery

SIDE = 64
"the sides of PAN are multiples of this many pixels, so that any tile fits"
BRIGHT = 0.7
"count of a white pixel without haze in a set, as a share of the highest count of the sensor"


def scenes(
    paths: Sequence[str | Path], out: str | Path, sensor: str, count: int, seed: int, notify: Notify
) -> list[dict]:
    """Writes `count` scenes; returns the files and the drawn parameters of each.

    paths: the imagery. out: the folder to write to. sensor: id of the sensor.
    """
    places, profile = _inputs(paths, sensor, count)
    folder = ensure_folder(out)
    return [_scene(places, profile, folder, number, seed, notify) for number in range(1, count + 1)]


@dataclass(frozen=True)
class ImageSetOptions:
    """Options of a simulated image set."""

    sensor: str
    "id of the sensor"
    count: int = 4
    "number of images"
    seed: int = 1
    side: int = 256
    "PAN pixels along each side of an image"
    truth: bool = True
    "whether the set contains the true images; without them it has the form of a set at full resolution"


def image_set(paths: Sequence[str | Path], out: str | Path, options: ImageSetOptions, notify: Notify) -> list[dict]:
    """Writes a set of simulated images (see raster.image_sets); returns the drawn parameters of each.

    As in PanCollection, MS is degraded with the MTF of the sensor's profile, its sample i is at PAN pixel ratio * i +
    ratio / 2, and counts have the bit depth of the sensor.
    """
    places, profile = _inputs(paths, options.sensor, options.count)
    side, ratio = options.side, profile.ratio
    if side % SIDE:
        raise ConfigError(f"--side must be a multiple of {SIDE}, not {side}")
    check_targets(out, inputs=paths)
    shape, drawn = (side, side), []
    with image_sets.written(out, options.count, len(profile.bands), shape, ratio, options.truth) as write:
        for number in range(options.count):
            rng = np.random.default_rng([options.seed, number + 1])
            place, picture, draw = _drawn(places, profile, side, rng)
            draw = replace(draw, mtf=profile.mtf, off=(0.5, 0.5), levels=BRIGHT * profile.scale)
            scene = simulate.make([picture], draw, ratio, rng, side)[0]
            write(number, _image(scene, side, profile, rng))
            notify(notice("scene_simulated", name=f"Image {number + 1}", width=side, height=side, place=place.name))
            drawn.append({"place": place.name, "drawn": _parameters(draw)})
    return drawn


def _image(scene: simulate.Scene, side: int, sensor: sensors.Sensor, rng: np.random.Generator) -> Images:
    """Returns a random part of a scene as one image, in whole counts of the sensor."""
    ratio, shape = sensor.ratio, scene.truth.shape[1:]
    row, col = (int(rng.integers((n - side) // ratio + 1)) for n in shape)
    fine = (..., slice(row * ratio, row * ratio + side), slice(col * ratio, col * ratio + side))
    coarse = (..., slice(row, row + side // ratio), slice(col, col + side // ratio))
    pan, ms, truth = (
        np.rint(image[part][None]).clip(0, sensor.scale)
        for image, part in ((scene.block.pan, fine), (scene.block.ms, coarse), (scene.truth, fine))
    )
    block = Images(pan, ms, truth, truth).block(0, "23tap")
    return Images(pan, ms, ClassicalEngine("exp", ratio, "23tap").fuse(block)[None], truth)


def _inputs(paths: Sequence[str | Path], sensor: str, count: int) -> tuple[list[Place], sensors.Sensor]:
    """Returns the places of the imagery and the profile of the sensor."""
    if count < 1:
        raise ConfigError(f"--scenes must be at least 1, not {count}")
    places, profile = imagery.load(paths), sensors.get(sensor)
    if not profile.bands:
        raise ConfigError(f"sensor {profile.label} defines no bands: use one that does")
    return places, profile


def _drawn(places: list[Place], sensor: sensors.Sensor, side: int, rng: np.random.Generator):
    """Returns a random place, one of its pictures, and the random parameters of a scene of at least `side` pixels."""
    place = places[rng.integers(len(places))]
    picture = place.pictures[rng.integers(len(place.pictures))]
    coarsest = min(picture.image.shape[1:]) / side
    if coarsest < 1:
        raise ConfigError(f"{place.name} is smaller than {side} pixels along a side: leave it out of the imagery")
    return place, picture, simulate.draw(sensor, picture.wavelengths, place.soft, coarsest, rng)


def _scene(places: list[Place], sensor: sensors.Sensor, folder: Path, number: int, seed: int, notify) -> dict:
    rng = np.random.default_rng([seed, number])
    place, picture, drawn = _drawn(places, sensor, SIDE, rng)
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
