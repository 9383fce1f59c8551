"""Fused files opened together with what they are made of: each scene and extent is a study."""

from __future__ import annotations

import contextlib
import operator
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial, reduce
from pathlib import Path

import numpy as np
from osgeo import gdal, osr

from ..common.errors import ConfigError, GeometryError, SSDiffError
from ..common.notices import Notify
from ..domain.methods import LABELS
from ..domain.scene import Scene
from ..domain.sensors import Sensor
from ..domain.options import AssessOptions
from ..domain.study import Study, distinct
from ..domain.window import Window
from ..raster.fused_raster import Raster
from ..raster.identify_sensor import identified, multispectral
from ..raster.reader import Reader, bands_of, look, open_scene
from .pansharpen import aligned

TAKEN = ("PAN", "MS", "reference", *LABELS.values())
"names that are no file's"


def files_in(paths: Sequence[str | Path]) -> list[Path]:
    """The files that are named, and the images in folders that are."""
    found = []
    for path in map(Path, paths):
        found += images_in(path) if path.is_dir() else [path]
    if not found:
        raise ConfigError(f"there is no .tif file in {', '.join(map(str, paths))}")
    return found


def images_in(folder: Path) -> list[Path]:
    """The rasters in a folder, without those that show the uncertainty of others."""
    rasters = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".tif", ".tiff"))
    return [path for path in rasters if "shows" not in look_said(path)]


def open_studies(files: Sequence[Path], pan, ms, reference, asked: AssessOptions, notify: Notify) -> list[Study]:
    """Files of one scene and extent make a study; PAN and MS that are not named are those a file says it is made of."""
    groups: dict[tuple, list[Raster]] = {}
    for file, name in zip(files, names_of(files)):
        pan_of, ms_of = (_source(file, key, given) for key, given in (("pan", pan), ("ms", ms)))
        raster = Raster(file, look(pan_of[0])[1], name)
        if "shows" in raster.said:
            raise ConfigError(f"{file} is no fused image: it shows the {raster.said['shows']}")
        groups.setdefault((pan_of[0], ms_of, raster.window), []).append(raster)
    return [open_study(rasters, *key[:2], reference, asked, notify) for key, rasters in groups.items()]


def names_of(files: Sequence[Path]) -> list[str]:
    """What files are called: with their folder where they are called the same; never as what stands beside."""
    stems = [file.stem for file in files]
    alone = [stems.count(stem) == 1 for stem in stems]
    names = [stem if one else f"{file.resolve().parent.name}/{stem}" for file, stem, one in zip(files, stems, alone)]
    return distinct([*TAKEN, *names])[len(TAKEN) :]


def _source(file: Path, key: str, given) -> tuple[str, ...]:
    if given:
        return tuple(map(str, [given] if isinstance(given, (str, Path)) else given))
    said = look_said(file).get(key)
    if not said:
        raise ConfigError(f"{file} does not say which {key.upper()} it is made of: name it with --{key}")
    for folder in ("", file.parent):
        names = listed(said, folder)
        with contextlib.suppress(SSDiffError):
            for name in names:
                look(name)
            return names
    raise ConfigError(
        f"{file} says that its {key.upper()} is {said}, which cannot be opened here: name it with --{key}"
    )


def listed(said: str, folder: str | Path = "") -> tuple[str, ...]:
    """The files in a text that names them with commas between; there may be some in their names as well.

    folder: where names that say none are to be looked for, if not here.
    """
    parts, found, name = said.split(", "), [], ""
    for part in parts:
        name = f"{name}, {part}" if name else part
        there = gdal.VSIStatL(os.path.join(folder, name))
        if there is not None and not there.IsDirectory():
            found, name = [*found, os.path.join(folder, name)], ""
    return tuple(parts if name else found)


def look_said(file: str | Path) -> dict[str, str]:
    grid = look(str(file))[1]
    return Raster(file, grid).said


