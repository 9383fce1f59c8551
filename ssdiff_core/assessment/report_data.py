"""The data of the figures in a report: maps, crops, histograms, spectra and correlations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..classical.parallel import side_by_side
from ..classical.scene_sums import Histogram, Moments
from ..common.pipeline import PerThread
from ..domain.block import Block
from ..domain.options import AssessOptions
from ..domain.study import Study
from ..domain.window import Window
from ..metrics.arrays import FullScale, Referenced, Reprojected
from .measure import sampled_blocks, setting_of, shifts_of, side_for
from .png import stretched

MAXIMUM_FILES, MAXIMUM_IMAGES = 3, 5
"maximum number of images in the figures: files, and files with baselines"
MAP_SIDE = 360
"cells along the longer side of a map"
CROP_SIDE = 216
"side of a crop in pixels"
CROP_CELL = 24
"side in pixels of the cells in which images are compared to choose the crops"
SPECTRUM_SIDE = 128
"side in pixels of the windows of which spectra are computed"
BINS = 40
"frequency bins of a spectrum"


@dataclass
class CellMeans:
    """Accumulates the means of a field over square cells of a window of PAN, block by block."""

    window: Window
    cell: int

    def __post_init__(self):
        self.shape = tuple(math.ceil(n / self.cell) for n in self.window.shape)
        self.total, self.count = np.zeros(self.shape), np.zeros(self.shape)

    def add(self, values: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> None:
        """Adds values (h, w) at absolute rows and columns, except NaN."""
        r, c = ((at - first) // self.cell for at, first in ((rows, self.window.row), (cols, self.window.col)))
        place = (np.clip(r, 0, self.shape[0] - 1)[:, None] * self.shape[1] + np.clip(c, 0, self.shape[1] - 1)).ravel()
        known = np.isfinite(values).ravel()
        place, size = place[known].astype(np.intp), self.shape[0] * self.shape[1]
        self.count += np.bincount(place, minlength=size).reshape(self.shape)
        self.total += np.bincount(place, values.ravel()[known], size).reshape(self.shape)

    @property
    def mean(self) -> np.ndarray:
        """The mean of each cell; NaN without values."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.total / self.count


