"""Reduced-resolution assessment (Wald et al., 1997): PAN and MS are degraded by the ratio and fused, and the result is
compared with the original MS.

The degraded PAN has the pixels of MS, and the degraded MS is aligned with it at the corner for any input alignment.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from osgeo import gdal

from ..common.errors import ConfigError
from ..common.notices import Notice, Notify
from ..common.progress import subrange
from ..domain.block_passes import block_side, blocks_of
from ..domain.grid import Transform, compose
from ..domain.methods import LABELS
from ..domain.options import AssessOptions
from ..domain.scene import Scene
from ..domain.sensors import Sensor
from ..domain.window import Window
from ..metrics.degradation import BLUR, Layout, blurred, layout_of, samples
from ..raster.fused_raster import Raster
from ..raster.open_pair import open_pair
from ..raster.reader import Reader, open_scene, read_header
from ..workflows.assess import align, study_of
from ..workflows.pansharpen import PansharpenOptions, pansharpen
from .backend import LocalBackend

Share = Callable[[float], None]


@dataclass(frozen=True)
class Degraded:
    """The files of a degraded scene."""

    pan: Path
    ms: Path
    reference: Path
    "the original MS"


def degrade(scene: Scene, sensor: Sensor, folder: Path, memory: int, progress: Share) -> Degraded:
    """Writes the degraded PAN and MS and the reference, block by block, and returns their paths."""
    layout, bands = layout_of(scene), len(scene.ms)
    files = Degraded(*(folder / name for name in ("pan.tif", "ms.tif", "reference.tif")))
    side = max(int(block_side(memory, bands) / layout.ratio), 32)
    fine, coarse = blocks_of(Window(0, 0, *layout.part.shape), side), blocks_of(layout.coarse, max(side // 2, 16))
    reader, names, total = Reader(scene), sensor.bands, len(fine) + len(coarse)
    origin = _transform(scene, layout)
    with (
        _created(files.pan, layout.part.shape, ("pan",), origin) as pan,
        _created(files.reference, layout.part.shape, names, origin) as truth,
    ):
        for done, window in enumerate(fine, 1):
            low, ms = _pan_and_ms(reader, layout, window, sensor.pan_mtf)
            _write(pan, low[None], window)
            _write(truth, ms, window)
            progress(done / total)
        truth.FlushCache()
        scaled = compose(origin, (0.0, layout.ratio, 0.0, 0.0, 0.0, layout.ratio)) if origin else None
        with _created(files.ms, layout.coarse.shape, names, scaled) as ms:
            for done, window in enumerate(coarse, len(fine) + 1):
                _write(ms, _coarse_ms(truth, layout, window, sensor.mtf), window)
                progress(done / total)
    return files


def _pan_and_ms(reader: Reader, layout: Layout, window: Window, gain: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns PAN, blurred by its MTF, at the MS samples of a window, and those samples."""
    scene, ratio = reader.scene, layout.ratio
    at = [layout.centres(axis, np.arange(start, start + n)) for axis, (start, n) in enumerate(_spans(window))]
    first, last = ([math.floor(places[end] + 0.5) for places in at] for end in (0, -1))
    core = Window(*first, *(b - a + 1 for a, b in zip(first, last))) & scene.ground
    block = reader.read(core, BLUR.reach(ratio) + 1, 1)
    image, ok = block.pan[None], block.masks()[0]
    start = block.window.row, block.window.col
    low = blurred(image, ok, [places - s for places, s in zip(at, start)], (gain,), ratio)[0]
    return low, samples(block, layout, window)


def _coarse_ms(truth: gdal.Dataset, layout: Layout, window: Window, mtf: Sequence[float]) -> np.ndarray:
    """Returns MS, blurred by its MTF and reduced by the ratio."""
    at = [layout.centres_coarse(np.arange(start, start + n)) for start, n in _spans(window)]
    first = [math.floor(places[0]) for places in at]
    around = Window(*first, *(math.ceil(p[-1]) - a + 1 for p, a in zip(at, first))).grow(BLUR.reach(layout.ratio))
    around = around & Window(0, 0, truth.RasterYSize, truth.RasterXSize)
    image = truth.ReadAsArray(around.col, around.row, around.width, around.height).reshape(-1, *around.shape)
    ok, start = np.isfinite(image).all(0), (around.row, around.col)
    return blurred(image, ok, [places - s for places, s in zip(at, start)], mtf, layout.ratio)