def open_study(
    rasters: list[Raster], pan: str, ms: Sequence[str], reference, asked: AssessOptions, notify: Notify
) -> Study:
    """Rasters of one window of PAN, and what they are to be measured against."""
    scene, sensor = _scene(rasters[0], pan, ms, asked, notify)
    scene, warnings = as_it_lies(scene, asked)
    for raster in rasters:
        if len(raster.numbers) != len(scene.ms):
            raise GeometryError(
                f"{raster.path} has {len(raster.numbers)} bands and MS {len(scene.ms)}: "
                "name the MS bands that it is made of with --bands"
            )
    truth = Raster(reference, scene.pan_grid, "reference") if reference else None
    if truth and len(truth.numbers) != len(scene.ms):
        raise GeometryError(
            f"the reference {truth.path} has {len(truth.numbers)} bands and {rasters[0].path} {len(scene.ms)}: "
            "name one with the same bands"
        )
    scene = replace(scene, window=measured(scene, [*rasters[:1], *([truth] if truth else [])]))
    whole = truth.whole if truth else all(np.dtype(band.dtype).kind in "iub" for band in scene.ms)
    return study_of(scene, sensor, rasters, whole, asked, truth, warnings)


def measured(scene: Scene, images: Sequence[Raster]) -> Window:
    """The ground that the scene and images have in common, if that is enough to measure."""
    window = reduce(operator.and_, (image.window for image in images), scene.window)
    if not window:
        raise GeometryError("the images, MS and the reference have no ground in common")
    if min(window.shape) < scene.placement.ratio:
        raise GeometryError(f"{window.width} x {window.height} PAN pixels are less than one of MS: too few to measure")
    return window


def study_of(scene: Scene, sensor: Sensor, rasters, whole: bool, asked: AssessOptions, truth, warnings) -> Study:
    """A study whose blocks are read from files."""
    gdal.SetCacheMax(max(asked.memory // 4, 64) * 2**20)
    reader = partial(Reader, scene)
    return Study(scene, sensor, tuple(rasters), whole, asked.convention, truth, warnings, crs_of(scene), reader)


def crs_of(scene: Scene) -> tuple[str, str]:
    """What the CRS of PAN is called, and the unit of its coordinates; empty where there is none."""
    if not (scene.pan_grid.placed and scene.pan_grid.crs):
        return "", ""
    crs = osr.SpatialReference(wkt=scene.pan_grid.crs)
    return crs.GetName(), "°" if crs.IsGeographic() else f" {crs.GetLinearUnitsName()}"


def _scene(raster: Raster, pan: str, ms: Sequence[str], asked: AssessOptions, notify: Notify) -> tuple[Scene, Sensor]:
    """The scene with its bands as the image has them: as SSDiff orders them if it made it, else as in the files."""
    asked = replace(asked, sensor=raster.said.get("sensor", "auto") if asked.sensor == "auto" else asked.sensor)
    as_it_is = "version" not in raster.said and len(bands_of(ms)) == len(raster.numbers)
    return opened(pan, ms, asked, notify, ordered="version" in raster.said, every=as_it_is)


def opened(
    pan, ms, asked: AssessOptions, notify: Notify, ordered: bool = True, every: bool = False
) -> tuple[Scene, Sensor]:
    """PAN and MS as `ssdiff pansharpen` opens them; every: with all bands there are; ordered: in their usual order."""
    scene = open_scene(pan, ms, asked.bands or (() if every else multispectral(ms, asked.sensor, notify)), asked.extent)
    return identified(scene, asked.sensor, notify, ordered and not asked.bands)


def as_it_lies(scene: Scene, asked: AssessOptions) -> tuple[Scene, tuple[str, ...]]:
    """The scene with MS put right, if that is wished, and what there is to say of how it lies."""
    told: list[str] = []
    scene = aligned(scene, asked.align, told.append)
    if not told and asked.align != "none":
        told.append(
            "whether MS lies on PAN as it should could not be measured surely: too little detail, or too unlike"
        )
    return scene, (*told, *scene.notes)