@dataclass
class Spectrum:
    """Accumulates the radially averaged power spectrum of square windows."""

    side: int
    pixel: float
    "pixel size, in PAN pixels"
    power: np.ndarray = field(default_factory=lambda: np.zeros(BINS))
    count: int = 0

    def add(self, tile: np.ndarray) -> None:
        """Adds a window (bands, side, side) without NaN."""
        taper = np.hanning(self.side)[:, None] * np.hanning(self.side)
        about = (tile - tile.mean((1, 2), keepdims=True)) * taper
        power = (np.abs(np.fft.fft2(about)) ** 2).mean(0) * self.pixel**2 / (taper**2).sum()
        frequency = np.fft.fftfreq(self.side, self.pixel)
        radius = np.hypot(frequency[:, None], frequency)
        number = np.minimum((radius * 2 * BINS).astype(int), BINS).ravel()
        seen = np.bincount(number, minlength=BINS + 1)[:BINS]
        self.power += np.bincount(number, power.ravel(), BINS + 1)[:BINS] / np.maximum(seen, 1)
        self.count += 1

    def add_all(self, image: np.ndarray) -> None:
        """Adds all windows of an image (bands, h, w) that have no NaN."""
        for r in range(0, image.shape[1] - self.side + 1, self.side):
            for c in range(0, image.shape[2] - self.side + 1, self.side):
                tile = image[:, r : r + self.side, c : c + self.side]
                if np.isfinite(tile).all():
                    self.add(tile)

    @property
    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Frequencies in cycles per PAN pixel, and the power at each."""
        at = (np.arange(BINS) + 0.5) / (2 * BINS)
        known = (at <= 0.5 / self.pixel) & (self.power > 0) & (np.arange(BINS) > 0)
        return at[known], self.power[known] / max(self.count, 1)


@dataclass(frozen=True)
class Crop:
    """A window shown in all images."""

    window: Window
    pictures: dict[str, np.ndarray]
    "uint8 (h, w, 3) or (h, w), by image name"


@dataclass
class ReportData:
    """Everything that the figures of a report show."""

    shown: list
    "images, the first file first"
    bands: tuple[str, ...]
    maps: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    "by measure and image name"
    overview: np.ndarray | None = None
    cell: int = 1
    histograms: dict[str, list[Histogram]] = field(default_factory=dict)
    "histograms of the bands by image name, MS and PAN included"
    spectra: dict[str, Spectrum] = field(default_factory=dict)
    moments: dict[str, Moments] = field(default_factory=dict)
    crops: list[Crop] = field(default_factory=list)


def gather(study: Study, options: AssessOptions, progress: Callable[[float], None] = lambda share: None) -> ReportData:
    """Returns the data of the figures, from the blocks that are measured."""
    collector, side, reader = _Collector(study), side_for(study.scene, options.memory), PerThread(study.open_reader)
    full, low = FullScale(setting_of(study)), Reprojected(setting_of(study))
    cores = sampled_blocks(full.cores(side), options)
    coarse = [] if study.reference else sampled_blocks(low.cores(side), options)
    shifts = shifts_of(low, reader, coarse) if coarse else ()

    def block_data(core: Window) -> _BlockData:
        return collector.block_data(full, reader().read(core, full.reach, full.ms_halo))

    def spectral_angles(core: Window) -> list[_Field]:
        return collector.angles(low, reader().read(core, low.reach, low.ms_halo), shifts)

    done, total = 0, len(cores) + len(coarse)
    for work, windows, add in ((block_data, cores, collector.add), (spectral_angles, coarse, collector.add_fields)):
        for answer in side_by_side(work, windows):
            add(answer)
            done += 1
            progress(done / total)
    return collector.report_data(reader())


@dataclass(frozen=True)
class _Field:
    """Values of an error map at absolute rows and columns."""

    measure: str
    image: str
    values: np.ndarray
    rows: np.ndarray
    cols: np.ndarray


@dataclass(frozen=True)
class _BlockData:
    """The core of one block in PAN, MS and the images."""

    core: Window
    images: dict[str, np.ndarray]
    "(bands, h, w) by image name; NaN where masked"
    fields: list[_Field]


def shown_of(study: Study) -> list:
    """Returns the images that the figures show."""
    files = list(study.files)[:MAXIMUM_FILES]
    return [*files, *(image for image in study.images if not image.path)][:MAXIMUM_IMAGES]


class _Collector:
    """Collects the data of the figures from blocks."""

    def __init__(self, study: Study):
        self.study, self.shown = study, shown_of(study)
        window, ratio = study.scene.window, study.scene.placement.ratio
        self.cell = max(math.ceil(max(window.shape) / MAP_SIDE), 1)
        self.colours = colours_of(study.sensor.bands, len(study.scene.ms))
        names = [image.name for image in self.shown]
        self.pair = names[0], names[1 if len(study.files) > 1 else -1]  # images compared to choose the crops
        measured = ("SAM", "error") if study.reference else ("D_rho", "R-SAM")
        self.maps = {name: {of: CellMeans(window, self.cell) for of in names} for name in measured}
        self.rgb = [CellMeans(window, self.cell) for _ in self.colours]
        self.difference = CellMeans(window, CROP_CELL)
        self.histograms: dict[str, list[Histogram]] = {}
        self.moments: dict[str, Moments] = {}
        side = min(SPECTRUM_SIDE, *window.shape)
        self.spectra = {name: Spectrum(side, 1.0) for name in ("PAN", *names)}
        self.spectra["MS"] = Spectrum(int(side / ratio), ratio)

    # --- one block, called from several threads ----------------------------------------------------------------------

    def block_data(self, full: FullScale, block: Block) -> _BlockData:
        inner = (slice(None), *block.core.within(block.window))
        fused = {image.name: image.read(block.window) for image in self.shown}
        images = {"PAN": np.where(block.masks()[0], block.pan, np.nan)[None][inner], "MS": samples_of(block)[0]}
        images |= {name: image[inner] for name, image in fused.items()}
        return _BlockData(block.core, images, list(self._fields(full, block, fused)))

    def _fields(self, full: FullScale, block: Block, fused: dict[str, np.ndarray]) -> Iterator[_Field]:
        core, truth = block.core, self.study.reference
        at = np.arange(core.row, core.stop[0]), np.arange(core.col, core.stop[1])
        if truth is None:
            for name, image in fused.items():
                yield _Field("D_rho", name, 1 - full.correlation_map(block, image).mean(0), *at)
            return
        measure, truth_image = (
            Referenced(self.study.scene.window, block.ratio, self.study.rounded),
            truth.read(block.window),
        )
        for name, image in fused.items():
            angle, error = measure.maps(image, truth_image, block.window, core)
            yield from (_Field("SAM", name, angle, *at), _Field("error", name, error, *at))

    def angles(self, low: Reprojected, block: Block, shifts) -> list[_Field]:
        """Returns the map of R-SAM, with the angle of each MS sample at the PAN pixels it covers."""
        n = round(block.ratio)
        at = [_pixels_of(centres, n) for centres in samples_of(block)[1]]
        maps = ((image.name, low.angle_map(block, image.read(block.window), shifts)) for image in self.shown)
        return [_Field("R-SAM", name, angle.repeat(n, 0).repeat(n, 1), *at) for name, angle in maps]

    # --- all blocks in order, called from one thread -----------------------------------------------------------------

    def add(self, block: _BlockData) -> None:
        core = block.core
        at = np.arange(core.row, core.stop[0]), np.arange(core.col, core.stop[1])
        one, other = (block.images[name] for name in self.pair)
        for canvas, number in zip(self.rgb, self.colours):
            canvas.add(one[number], *at)
        self.difference.add(differing(one, other), *at)
        self.add_fields(block.fields)
        for name, image in block.images.items():
            self._count(name, image)
            self.spectra[name].add_all(image)

    def add_fields(self, fields: Sequence[_Field]) -> None:
        for field_ in fields:
            self.maps[field_.measure][field_.image].add(field_.values, field_.rows, field_.cols)

    def _count(self, name: str, values: np.ndarray) -> None:
        flat = values.reshape(len(values), -1)
        flat = flat[:, np.isfinite(flat).all(0)].astype(np.float32)
        found, before = [Histogram.of(band) for band in flat], self.histograms.get(name)
        self.histograms[name] = [a + b for a, b in zip(before, found)] if before else found
        moments = Moments.of(flat.astype(np.float64))
        self.moments[name] = self.moments[name] + moments if name in self.moments else moments

    def report_data(self, reader) -> ReportData:
        limits = [_limits(self.histograms["MS"][i]) for i in self.colours]
        maximum = 4 if len(self.shown) < 4 else 3
        grey = [_limits(self.histograms["PAN"][0])]
        return ReportData(
            self.shown,
            tuple(self.study.sensor.bands),
            {name: {of: canvas.mean for of, canvas in by.items()} for name, by in self.maps.items()},
            stretched(np.stack([canvas.mean for canvas in self.rgb]), limits),
            self.cell,
            self.histograms,
            self.spectra,
            self.moments,
            [
                self._crop(window, reader, limits, grey)
                for window in crop_windows(self.difference, self.study.scene.window, maximum)
            ],
        )

    def _crop(self, window: Window, reader, limits, grey) -> Crop:
        block, colours = reader.read(window, 0, 1), self.colours
        ms = block.nearest_on_ms(np.moveaxis(block.ms[colours], 0, -1))
        pictures = {"PAN": stretched(np.asarray(block.pan, np.float32)[None], grey)}
        pictures["MS"] = stretched(np.moveaxis(ms, -1, 0).astype(np.float32), limits)
        others = sorted(self.shown, key=lambda image: bool(image.path))  # files last
        named = {image.name: image for image in others}
        if self.study.reference:
            named["reference"] = self.study.reference
        pictures |= {name: stretched(image.read(window)[colours], limits) for name, image in named.items()}
        return Crop(window, pictures)


def colours_of(names: tuple[str, ...], bands: int) -> list[int]:
    """Returns the indices of red, green and blue by name, otherwise of bands 3, 2 and 1, or of a single band."""
    if {"red", "green", "blue"} <= set(names):
        return [names.index(name) for name in ("red", "green", "blue")]
    return [2, 1, 0] if bands >= 3 else [0]


def differing(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns the mean absolute difference at each pixel (h, w), in standard deviations of the bands of `one`."""
    known = np.isfinite(one)
    spread = np.array([max(float(band[ok].std()), 1e-6) if ok.any() else 1.0 for band, ok in zip(one, known)])
    return np.abs((one - other) / spread[:, None, None]).mean(0)