def _spans(window: Window):
    return (window.row, window.height), (window.col, window.width)


# --- the study -------------------------------------------------------------------------------------------------------


@contextmanager
def wald_study(
    pan,
    ms,
    methods: Sequence[str],
    assessing: AssessOptions,
    fusing: PansharpenOptions,
    notify: Notify,
    progress: Share,
):
    """Yields the study of the degraded scene, fused by the methods, with the original MS as reference.

    Its files exist within the context only. fusing: options of the fusion. progress: receives the share of work done.
    """
    unknown = [method for method in methods if method not in LABELS]
    if unknown:
        raise ConfigError(f"--methods: no method {unknown[0]!r}; choose from: {', '.join(LABELS)}")
    scene, sensor = open_pair(pan, ms, assessing, notify)
    scene, warnings = align(scene, assessing.align)
    with tempfile.TemporaryDirectory(prefix="ssdiff-wald-") as folder:
        count = len(methods) + 1
        steps = [subrange(progress, i / count, (i + 1) / count) for i in range(count)]
        files = degrade(scene, sensor, Path(folder), assessing.memory, steps[0])
        images = [
            _fused(
                method, files, sensor, replace(fusing, method=method, memory=assessing.memory), notify, method_progress
            )
            for method, method_progress in zip(methods, steps[1:])
        ]
        coarse = open_scene(files.pan, files.ms)
        truth = Raster(files.reference, coarse.pan_grid, "original MS")
        whole = all(np.dtype(band.dtype).kind in "iub" for band in scene.ms)
        study = study_of(coarse, sensor, images, whole, assessing, truth, warnings)
        yield replace(study, original_files=scene.files)


def _fused(method: str, files: Degraded, sensor: Sensor, fusing: PansharpenOptions, notify: Notify, progress) -> Raster:
    """Fuses the degraded files as `ssdiff pansharpen` does, and returns the result."""
    out = files.pan.with_name(f"{method}.tif")
    options = replace(
        fusing, sensor=sensor.id, align="none", dtype="float32", format="gtiff", options=("COMPRESS=NONE",)
    )
    pansharpen(files.pan, files.ms, out, options, _without_opening(notify), lambda pixels: progress, LocalBackend())
    return Raster(out, read_header(str(files.pan))[1], LABELS.get(method, method))


def _without_opening(notify: Notify) -> Notify:
    """Returns a receiver that drops notices about the sensor, sent for the original scene already, and estimates."""

    def forward(notice: Notice | str) -> None:
        if not (isinstance(notice, Notice) and notice.kind.startswith(("sensor_", "estimate"))):
            notify(notice)

    return forward


# --- files -----------------------------------------------------------------------------------------------------------


def _transform(scene: Scene, layout: Layout) -> Transform | None:
    """Returns the geotransform of the degraded PAN; None without georeference."""
    if not scene.pan_grid.placed:
        return None
    row, col = (float(layout.centres(axis, np.array(-0.5))) + 0.5 for axis in (0, 1))
    return compose(scene.pan_grid.transform, (col, layout.ratio, 0.0, row, 0.0, layout.ratio))


@contextmanager
def _created(path: Path, shape: tuple[int, int], names: Sequence[str], transform: Transform | None):
    options = ["TILED=YES", "INTERLEAVE=BAND", "BIGTIFF=IF_SAFER"]
    file = gdal.GetDriverByName("GTiff").Create(str(path), shape[1], shape[0], len(names), gdal.GDT_Float32, options)
    if transform:
        file.SetGeoTransform(transform)
    for number, name in enumerate(names, 1):
        file.GetRasterBand(number).SetDescription(name)
        file.GetRasterBand(number).SetNoDataValue(float("nan"))
    yield file
    file.FlushCache()


def _write(file: gdal.Dataset, image: np.ndarray, window: Window) -> None:
    for number, band in enumerate(np.asarray(image, np.float32), 1):
        file.GetRasterBand(number).WriteArray(band, window.col, window.row)
