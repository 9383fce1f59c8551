"""The command `ssdiff benchmark`: fuses sets of images by several methods, and measures them as papers do.

At reduced resolution the images are compared with the truth; at full resolution they are measured against PAN and MS.
All measures are in the convention of the MATLAB toolboxes.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..assessment.benchmark_tables import FULL, REDUCED, Benchmark, Row
from ..assessment.compare import mean_and_std
from ..assessment.published import published_rows
from ..classical.engine import ClassicalEngine
from ..classical.scene_statistics import Survey
from ..common.errors import ConfigError
from ..common.notices import Notify, notice
from ..domain import sensors
from ..domain.block import SceneStats
from ..domain.grid import Placement
from ..domain.image_set import Images, ImageSet, is_image_set
from ..domain.methods import ALL, CLASSICAL, LABELS, NETWORK
from ..domain.options import SamplingOptions
from ..domain.sensors import Sensor
from ..domain.study import distinct
from ..fusion.engine import Engine
from ..fusion.grouped_engine import Grouped, grouped
from ..metrics.arrays import full_scale, with_reference
from ..model import checkpoint
from ..raster.image_sets import StoredImages
from ..weights import catalogue
from ..workflows.band_order import groups_of

KERNEL = "23tap"
"interpolation of the classical methods: that of the toolboxes"
QUOTED = ("auto", "always", "never")
PUBLISHED_NAME = re.compile(r"multiexm", re.IGNORECASE)
"pattern of the names of PanCollection's test sets"
LMS_TOLERANCE = 1.0
"largest difference in counts between lms of a file and the interpolation of its ms"


@dataclass(frozen=True)
class BenchmarkOptions:
    """Options of a benchmark."""

    methods: tuple[str, ...] = ALL
    weights: tuple[str, ...] = ("auto",)
    "weights of the network; each has a row of its own"
    sensor: str = "auto"
    "sensor of the images; auto: named in the file name"
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    crop: bool = False
    "whether the border that the toolboxes may exclude is left out at reduced resolution"
    images: int | None = None
    "maximum number of images of each set; None: all"
    quoted: str = "auto"
    "whether published rows follow (QUOTED); auto: if a file has the name of a test set of PanCollection"


@dataclass(frozen=True)
class Fusion:
    """A method that fuses images of a sensor."""

    label: str
    engine: ClassicalEngine | Engine | Grouped
    kernel: str
    survey: Survey | None
    "the pass that fits the method to an image; None: it is not fitted"
    mtf: tuple[float, ...]

    def fuse(self, images: Images) -> np.ndarray:
        """Returns the first of the images, fused in counts (bands, h, w)."""
        block = images.block(0, self.kernel)
        stats = self.survey.stats(self.survey.gather(block)) if self.survey else SceneStats(mtf=self.mtf)
        return self.engine.fuse(replace(block, stats=stats))


def run(
    paths: Sequence[str | Path], options: BenchmarkOptions, notify: Notify, progress: Callable[[float], None]
) -> list[Benchmark]:
    """Returns the results for each sensor, in the order of its first file.

    paths: files of image sets, and folders of them.
    """
    unknown = [method for method in options.methods if method not in ALL]
    if unknown:
        raise ConfigError(f"--methods: no method {unknown[0]!r}; choose from: {', '.join(ALL)}")
    by_sensor: dict[str, list[ImageSet]] = {}
    for path in files_of(paths):
        by_sensor.setdefault(sensor_of(path, options.sensor), []).append(StoredImages(path))
    jobs = []
    for name, sets in by_sensor.items():
        sensor = _sensor(name, sets)
        jobs.append((sensor, sets, fusions(sensor, sets[0], options, notify)))
    total = sum(_count(images, options) * len(methods) for _, sets, methods in jobs for images in sets)
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        progress(done / total)

    return [_benchmark(*job, options, notify, advance) for job in jobs]


def files_of(paths: Sequence[str | Path]) -> list[Path]:
    """Returns the files, and the image sets in folders.

    Raises ConfigError for a folder without one.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        inside = sorted(file for file in path.iterdir() if is_image_set(file)) if path.is_dir() else [path]
        if not inside:
            raise ConfigError(f"{path} contains no set of images (.h5, .mat)")
        found += inside
    return found


def sensor_of(path: Path, name: str) -> str:
    """Returns the id of the sensor of a file. name: an id, or auto for the one in the file name."""
    if name != "auto":
        return name
    words = re.split(r"[^a-z0-9]+", path.stem.lower())
    found = next((word for word in words if word in sensors.ids()), None)
    found = found or sensors.identify_satellite({}, [path.name])[0]
    if not found:
        raise ConfigError(f"the name of {path} names no sensor: give it with --sensor")
    return found


def _sensor(name: str, sets: Sequence[ImageSet]) -> Sensor:
    """Returns the sensor of sets, which must have its bands and one ratio."""
    first = sets[0]
    for images in sets:
        if (images.bands, images.ratio) != (first.bands, first.ratio):
            raise ConfigError(
                f"{images.path} has {images.bands} bands at ratio {images.ratio}, and {first.path} {first.bands} at "
                f"{first.ratio}: sets of one sensor must have the same; --sensor sets it for all files of a run"
            )
    return sensors.get(name, first.bands)


def _count(images: ImageSet, options: BenchmarkOptions) -> int:
    return images.count if options.images is None else min(images.count, options.images)


# --- methods ---------------------------------------------------------------------------------------------------------


def fusions(sensor: Sensor, images: ImageSet, options: BenchmarkOptions, notify: Notify) -> list[Fusion]:
    """Returns the methods for images of a sensor, in the order of the options."""
    found = []
    for method in options.methods:
        if method in CLASSICAL:
            found.append(_classical(method, sensor, images.ratio))
        else:
            found += [_network(name, sensor, images, options.sampling, notify) for name in options.weights]
    return found


