"""What a report shows of a study besides numbers: maps, crops, histograms, spectra, correlations. One pass, by blocks."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce

import numpy as np

from .assess import Asked, Study, chosen, side_for
from .blocks import Block
from .metrics import FullScale, Referenced, Reprojected
from .pictures import stretched
from .scene import Reader
from .statistics import Histogram, Moments
from .tiles import Window

FILES, ALL = 3, 5
"images that are shown at most: files, and with those beside them"
MAP = 360
"cells along the longer side of a map"
CROP = 216
"pixels along a crop"
CELL = 24
"pixels along the cells in which images are compared to choose crops"
TILE = 256
"pixels along the windows that spectra come from"
BINS = 40


@dataclass
class Canvas:
    """Means over cells of a window of PAN, of fields that come block by block; a scene of any size fits."""

    window: Window
    cell: int

    def __post_init__(self):
        self.shape = tuple(math.ceil(n / self.cell) for n in self.window.shape)
        self.total, self.count = np.zeros(self.shape), np.zeros(self.shape)

    def add(self, values: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> None:
        """values (h, w) at absolute rows and columns; NaN counts for nothing."""
        r, c = ((at - first) // self.cell for at, first in ((rows, self.window.row), (cols, self.window.col)))
        place = (np.clip(r, 0, self.shape[0] - 1)[:, None] * self.shape[1] + np.clip(c, 0, self.shape[1] - 1)).ravel()
        known = np.isfinite(values).ravel()
        place, size = place[known].astype(np.intp), self.shape[0] * self.shape[1]
        self.count += np.bincount(place, minlength=size).reshape(self.shape)
        self.total += np.bincount(place, values.ravel()[known], size).reshape(self.shape)

    @property
    def mean(self) -> np.ndarray:
        """NaN where nothing was seen."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.total / self.count


