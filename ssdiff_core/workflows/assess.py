"""Opens fused files together with the PAN and MS they were made from; files of one scene and extent form a study."""

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

from ..assessment.html_report import assess_and_report
from ..common.errors import ConfigError, GeometryError, SSDiffError
from ..common.notices import Notice, Notify, notice
from ..domain.methods import LABELS
from ..domain.options import AssessOptions
from ..domain.scene import Scene
from ..domain.sensors import Sensor
from ..domain.study import Study, distinct
from ..domain.window import Window
from ..raster import network
from ..raster.fused_raster import Raster
from ..raster.open_pair import align_pair, open_pair
from ..raster.reader import Reader, bands_of, read_header
from .scene_learning import shift_of

__all__ = ["assess_and_report", "files_in", "open_studies"]

RESERVED_NAMES = ("PAN", "MS", "reference", *LABELS.values())
"names in tables that no file may have"


def files_in(paths: Sequence[str | Path]) -> list[Path]:
    """Returns the files, and the images in the folders, among these paths."""
    found = []
    for path in map(Path, paths):
        found += images_in(path) if path.is_dir() else [path]
    if not found:
        raise ConfigError(f"no .tif file in {', '.join(map(str, paths))}")
    return found


def images_in(folder: Path) -> list[Path]:
    """Returns the rasters in a folder, without uncertainty files."""
    rasters = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".tif", ".tiff"))
    return [path for path in rasters if "shows" not in provenance_of(path)]


def open_studies(files: Sequence[Path], pan, ms, reference, options: AssessOptions, notify: Notify) -> list[Study]:
    """Returns the studies of fused files. PAN and MS default to the files that a fused file's metadata names."""
    groups: dict[tuple, list[Raster]] = {}
    for file, name in zip(files, names_of(files)):
        pan_of, ms_of = (_source(file, key, given) for key, given in (("pan", pan), ("ms", ms)))
        raster = Raster(file, read_header(pan_of[0])[1], name)
        if "shows" in raster.provenance:
            raise ConfigError(notice("not_fused", path=str(file), shows=raster.provenance["shows"]))
        groups.setdefault((pan_of[0], ms_of, raster.window), []).append(raster)
    return [open_study(rasters, *key[:2], reference, options, notify) for key, rasters in groups.items()]


def names_of(files: Sequence[Path]) -> list[str]:
    """Returns display names of files: with their folder where two have the same name, and never a reserved one."""
    stems = [file.stem for file in files]
    alone = [stems.count(stem) == 1 for stem in stems]
    names = [stem if one else f"{file.resolve().parent.name}/{stem}" for file, stem, one in zip(files, stems, alone)]
    return distinct([*RESERVED_NAMES, *names])[len(RESERVED_NAMES) :]


def _source(file: Path, key: str, given) -> tuple[str, ...]:
    if given:
        return tuple(map(str, [given] if isinstance(given, (str, Path)) else given))
    text = provenance_of(file).get(key)
    if not text:
        raise ConfigError(notice("source_unnamed", path=str(file), role=key.upper(), option=key))
    for folder in ("", file.parent):
        with contextlib.suppress(SSDiffError):
            names = split_file_list(text, folder)
            for name in names:
                read_header(name)
            return names
    raise ConfigError(notice("source_unreadable", path=str(file), role=key.upper(), source=text, option=key))


def split_file_list(text: str, folder: str | Path = "") -> tuple[str, ...]:
    """Returns the files in a comma-separated list; the file names may contain commas too.

    folder: folder of files whose name has none; by default the current one.
    """
    parts, found, name = text.split(", "), [], ""
    for part in parts:
        name = f"{name}, {part}" if name else part
        network.check(name)
        status = gdal.VSIStatL(os.path.join(folder, name))
        if status is not None and not status.IsDirectory():
            found, name = [*found, os.path.join(folder, name)], ""
    return tuple(parts if name else found)


def provenance_of(file: str | Path) -> dict[str, str]:
    """Returns the provenance that SSDiff wrote into an image file."""
    grid = read_header(str(file))[1]
    return Raster(file, grid).provenance


def open_study(
    rasters: list[Raster], pan: str, ms: Sequence[str], reference, options: AssessOptions, notify: Notify
) -> Study:
    """Returns the study of rasters that cover one window of PAN."""
    scene, sensor = _scene(rasters[0], pan, ms, options, notify)
    corrected = any(raster.provenance.get("shift") for raster in rasters)
    scene, warnings = align(scene, "auto" if corrected and options.align == "warn" else options.align)
    for raster in rasters:
        if len(raster.numbers) != len(scene.ms):
            raise GeometryError(
                notice("fused_bands", path=str(raster.path), count=len(raster.numbers), bands=len(scene.ms))
            )
    truth = Raster(reference, scene.pan_grid, "reference") if reference else None
    if truth and len(truth.numbers) != len(scene.ms):
        raise GeometryError(
            notice(
                "reference_bands",
                reference=str(truth.path),
                count=len(truth.numbers),
                fused=str(rasters[0].path),
                bands=len(scene.ms),
            )
        )
    scene = replace(scene, window=common_window(scene, [*rasters[:1], *([truth] if truth else [])]))
    whole = truth.whole if truth else all(np.dtype(band.dtype).kind in "iub" for band in scene.ms)
    return study_of(scene, sensor, rasters, whole, options, truth, warnings)


def common_window(scene: Scene, images: Sequence[Raster]) -> Window:
    """Returns the window that the scene and the images have in common; raises GeometryError if it is too small."""
    window = reduce(operator.and_, (image.window for image in images), scene.window)
    if not window:
        raise GeometryError(notice("no_overlap_of_images"))
    if min(window.shape) < scene.placement.ratio:
        raise GeometryError(notice("overlap_small", width=window.width, height=window.height))
    return window


def study_of(scene: Scene, sensor: Sensor, rasters, whole: bool, options: AssessOptions, truth, warnings) -> Study:
    """Returns a study whose blocks are read from files."""
    reader = partial(Reader, scene)
    return Study(scene, sensor, tuple(rasters), whole, options.convention, truth, warnings, crs_of(scene), reader)


def crs_of(scene: Scene) -> tuple[str, str]:
    """Returns the name of PAN's CRS and the unit of its coordinates; empty texts without georeference."""
    if not (scene.pan_grid.placed and scene.pan_grid.crs):
        return "", ""
    crs = osr.SpatialReference(wkt=scene.pan_grid.crs)
    return crs.GetName(), "°" if crs.IsGeographic() else f" {crs.GetLinearUnitsName()}"


def _scene(raster: Raster, pan: str, ms: Sequence[str], options: AssessOptions, notify: Notify) -> tuple[Scene, Sensor]:
    """Returns the scene with the bands of the image."""
    if options.sensor == "auto":
        options = replace(options, sensor=raster.provenance.get("sensor", "auto"))
    all_bands = "version" not in raster.provenance and len(bands_of(ms)) == len(raster.numbers)
    return open_pair(pan, ms, options, notify, all_bands=all_bands)


def align(scene: Scene, mode: str) -> tuple[Scene, tuple[Notice, ...]]:
    """Returns the scene, aligned if the mode is "auto", and the notices on how MS is positioned on PAN."""
    notices: list[Notice] = []
    scene = align_pair(scene, mode, notices.append, shift_of)  # usually known since the scene was fused
    if not notices and mode != "none":
        notices.append(notice("shift_unknown"))
    return scene, (*notices, *scene.notices)
