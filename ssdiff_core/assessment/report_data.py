"""What a report shows of a study besides numbers: maps, crops, histograms, spectra, correlations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..common.pipeline import PerThread
from ..domain.block import Block
from ..domain.options import AssessOptions
from ..domain.study import Study
from ..domain.window import Window
from ..fusion.parallel import side_by_side
from ..fusion.scene_sums import Histogram, Moments
from ..metrics.arrays import FullScale, Referenced, Reprojected
from .measure import chosen, setting_of, shifts_of, side_for
from .png import stretched

FILES, ALL = 3, 5
"images that are shown at most: files, and with those beside them"
MAP = 360
"cells along the longer side of a map"
CROP = 216
"pixels along a crop"
CELL = 24
"pixels along the cells in which images are compared to choose crops"
TILE = 128
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

    def add_all(self, image: np.ndarray) -> None:
        """All windows of an image (bands, h, w) that have no gap."""
        for r in range(0, image.shape[1] - self.side + 1, self.side):
            for c in range(0, image.shape[2] - self.side + 1, self.side):
                tile = image[:, r : r + self.side, c : c + self.side]
                if np.isfinite(tile).all():
                    self.add(tile)

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


def gather(study: Study, asked: AssessOptions, progress: Callable[[float], None] = lambda share: None) -> Exhibits:
    """All of it, from the blocks that are measured."""
    seen, side, reader = _Seen(study), side_for(study.scene, asked.memory), PerThread(study.open_reader)
    full, low = FullScale(setting_of(study)), Reprojected(setting_of(study))
    cores = chosen(full.cores(side), asked)
    coarse = [] if study.reference else chosen(low.cores(side), asked)
    shifts = shifts_of(low, reader, coarse) if coarse else ()

    def look(core: Window) -> _Look:
        return seen.look(full, reader().read(core, full.reach, full.ms_halo))

    def look_again(core: Window) -> list[_Field]:
        return seen.angles(low, reader().read(core, low.reach, low.ms_halo), shifts)

    done, total = 0, len(cores) + len(coarse)
    for work, windows, add in ((look, cores, seen.add), (look_again, coarse, seen.add_fields)):
        for answer in side_by_side(work, windows):
            add(answer)
            done += 1
            progress(done / total)
    return seen.exhibits(reader())


@dataclass(frozen=True)
class _Field:
    """Values of a map, at absolute rows and columns."""

    measure: str
    image: str
    values: np.ndarray
    rows: np.ndarray
    cols: np.ndarray


@dataclass(frozen=True)
class _Look:
    """One block's core, as PAN, MS and the images show it."""

    core: Window
    images: dict[str, np.ndarray]
    "(bands, h, w); NaN where masked"
    fields: list[_Field]


def shown_of(study: Study) -> list:
    files = list(study.files)[:FILES]
    return [*files, *(image for image in study.images if not image.path)][:ALL]


class _Seen:
    """What has been seen of a study."""

    def __init__(self, study: Study):
        self.study, self.shown = study, shown_of(study)
        window, ratio = study.scene.window, study.scene.placement.ratio
        self.cell = max(math.ceil(max(window.shape) / MAP), 1)
        self.colours = colours_of(study.sensor.bands, len(study.scene.ms))
        names = [image.name for image in self.shown]
        self.pair = names[0], names[1 if len(study.files) > 1 else -1]  # what is compared to choose crops
        measured = ("SAM", "error") if study.reference else ("D_rho", "R-SAM")
        self.maps = {name: {of: Canvas(window, self.cell) for of in names} for name in measured}
        self.rgb = [Canvas(window, self.cell) for _ in self.colours]
        self.apart = Canvas(window, CELL)
        self.histograms: dict[str, list[Histogram]] = {}
        self.moments: dict[str, Moments] = {}
        side = min(TILE, *window.shape)
        self.spectra = {name: Spectrum(side, 1.0) for name in ("PAN", *names)}
        self.spectra["MS"] = Spectrum(int(side / ratio), ratio)

    # --- one block, in any thread ------------------------------------------------------------------------------------

    def look(self, full: FullScale, block: Block) -> _Look:
        inner = (slice(None), *block.core.within(block.window))
        fused = {image.name: image.over(block.window) for image in self.shown}
        images = {"PAN": np.where(block.masks()[0], block.pan, np.nan)[None][inner], "MS": samples_of(block)[0]}
        images |= {name: image[inner] for name, image in fused.items()}
        return _Look(block.core, images, list(self._fields(full, block, fused)))

    def _fields(self, full: FullScale, block: Block, fused: dict[str, np.ndarray]) -> Iterator[_Field]:
        core, truth = block.core, self.study.reference
        at = np.arange(core.row, core.stop[0]), np.arange(core.col, core.stop[1])
        if truth is None:
            for name, image in fused.items():
                yield _Field("D_rho", name, 1 - full.correlation_map(block, image).mean(0), *at)
            return
        of, wanted = Referenced(self.study.scene.window, block.ratio, self.study.rounded), truth.over(block.window)
        for name, image in fused.items():
            angle, error = of.maps(image, wanted, block.window, core)
            yield from (_Field("SAM", name, angle, *at), _Field("error", name, error, *at))

    def angles(self, low: Reprojected, block: Block, shifts) -> list[_Field]:
        """The map of R-SAM: each MS sample's angle at the pixels under it."""
        n = round(block.ratio)
        at = [_around(centres, n) for centres in samples_of(block)[1]]
        maps = ((image.name, low.angle_map(block, image.over(block.window), shifts)) for image in self.shown)
        return [_Field("R-SAM", name, angle.repeat(n, 0).repeat(n, 1), *at) for name, angle in maps]

    # --- all of them, in their order ---------------------------------------------------------------------------------

    def add(self, look: _Look) -> None:
        core = look.core
        at = np.arange(core.row, core.stop[0]), np.arange(core.col, core.stop[1])
        one, other = (look.images[name] for name in self.pair)
        for canvas, number in zip(self.rgb, self.colours):
            canvas.add(one[number], *at)
        self.apart.add(differing(one, other), *at)
        self.add_fields(look.fields)
        for name, image in look.images.items():
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

    def exhibits(self, reader) -> Exhibits:
        limits = [_limits(self.histograms["MS"][i]) for i in self.colours]
        most = 4 if len(self.shown) < 4 else 3
        grey = [_limits(self.histograms["PAN"][0])]
        return Exhibits(
            self.shown,
            tuple(self.study.sensor.bands),
            {name: {of: canvas.mean for of, canvas in by.items()} for name, by in self.maps.items()},
            stretched(np.stack([canvas.mean for canvas in self.rgb]), limits),
            self.cell,
            self.histograms,
            self.spectra,
            self.moments,
            [self._crop(window, reader, limits, grey) for window in places(self.apart, self.study.scene.window, most)],
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
        pictures |= {name: stretched(image.over(window)[colours], limits) for name, image in named.items()}
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


def _around(centres: np.ndarray, n: int) -> np.ndarray:
    """The n pixels under each sample."""
    return np.floor(centres[:, None] + np.arange(n) - (n - 1) / 2 + 0.5).astype(int).ravel()


def _limits(of: Histogram) -> tuple[float, float]:
    """Between which values pictures are stretched."""
    return of.quantile(0.005), of.quantile(0.995)


def places(apart: Canvas, window: Window, most: int) -> list[Window]:
    """Where images differ most: windows that do not overlap, the one with the greatest difference first."""
    side = min(CROP, max(min(window.shape) // 3 // CELL * CELL, CELL), *window.shape)
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
