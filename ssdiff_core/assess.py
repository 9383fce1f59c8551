"""How good fused files are: measured on their scene, of any size, beside interpolation and a classical fusion.

A `Study` is a scene, images of it and perhaps a reference; `measure` goes over it block by block and keeps the sums of
each block, so what is true of the whole is known of every part as well. Scenes beyond a stated size are measured in
blocks drawn from a seed.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from pathlib import Path

import numpy as np
from osgeo import gdal

from . import measures
from .conventions import convention as named
from .errors import ConfigError, GeometryError
from .fuse import MEMORY
from .hands import Own, hands, side_by_side
from .images import LABELS, Computed, Raster
from .metrics import FullScale, Referenced, Reprojected, Setting
from .origin import identified, multispectral
from .pansharpen import aligned
from .scene import Reader, Scene, bands_of, look, open_scene
from .sensors import Sensor
from .tiles import Window

BESIDE = ("exp", "mtf-glp-fs")
"what every image is compared with"
SAMPLE = 40.0
"megapixels that are measured at most, if nobody says otherwise"
SIDES = (512, 256, 128)
"of the blocks: the largest that the memory holds"
PIXEL = 200
"bytes that measuring takes for each pixel of a block and each of its bands"

TAKEN = ("PAN", "MS", "reference", *LABELS.values())
"names that are no file's"
AROUND = 100
"pixels that a block has around itself, both sides together"
PARTS = 4
"blocks that a scene should have at least, so that images can be compared in each"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """What a user may ask for."""

    sensor: str = "auto"
    bands: tuple[int, ...] = ()
    extent: tuple[float, float, float, float] | None = None
    convention: str = "geometric"
    align: str = "warn"
    memory: int = MEMORY
    sample: float = SAMPLE
    "megapixels above which so many are measured, in blocks drawn by the seed; 0: all, whatever the size"
    seed: int = 0
    beside: tuple[str, ...] = BESIDE


@dataclass(frozen=True)
class Study:
    """What is assessed."""

    scene: Scene
    "its window is what is measured"
    sensor: Sensor
    images: tuple
    "files first, then those computed beside them"
    rounded: bool
    "whether Q2n is that of whole counts"
    convention: str = "geometric"
    reference: Raster | None = None
    warnings: tuple[str, ...] = ()

    @property
    def setting(self) -> Setting:
        placement, shape = self.scene.placement, self.scene.ms_grid.window.shape
        how = named(self.convention)
        return Setting(self.scene.window, placement.at, shape, placement.ratio, self.sensor.mtf, how, self.rounded)

    @property
    def files(self) -> tuple:
        return tuple(image for image in self.images if image.path)


@dataclass(frozen=True)
class Result:
    """What was measured of one image."""

    name: str
    path: str | None
    "None: it was computed to stand beside"
    values: dict[str, float]
    parts: dict[str, np.ndarray]
    "the same of each block"
    valid: float
    "share of the pixels that were measured"
    extra: dict = field(default_factory=dict)

    @property
    def measures(self) -> list[measures.Measure]:
        return measures.of(self.values)


@dataclass(frozen=True)
class Sample:
    """Which blocks are measured."""

    blocks: int
    of: int
    megapixels: float
    seed: int

    @property
    def whole(self) -> bool:
        return self.blocks == self.of

    def __str__(self) -> str:
        if self.whole:
            return f"all {self.megapixels:.3g} megapixels"
        return f"{self.blocks} of {self.of} blocks, drawn with seed {self.seed} ({self.megapixels:.3g} megapixels)"


# --- opening ---------------------------------------------------------------------------------------------------------


def files_in(paths: Sequence[str | Path]) -> list[Path]:
    """The files that are named, and the rasters in folders that are."""
    found = []
    for path in map(Path, paths):
        found += sorted(p for p in path.iterdir() if p.suffix.lower() in (".tif", ".tiff")) if path.is_dir() else [path]
    if not found:
        raise ConfigError(f"there is no .tif file in {', '.join(map(str, paths))}")
    return found


def open_studies(files: Sequence[Path], pan, ms, reference, asked: Asked, say: Say) -> list[Study]:
    """Files of one scene and extent make a study; PAN and MS that are not named are those a file says it is made of."""
    groups: dict[tuple, list[Raster]] = {}
    names = distinct([*TAKEN, *(path.stem for path in files)])[len(TAKEN) :]
    for file, name in zip(files, names):
        pan_of, ms_of = (_source(file, key, given) for key, given in (("pan", pan), ("ms", ms)))
        raster = Raster(file, look(pan_of[0])[1], name)
        groups.setdefault((pan_of[0], ms_of, raster.window), []).append(raster)
    return [open_study(rasters, *key[:2], reference, asked, say) for key, rasters in groups.items()]


def distinct(names: list[str]) -> list[str]:
    """Names, those that occur again with a number."""
    return [f"{name} ({names[:i].count(name) + 1})" if names[:i].count(name) else name for i, name in enumerate(names)]


def _source(file: Path, key: str, given) -> tuple[str, ...]:
    if given:
        return tuple(map(str, [given] if isinstance(given, (str, Path)) else given))
    said = look_said(file).get(key)
    if not said:
        raise ConfigError(f"{file} does not say which {key.upper()} it is made of: name it with --{key}")
    return tuple(said.split(", "))


def look_said(file: str | Path) -> dict[str, str]:
    grid = look(str(file))[1]
    return Raster(file, grid).said


def open_study(rasters: list[Raster], pan: str, ms: Sequence[str], reference, asked: Asked, say: Say) -> Study:
    """Rasters of one window of PAN, and what they are to be measured against."""
    scene, sensor = _scene(rasters[0], pan, ms, asked, say)
    scene, warnings = as_it_lies(scene, asked)
    for raster in rasters:
        if len(raster.numbers) != len(scene.ms):
            raise GeometryError(
                f"{raster.path} has {len(raster.numbers)} bands and MS {len(scene.ms)}: "
                "name the MS bands that it is made of with --bands"
            )
    truth = Raster(reference, scene.pan_grid, "reference") if reference else None
    window = scene.window & rasters[0].window
    window = window & truth.window if truth else window
    if not window:
        raise GeometryError("the images, MS and the reference have no ground in common")
    scene = replace(scene, window=window)
    beside = [Computed.of(method, scene, sensor, asked.memory) for method in asked.beside]
    whole = truth.whole if truth else all(np.dtype(band.dtype).kind in "iub" for band in scene.ms)
    return Study(scene, sensor, (*rasters, *beside), whole, asked.convention, truth, warnings)


def _scene(raster: Raster, pan: str, ms: Sequence[str], asked: Asked, say: Say) -> tuple[Scene, Sensor]:
    """The scene with its bands as the image has them: as SSDiff orders them if it made it, else as in the files."""
    asked = replace(asked, sensor=raster.said.get("sensor", "auto") if asked.sensor == "auto" else asked.sensor)
    as_it_is = "version" not in raster.said and len(bands_of(ms)) == len(raster.numbers)
    return opened(pan, ms, asked, say, ordered="version" in raster.said, every=as_it_is)


def opened(pan, ms, asked: Asked, say: Say, ordered: bool = True, every: bool = False) -> tuple[Scene, Sensor]:
    """PAN and MS as `ssdiff pansharpen` opens them; every: with all bands there are; ordered: in their usual order."""
    scene = open_scene(pan, ms, asked.bands or (() if every else multispectral(ms, asked.sensor, say)), asked.extent)
    return identified(scene, asked.sensor, say, ordered and not asked.bands)


def as_it_lies(scene: Scene, asked: Asked) -> tuple[Scene, tuple[str, ...]]:
    """The scene with MS put right, if that is wished, and what there is to say of how it lies."""
    told: list[str] = []
    scene = aligned(scene, asked.align, told.append)
    if not told and asked.align != "none":
        told.append(
            "whether MS lies on PAN as it should could not be measured surely: too little detail, or too unlike"
        )
    return scene, (*told, *scene.notes)


# --- measuring -------------------------------------------------------------------------------------------------------


def side_for(scene: Scene, memory: int) -> int:
    """Side of the blocks: small enough for the memory, and such that the scene has parts to compare, if it can."""
    bands, (height, width) = len(scene.ms), scene.window.shape
    fit = [side for side in SIDES if (side + AROUND) ** 2 * bands * PIXEL * hands() < memory * 2**20]
    return next((side for side in fit if height * width >= PARTS * side**2), SIDES[-1])


def chosen(cores: list[Window], asked: Asked) -> list[Window]:
    """All blocks, or of a large scene some, drawn from the seed; in their order."""
    total = sum(core.height * core.width for core in cores) / 1e6
    if not asked.sample or total <= asked.sample:
        return cores
    count = max(round(len(cores) * asked.sample / total), 1)
    drawn = np.random.default_rng(asked.seed).choice(len(cores), count, replace=False)
    return [cores[i] for i in sorted(drawn)]


def sample_of(study: Study, asked: Asked) -> Sample:
    cores = FullScale(study.setting).cores(side_for(study.scene, asked.memory))
    picked = chosen(cores, asked)
    return Sample(len(picked), len(cores), sum(core.height * core.width for core in picked) / 1e6, asked.seed)


def measure(study: Study, asked: Asked, progress: Callable[[float], None] = lambda share: None) -> list[Result]:
    """Of each image of the study; files first."""
    gdal.SetCacheMax(max(asked.memory // 4, 64) * 2**20)
    side = side_for(study.scene, asked.memory)
    if study.reference:
        return _referenced(study, asked, side, progress)
    full, share = _full_scale(study, asked, side, lambda done: progress(done / 2))
    low = _reprojected(study, asked, side, lambda done: progress(0.5 + done / 2))
    return [_result(image, [*both], valid) for image, *both, valid in zip(study.images, full, low, share)]


def measure_all(studies: Sequence[Study], asked: Asked, progress=lambda share: None) -> list[list[Result]]:
    n = len(studies)
    return [measure(study, asked, lambda share, i=i: progress((i + share) / n)) for i, study in enumerate(studies)]


def _referenced(study: Study, asked: Asked, side: int, progress) -> list[Result]:
    scene = study.scene.window
    of = Referenced(scene, study.scene.placement.ratio, study.rounded)

    def gather(core: Window):
        here = core.grow(of.reach) & scene
        truth = study.reference.over(here)
        fused = [image.over(here) for image in study.images]
        return [(of.gather(one, truth, here, core), _valid(one, here, core)) for one in fused]

    sums, share = _gathered(chosen(of.cores(side), asked), gather, progress)
    return [_result(image, [(of.values, one)], valid) for image, one, valid in zip(study.images, sums, share)]


def _full_scale(study: Study, asked: Asked, side: int, progress):
    of, reader = FullScale(study.setting), Own(lambda: Reader(study.scene))

    def gather(core: Window):
        block = reader().read(core, of.reach, of.ms_halo)
        fused = [image.over(block.window) for image in study.images]
        return [(of.gather(block, one), _valid(one, block.window, core)) for one in fused]

    sums, share = _gathered(chosen(of.cores(side), asked), gather, progress)
    return [(of.values, one) for one in sums], share


def _reprojected(study: Study, asked: Asked, side: int, progress):
    of, reader = Reprojected(study.setting), Own(lambda: Reader(study.scene))
    cores = chosen(of.cores(side), asked)
    shifts = shifts_of(of, reader, cores)

    def gather(core: Window):
        block = reader().read(core, of.reach, of.ms_halo)
        return [(of.gather(block, image.over(block.window), shifts), 1.0) for image in study.images]

    sums, _ = _gathered(cores, gather, progress)
    return [(partial(of.values, shifts=shifts), one) for one in sums]


def shifts_of(of: Reprojected, reader: Own, cores: list[Window]):
    """By how much each band lies beside its place."""
    return of.shifts(
        reduce(operator.add, side_by_side(lambda c: of.look(reader().read(c, of.reach, of.ms_halo)), cores))
    )


def _gathered(cores: list[Window], gather, progress):
    """For each image the sums of each core, and the share of pixels that count."""
    rows = []
    for answer in side_by_side(gather, cores):
        rows.append(answer)
        progress(len(rows) / len(cores))
    area = [core.height * core.width for core in cores]
    images = list(zip(*rows))
    sums = [[one for one, _ in image] for image in images]
    return sums, [float(np.average([share for _, share in image], weights=area)) for image in images]


def _valid(image: np.ndarray, window: Window, core: Window) -> float:
    return float(np.isfinite(image[(slice(None), *core.within(window))]).all(0).mean())


def _result(image, measured, valid: float) -> Result:
    """measured: how values are made of sums, and the sums of each block; for each kind of measure."""
    values, parts, extra = {}, {}, {}
    for values_of, sums in measured:
        whole = values_of(reduce(operator.add, sums))
        kept = [measure.name for measure in measures.of(whole)]
        with np.errstate(all="ignore"):  # a block may hold nothing that is valid
            each = [values_of(one) for one in sums]
        values |= {name: float(whole[name]) for name in kept}
        parts |= {name: np.array([one[name] for one in each], float) for name in kept}
        extra |= {name: value for name, value in whole.items() if name not in kept}
    return Result(image.name, image.path, values, parts, valid, extra)