@dataclass
class Spectrum:
    """Power by frequency, all directions together; of windows of one size."""

    side: int
    pixel: float
    "in PAN pixels"
    power: np.ndarray = field(default_factory=lambda: np.zeros(BINS))
    count: int = 0

    def add(self, tile: np.ndarray) -> None:
        """tile (bands, side, side), without a gap."""
        taper = np.hanning(self.side)[:, None] * np.hanning(self.side)
        about = (tile - tile.mean((1, 2), keepdims=True)) * taper
        power = (np.abs(np.fft.fft2(about)) ** 2).mean(0) * self.pixel**2 / (taper**2).sum()
        frequency = np.fft.fftfreq(self.side, self.pixel)
        radius = np.hypot(frequency[:, None], frequency)
        number = np.minimum((radius * 2 * BINS).astype(int), BINS).ravel()
        seen = np.bincount(number, minlength=BINS + 1)[:BINS]
        self.power += np.bincount(number, power.ravel(), BINS + 1)[:BINS] / np.maximum(seen, 1)
        self.count += 1

    @property
    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Cycles per PAN pixel, and the power there."""
        at = (np.arange(BINS) + 0.5) / (2 * BINS)
        known = (at <= 0.5 / self.pixel) & (self.power > 0) & (np.arange(BINS) > 0)
        return at[known], self.power[known] / max(self.count, 1)


@dataclass(frozen=True)
class Crop:
    window: Window
    pictures: dict[str, np.ndarray]
    "bytes (h, w, 3) or (h, w) by the image's name"


@dataclass
class Exhibits:
    shown: list
    bands: tuple[str, ...]
    maps: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    "by measure, by image"
    overview: np.ndarray | None = None
    cell: int = 1
    histograms: dict[str, list[Histogram]] = field(default_factory=dict)
    "of each band; by image, and of MS and PAN"
    spectra: dict[str, Spectrum] = field(default_factory=dict)
    moments: dict[str, Moments] = field(default_factory=dict)
    crops: list[Crop] = field(default_factory=list)


def gather(study: Study, asked: Asked, progress: Callable[[float], None] = lambda share: None) -> Exhibits:
    """All of it, from the blocks that are measured."""
    shown = shown_of(study)
    seen = _Seen(study, shown)
    side, reader = side_for(study.scene, asked.memory), Reader(study.scene)
    full = FullScale(study.setting)
    cores = chosen(full.cores(side), asked)
    low = [] if study.reference else chosen(Reprojected(study.setting).cores(side), asked)
    for done, core in enumerate(cores, 1):
        seen.block(full, reader.read(core, full.reach, full.ms_halo))
        progress(done / (len(cores) + len(low)))
    if low:
        seen.angles(reader, low, lambda done: progress((len(cores) + done) / (len(cores) + len(low))))
    return seen.exhibits(reader)


def shown_of(study: Study) -> list:
    files = list(study.files)[:FILES]
    return [*files, *(image for image in study.images if not image.path)][:ALL]


class _Seen:
    """What has been seen of a study."""

    def __init__(self, study: Study, shown: list):
        self.study, self.shown = study, shown
        window = study.scene.window
        self.cell = max(math.ceil(max(window.shape) / MAP), 1)
        self.side = min(TILE, *window.shape)
        ratio = study.scene.placement.ratio
        names = [image.name for image in shown]
        self.other = 1 if len(study.files) > 1 else -1  # what the first image is compared with to choose crops
        self.maps = {name: {of: Canvas(window, self.cell) for of in names} for name in self._measures}
        self.rgb = [Canvas(window, self.cell) for _ in self.colours]
        self.apart = Canvas(window, CELL)
        self.histograms: dict[str, list[list[Histogram]]] = {}
        self.moments: dict[str, list[Moments]] = {}
        self.spectra = {name: Spectrum(self.side, 1.0) for name in ("PAN", *names)}
        self.spectra["MS"] = Spectrum(int(self.side / ratio), ratio)

    @property
    def _measures(self) -> tuple[str, ...]:
        return ("SAM", "error") if self.study.reference else ("D_rho", "R-SAM")

    @property
    def colours(self) -> list[int]:
        """Which bands are shown as red, green and blue."""
        return colours_of(self.study.sensor.bands, len(self.study.scene.ms))

    def block(self, full: FullScale, block: Block) -> None:
        core, window = block.core, block.window
        fused = [image.over(window) for image in self.shown]
        rows, cols = np.arange(core.row, core.stop[0]), np.arange(core.col, core.stop[1])
        inner = (slice(None), *core.within(window))
        self._maps(full, block, fused, rows, cols)
        for canvas, number in zip(self.rgb, self.colours):
            canvas.add(fused[0][inner][number], rows, cols)
        self.apart.add(differing(fused[0][inner], fused[self.other][inner]), rows, cols)
        self._count("PAN", np.where(block.masks()[0], block.pan, np.nan)[None][inner])
        samples, at = samples_of(block)
        self._count("MS", samples)
        for image, pixels in zip(self.shown, fused):
            self._count(image.name, pixels[inner])
            self._spectrum(image.name, pixels[inner])
        self._spectrum("PAN", np.where(block.masks()[0], block.pan, np.nan)[None][inner])
        self._spectrum("MS", samples)

    def _maps(self, full: FullScale, block: Block, fused, rows, cols) -> None:
        truth = self.study.reference.over(block.window) if self.study.reference else None
        for image, pixels in zip(self.shown, fused):
            if truth is None:
                fields = {"D_rho": 1 - full.correlation_map(block, pixels).mean(0)}
            else:
                of = Referenced(self.study.scene.window, block.ratio, self.study.rounded)
                fields = dict(zip(("SAM", "error"), of.maps(pixels, truth, block.window, block.core)))
            for name, values in fields.items():
                self.maps[name][image.name].add(values, rows, cols)

    def angles(self, reader: Reader, cores: list[Window], progress) -> None:
        """The maps of R-SAM, sample by sample of MS."""
        of = Reprojected(self.study.setting)
        shifts = of.shifts(reduce(operator.add, (of.look(reader.read(c, of.reach, of.ms_halo)) for c in cores)))
        for done, core in enumerate(cores, 1):
            block = reader.read(core, of.reach, of.ms_halo)
            _, (rows, cols) = samples_of(block)
            for image in self.shown:
                angle = of.angle_map(block, image.over(block.window), shifts)
                spread = angle.repeat(round(block.ratio), 0).repeat(round(block.ratio), 1)
                around = [_around(at[:n], block.ratio) for at, n in zip((rows, cols), angle.shape)]
                self.maps["R-SAM"][image.name].add(spread, *around)
            progress(done)

    def _count(self, name: str, values: np.ndarray) -> None:
        flat = values.reshape(len(values), -1)
        flat = flat[:, np.isfinite(flat).all(0)].astype(np.float32)
        self.histograms.setdefault(name, []).append([Histogram.of(band) for band in flat])
        self.moments.setdefault(name, []).append(Moments.of(flat.astype(np.float64)))

    def _spectrum(self, name: str, values: np.ndarray) -> None:
        side = self.spectra[name].side
        for r in range(0, values.shape[1] - side + 1, side):
            for c in range(0, values.shape[2] - side + 1, side):
                tile = values[:, r : r + side, c : c + side]
                if np.isfinite(tile).all():
                    self.spectra[name].add(tile)

    def exhibits(self, reader: Reader) -> Exhibits:
        histograms = {
            name: [reduce(operator.add, of) for of in zip(*all_of)] for name, all_of in self.histograms.items()
        }
        of_colours = [histograms["MS"][i] for i in self.colours]
        limits = [(of.quantile(0.005), of.quantile(0.995)) for of in of_colours]
        grey = [(histograms["PAN"][0].quantile(0.005), histograms["PAN"][0].quantile(0.995))]
        return Exhibits(
            self.shown,
            tuple(self.study.sensor.bands),
            {name: {of: canvas.mean for of, canvas in by.items()} for name, by in self.maps.items()},
            stretched(np.stack([canvas.mean for canvas in self.rgb]), limits),
            self.cell,
            histograms,
            self.spectra,
            {name: reduce(operator.add, all_of) for name, all_of in self.moments.items()},
            [self._crop(window, reader, limits, grey) for window in self._places()],
        )

    def _places(self) -> list[Window]:
        most = 4 if len(self.shown) < 4 else 3
        return places(self.apart, self.study.scene.window, most)

    def _crop(self, window: Window, reader: Reader, limits, grey) -> Crop:
        block, colours = reader.read(window, 0, 1), self.colours
        ms = block.nearest_on_ms(np.moveaxis(block.ms[colours], 0, -1))
        pictures = {"PAN": stretched(np.asarray(block.pan, np.float32)[None], grey)}
        pictures["MS"] = stretched(np.moveaxis(ms, -1, 0).astype(np.float32), limits)
        if self.study.reference:
            pictures["reference"] = stretched(self.study.reference.over(window)[colours], limits)
        pictures |= {image.name: stretched(image.over(window)[colours], limits) for image in self.shown}
        return Crop(window, pictures)


def colours_of(names: tuple[str, ...], bands: int) -> list[int]:
    """Red, green and blue by name; else the first three, the longest wave first; one band is grey."""
    if {"red", "green", "blue"} <= set(names):
        return [names.index(name) for name in ("red", "green", "blue")]
    return [2, 1, 0] if bands >= 3 else [0]


def differing(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How far two images are apart at each pixel (h, w), in standard deviations of the first one's bands."""
    known = np.isfinite(one)
    spread = np.array([max(float(band[ok].std()), 1e-6) if ok.any() else 1.0 for band, ok in zip(one, known)])
    return np.abs((one - other) / spread[:, None, None]).mean(0)