def _classical(method: str, sensor: Sensor, ratio: int) -> Fusion:
    engine = ClassicalEngine(method, ratio, KERNEL)
    survey = engine.survey(sensor.mtf, sensor.pan_mtf) if engine.needs_survey else None
    return Fusion(LABELS[method], engine, KERNEL, survey, sensor.mtf)


def _network(name: str, sensor: Sensor, images: ImageSet, sampling: SamplingOptions, notify: Notify) -> Fusion:
    fetch = catalogue.fetcher(notify=notify)
    weights = checkpoint.load(catalogue.find(name, sensor.id, images.bands, images.ratio, fetch, notify))
    card = weights.card
    if len(card.bands) != images.bands and card.sensor != sensors.GENERAL:
        raise ConfigError(f"weights {card.id} take {len(card.bands)} bands, and {images.path} has {images.bands}")
    if not card.suits(images.ratio):
        raise ConfigError(f"weights {card.id} are for ratio {card.ratio}, and {images.path} has {images.ratio}")
    if card.bands != sensor.bands and sorted(card.bands) == sorted(sensor.bands):
        raise ConfigError(
            f"weights {card.id} take the bands in the order {', '.join(card.bands)}, and those of {sensor.label} are "
            f"{', '.join(sensor.bands)}"
        )
    groups = groups_of(card, sensor)
    survey = Survey(card.base, sensor.mtf, images.ratio, card.interpolation, sensor.pan_mtf, card.arch.views, groups)
    engine = Engine(weights, sampling, notify=notify)
    fuses = grouped(engine, groups)
    return Fusion(f"{LABELS[NETWORK]} ({card.id})", fuses, card.interpolation, survey, sensor.mtf)


# --- measuring -------------------------------------------------------------------------------------------------------


def _benchmark(
    sensor: Sensor,
    sets: Sequence[ImageSet],
    methods: Sequence[Fusion],
    options: BenchmarkOptions,
    notify: Notify,
    advance: Callable[[], None],
) -> Benchmark:
    """Returns the results for the sets of a sensor. advance: called after each image of a method."""
    measured: list[list[dict]] = [[] for _ in methods]
    for images in sets:
        _check_lms(images, notify)
        for number in range(_count(images, options)):
            one = images.read(number)
            where = {"file": images.path.name, "image": number + 1, "resolution": _resolution(images)}
            for method, rows in zip(methods, measured):
                rows.append(where | _measured(method, one, sensor, options))
                advance()
    published = any(PUBLISHED_NAME.search(images.path.name) for images in sets)
    with_quoted = options.quoted == "always" or (options.quoted == "auto" and published)
    labels = distinct([method.label for method in methods])
    return Benchmark(
        sensor.label,
        tuple(_set_values(images, options) for images in sets),
        tuple(_row(label, rows) for label, rows in zip(labels, measured)),
        tuple(published_rows(sensor.id)) if with_quoted else (),
        _notes(options, sets),
    )


def _resolution(images: ImageSet) -> str:
    return "reduced" if images.has_truth else "full"


def _check_lms(images: ImageSet, notify: Notify) -> None:
    """Notifies if lms of the first image is not the interpolation of ms, as the toolboxes compute it."""
    first = images.read(0)
    difference = np.abs(ClassicalEngine("exp", images.ratio, KERNEL).fuse(first.block(0, KERNEL)) - first.lms[0]).max()
    if difference > LMS_TOLERANCE:
        notify(notice("lms_differs", path=str(images.path), difference=float(difference)))


def _measured(method: Fusion, images: Images, sensor: Sensor, options: BenchmarkOptions) -> dict:
    """Returns the measures of an image and the seconds of its fusion."""
    start = time.perf_counter()
    fused = method.fuse(images)
    seconds = time.perf_counter() - start
    if images.truth is None:
        at = (images.ratio / 2,) * 2
        placement = Placement(at, float(images.ratio))
        values, names = full_scale(fused, images.pan[0], images.ms[0], placement, sensor.mtf, rounded=True), FULL
    else:
        values = with_reference(
            fused, images.truth[0], images.ratio, crop=options.crop, rounded=True, peak=sensor.scale
        )
        names = REDUCED
    return {"measures": {name: float(values[name]) for name in names}, "seconds": seconds}


def _row(label: str, images: Sequence[dict]) -> Row:
    """Returns the results of a method over its images."""
    mean, std, seconds = {}, {}, {}
    for name in (*REDUCED, *FULL):
        values = [one["measures"][name] for one in images if name in one["measures"]]
        if values:
            mean[name], std[name] = mean_and_std(np.array(values))
    for resolution in ("reduced", "full"):
        times = [one["seconds"] for one in images if one["resolution"] == resolution]
        seconds |= {resolution: statistics.median(times)} if times else {}
    return Row(label, mean, std, seconds, tuple(images))


def _set_values(images: ImageSet, options: BenchmarkOptions) -> dict:
    return {
        "path": str(images.path),
        "resolution": _resolution(images),
        "count": _count(images, options),
        "bands": images.bands,
        "shape": images.shape,
        "ratio": images.ratio,
    }


def _notes(options: BenchmarkOptions, sets: Sequence[ImageSet]) -> tuple[str, ...]:
    notes = ["mean ± standard deviation over the images, in the convention of the MATLAB toolboxes"]
    if any(images.has_truth for images in sets):
        border = "without the border of about 21 pixels" if options.crop else "over whole images"
        notes.append(f"at reduced resolution {border}, Q2n of values rounded to 16-bit integers")
    notes.append("seconds per image are the median of fitting and fusing an image in memory")
    return tuple(notes)