def samples_of(block: Block) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Returns the MS samples (bands, h, w) with centres in a block's core, and their rows and columns on PAN."""
    spans, positions = [], []
    for axis, (start, n, samples) in enumerate(
        zip((block.core.row, block.core.col), block.core.shape, block.ms.shape[1:])
    ):
        at = block.ms_at[axis] + block.ratio * np.arange(samples)
        inside = np.flatnonzero((at > start - 0.5 - 1e-6) & (at < start + n - 0.5 - 1e-6))
        spans.append(slice(inside[0], inside[-1] + 1) if len(inside) else slice(0, 0))
        positions.append(at[spans[-1]])
    return block.ms[(slice(None), *spans)], tuple(positions)


def _pixels_of(centres: np.ndarray, n: int) -> np.ndarray:
    """Returns the n pixels that each sample covers along an axis."""
    return np.floor(centres[:, None] + np.arange(n) - (n - 1) / 2 + 0.5).astype(int).ravel()


def _limits(of: Histogram) -> tuple[float, float]:
    """Returns the limits of the contrast stretch."""
    return of.quantile(0.005), of.quantile(0.995)


def crop_windows(difference: CellMeans, window: Window, maximum: int) -> list[Window]:
    """Returns disjoint windows in which the images differ most, the greatest difference first."""
    side = min(CROP_SIDE, max(min(window.shape) // 3 // CROP_CELL * CROP_CELL, CROP_CELL), *window.shape)
    cells = max(side // difference.cell, 1)
    field = np.nan_to_num(difference.mean)
    found = []
    if min(field.shape) < cells:
        return [window]
    sums = np.lib.stride_tricks.sliding_window_view(field, (cells, cells)).mean((2, 3))
    while len(found) < maximum and sums.max() > 0:
        r, c = np.unravel_index(sums.argmax(), sums.shape)
        row, col = (
            min(first + at * difference.cell, stop - side)
            for first, at, stop in zip((window.row, window.col), (r, c), window.stop)
        )
        found.append(Window(int(row), int(col), side, side))
        sums[max(r - cells + 1, 0) : r + cells, max(c - cells + 1, 0) : c + cells] = 0
    return found