def samples_of(block: Block) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """The MS samples whose centres lie in a block's core (bands, h, w), and their rows and columns on PAN."""
    spans, places = [], []
    for axis, (start, n, samples) in enumerate(
        zip((block.core.row, block.core.col), block.core.shape, block.ms.shape[1:])
    ):
        at = block.ms_at[axis] + block.ratio * np.arange(samples)
        inside = np.flatnonzero((at > start - 0.5 - 1e-6) & (at < start + n - 0.5 - 1e-6))
        spans.append(slice(inside[0], inside[-1] + 1) if len(inside) else slice(0, 0))
        places.append(at[spans[-1]])
    return block.ms[(slice(None), *spans)], tuple(places)


def _around(centres: np.ndarray, ratio: float) -> np.ndarray:
    """The pixels under samples."""
    n = round(ratio)
    return np.floor(centres[:, None] + np.arange(n) - (n - 1) / 2 + 0.5).astype(int).ravel()


def places(apart: Canvas, window: Window, most: int) -> list[Window]:
    """Where images differ most: windows that do not overlap, the one with the greatest difference first."""
    side = min(CROP, max(min(window.shape) // 2 // CELL * CELL, CELL), *window.shape)
    cells = max(side // apart.cell, 1)
    field = np.nan_to_num(apart.mean)
    found = []
    if min(field.shape) < cells:
        return [window]
    sums = np.lib.stride_tricks.sliding_window_view(field, (cells, cells)).mean((2, 3))
    while len(found) < most and sums.max() > 0:
        r, c = np.unravel_index(sums.argmax(), sums.shape)
        row, col = (
            min(first + at * apart.cell, stop - side)
            for first, at, stop in zip((window.row, window.col), (r, c), window.stop)
        )
        found.append(Window(int(row), int(col), side, side))
        sums[max(r - cells + 1, 0) : r + cells, max(c - cells + 1, 0) : c + cells] = 0
    return found
