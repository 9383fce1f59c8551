"""The test that a user can run on a scene of their own: PAN and MS made coarser by the ratio as their sensors would
have seen them, fused, and compared with MS as it is (Wald et al., 1997).

The coarser PAN has the pixels of MS and the coarser MS lies over it corner to corner, whatever the two rasters did.
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
from ..common.notices import Notify
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
    """The files of the test."""

    pan: Path
    ms: Path
    reference: Path
    "MS as it is"


def degrade(scene: Scene, sensor: Sensor, folder: Path, memory: int, progress: Share) -> Degraded:
    """Writes the files of the test, block by block."""
    layout, bands = layout_of(scene), len(scene.ms)
    files = Degraded(*(folder / name for name in ("pan.tif", "ms.tif", "reference.tif")))
    side = max(int(block_side(memory, bands) / layout.ratio), 32)
    fine, coarse = blocks_of(Window(0, 0, *layout.part.shape), side), blocks_of(layout.coarse, max(side // 2, 16))
    reader, names, total = Reader(scene), sensor.bands, len(fine) + len(coarse)
    origin = _on_ground(scene, layout)
    with (
        _created(files.pan, layout.part.shape, ("pan",), origin) as pan,
        _created(files.reference, layout.part.shape, names, origin) as truth,
    ):
        for done, window in enumerate(fine, 1):
            low, ms = _at_samples(reader, layout, window, sensor.pan_mtf)
            _put(pan, low[None], window)
            _put(truth, ms, window)
            progress(done / total)
        truth.FlushCache()
        scaled = compose(origin, (0.0, layout.ratio, 0.0, 0.0, 0.0, layout.ratio)) if origin else None
        with _created(files.ms, layout.coarse.shape, names, scaled) as ms:
            for done, window in enumerate(coarse, len(fine) + 1):
                _put(ms, _coarser(truth, layout, window, sensor.mtf), window)
                progress(done / total)
    return files


def _at_samples(reader: Reader, layout: Layout, window: Window, gain: float) -> tuple[np.ndarray, np.ndarray]:
    """PAN through its own sensor at the MS samples of a window, and those samples."""
    scene, ratio = reader.scene, layout.ratio
    at = [layout.centres(axis, np.arange(start, start + n)) for axis, (start, n) in enumerate(_spans(window))]
    first, last = ([math.floor(places[end] + 0.5) for places in at] for end in (0, -1))
    core = Window(*first, *(b - a + 1 for a, b in zip(first, last))) & scene.ground
    block = reader.read(core, BLUR.reach(ratio) + 1, 1)
    image, ok = block.pan[None], block.masks()[0]
    start = block.window.row, block.window.col
    low = blurred(image, ok, [places - s for places, s in zip(at, start)], (gain,), ratio)[0]
    return low, samples(block, layout, window)


def _coarser(truth: gdal.Dataset, layout: Layout, window: Window, mtf: Sequence[float]) -> np.ndarray:
    """MS through its own sensor, a ratio as coarse."""
    at = [layout.centres_coarse(np.arange(start, start + n)) for start, n in _spans(window)]
    first = [math.floor(places[0]) for places in at]
    around = Window(*first, *(math.ceil(p[-1]) - a + 1 for p, a in zip(at, first))).grow(BLUR.reach(layout.ratio))
    around = around & Window(0, 0, truth.RasterYSize, truth.RasterXSize)
    image = truth.ReadAsArray(around.col, around.row, around.width, around.height).reshape(-1, *around.shape)
    ok, start = np.isfinite(image).all(0), (around.row, around.col)
    return blurred(image, ok, [places - s for places, s in zip(at, start)], mtf, layout.ratio)


def _spans(window: Window):
    return (window.row, window.height), (window.col, window.width)


# --- the test --------------------------------------------------------------------------------------------------------


@contextmanager
def on_coarser(
    pan, ms, methods: Sequence[str], asked: AssessOptions, wishes: PansharpenOptions, notify: Notify, progress: Share
):
    """A study of what the methods make of the coarser scene, against MS as it is; its files are there within `with`.

    wishes: how each is to be fused; progress hears the share of the fusing done.
    """
    unknown = [method for method in methods if method not in LABELS]
    if unknown:
        raise ConfigError(f"there is no method {unknown[0]!r}; these are: {', '.join(LABELS)}")
    scene, sensor = open_pair(pan, ms, asked, notify)
    scene, warnings = align(scene, asked.align)
    with tempfile.TemporaryDirectory(prefix="ssdiff-wald-") as folder:
        count = len(methods) + 1
        steps = [subrange(progress, i / count, (i + 1) / count) for i in range(count)]
        files = degrade(scene, sensor, Path(folder), asked.memory, steps[0])
        images = [
            _fused(method, files, sensor, replace(wishes, method=method, memory=asked.memory), notify, heard)
            for method, heard in zip(methods, steps[1:])
        ]
        coarse = open_scene(files.pan, files.ms)
        truth = Raster(files.reference, coarse.pan_grid, "MS as it is")
        whole = all(np.dtype(band.dtype).kind in "iub" for band in scene.ms)
        study = study_of(coarse, sensor, images, whole, asked, truth, warnings)
        yield replace(study, original_files=scene.files)


def _fused(method: str, files: Degraded, sensor: Sensor, wishes: PansharpenOptions, notify: Notify, progress) -> Raster:
    """By the same way as `ssdiff pansharpen`."""
    out = files.pan.with_name(f"{method}.tif")
    as_is = replace(wishes, sensor=sensor.id, align="none", dtype="float32", format="gtiff", options=("COMPRESS=NONE",))
    pansharpen(files.pan, files.ms, out, as_is, _unless_sensor(notify), lambda pixels: progress, LocalBackend())
    return Raster(out, read_header(str(files.pan))[1], LABELS.get(method, method))


def _unless_sensor(notify: Notify) -> Notify:
    return lambda message: None if getattr(message, "kind", "").startswith("sensor") else notify(message)


# --- files -----------------------------------------------------------------------------------------------------------


def _on_ground(scene: Scene, layout: Layout) -> Transform | None:
    """From the part's samples to the ground, as MS is placed on PAN; None where nothing is georeferenced."""
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


def _put(file: gdal.Dataset, image: np.ndarray, window: Window) -> None:
    for number, band in enumerate(np.asarray(image, np.float32), 1):
        file.GetRasterBand(number).WriteArray(band, window.col, window.row)
