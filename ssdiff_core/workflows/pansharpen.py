"""The main job: from two rasters and some wishes to one fused raster, and what there is to say on the way."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import __version__
from ..common.errors import ConfigError
from ..common.fingerprints import sha256_of
from ..common.progress import duration
from ..domain import sensors
from ..domain.band_groups import groups
from ..domain.block import SceneStats
from ..domain.block_passes import MEMORY
from ..domain.methods import ALL, LABELS, NETWORK, UNFITTED
from ..domain.options import SamplingOptions
from ..domain.registration import apart
from ..domain.scene import Scene
from ..raster.identify_sensor import identified, multispectral
from ..raster.output import Output, output_for, spread_beside, unheard
from ..raster.polygon_mask import cut_out
from ..raster.reader import alignment, open_scene
from ..weights import catalogue
from ..weights.card import MOMENTS, SCENE, Card, read_card
from ..weights.catalogue import Fetch
from .block_writer import BlockRun, fuse

OTHER_FORMATS = (".png", ".jpg", ".jpeg", ".jp2", ".webp", ".gif", ".bmp", ".img", ".vrt", ".nc", ".pdf", ".gpkg")
"ends of names that other programs would be misled by"
FAR = 0.75
"PAN pixels between PAN and MS that a user should know of"
SURE = 0.5
"confidence from which a measured shift is believed"
SLOW = 60.0
"seconds that a run may take without a word on how long it will be"
SPREAD_SAMPLES = 8
"whose spread says something, since tiles lie all eight ways (docs/study.md)"


@dataclass(frozen=True)
class PansharpenOptions:
    """What a user may ask for. The defaults are what most want."""

    method: str = "ssdiff"
    sensor: str = "auto"
    weights: str = "auto"
    steps: int | None = None
    samples: int | None = None
    "None: as many as the weights ask for, or where an uncertainty is wished as many as that takes"
    seed: int = 0
    bands: tuple[int, ...] = ()
    extent: tuple[float, float, float, float] | None = None
    device: str = "auto"
    nodata: float | None = None
    dtype: str | None = None
    format: str = "cog"
    options: tuple[str, ...] = ()
    align: str = "warn"
    "auto corrects the shift between PAN and MS, warn only tells of it, none does not look"
    mask: str = ""
    "polygons as WKT, in the CRS of PAN, outside of which nothing is wanted"
    uncertainty: str = ""
    "the file for how far the samples of the network lie apart; empty: none"
    memory: int = MEMORY
    resume: bool = False


@dataclass(frozen=True)
class PansharpenResult:
    """What came of it."""

    scene: Scene
    "as it was taken to be"
    provenance: dict[str, str]


def pansharpen(
    pan,
    ms,
    out,
    wishes: PansharpenOptions,
    notify: Callable[[str], None],
    reporter,
    backend,
    fetch: Fetch | None = None,
) -> PansharpenResult:
    """Fuses PAN and MS files into out. say hears sentences; reporter(pixels) answers what hears the share done.

    backend: inprocess.backend.Here or worker.client.backend.Elsewhere. fetch: downloads missing weights (see
    catalogue.fetcher); None: as the environment reaches the network.
    """
    fetch = fetch or catalogue.fetcher(progress=reporter(0), notify=notify)
    scene = open_scene(pan, ms, wishes.bands or multispectral(ms, wishes.sensor, notify), wishes.extent)
    check(scene, out, wishes)
    for note in scene.notes:
        notify(note)
    if wishes.mask:
        scene = cut_out(scene, wishes.mask)
    scene, sensor = identified(scene, wishes.sensor, notify, ordered=not wishes.bands)
    path = weights_for(scene, sensor, wishes, fetch, notify)
    scene = aligned(scene, as_learnt(path, wishes.align, notify), notify)
    engine, wanted, provenance = prepare(scene, sensor, path, wishes, notify, backend)
    output = output_for(
        scene, out, dtype=wishes.dtype, nodata=wishes.nodata, format=wishes.format, options=wishes.options
    )
    for note in (*unheard(output), *cut_off(scene, output)):
        notify(note)
    outputs = [output, *([spread_beside(output, wishes.uncertainty)] if wishes.uncertainty else [])]
    workers = backend.workers(wishes.method)
    stats = backend.stats(scene, wanted, wishes.memory, workers) if wanted else SceneStats(mtf=sensor.mtf)
    pixels = scene.window.height * scene.window.width
    progress = forewarning(reporter(pixels), notify, wishes.method)
    run = BlockRun(wishes.memory, workers=workers, thread_limit=backend.thread_limit, resume=wishes.resume)
    fuse(scene, engine, outputs, stats, provenance, run, progress, notify)
    return PansharpenResult(scene, provenance)


def check(scene: Scene, out, wishes: PansharpenOptions) -> None:
    """What can be told from the wishes and the names of the files alone."""
    inputs = {Path(band.path).resolve() for band in (scene.pan, *scene.ms)}
    for path in filter(None, (out, wishes.uncertainty)):
        if Path(path).resolve() in inputs:
            raise ConfigError(f"{path} is one of the inputs")
        if Path(path).suffix.lower() in OTHER_FORMATS:
            raise ConfigError(f"{path} would be a GeoTIFF that is called something else: end its name with .tif")
    if wishes.method not in ALL:
        raise ConfigError(f"there is no method {wishes.method!r}; these are: {', '.join(ALL)}")
    if wishes.uncertainty:
        check_uncertainty(out, wishes)


def check_uncertainty(out, wishes: PansharpenOptions) -> None:
    if wishes.method != NETWORK:
        label = LABELS[wishes.method]
        raise ConfigError(f"{label} gives one answer, which has no uncertainty: leave that out, or take ssdiff")
    if wishes.samples == 1:
        raise ConfigError("one sample alone has no uncertainty: ask for two or more, or do not say how many")
    if Path(wishes.uncertainty).resolve() == Path(out).resolve():
        raise ConfigError(f"{out} cannot be the image and its uncertainty: name another file for one of them")


def cut_off(scene: Scene, output: Output) -> list[str]:
    """What there is to say of a type that cannot hold what those of MS can."""
    kind, had = np.dtype(output.dtype), np.result_type(*(band.dtype for band in scene.ms))
    if kind.kind == "f" or np.can_cast(had, kind):
        return []
    least, most = np.iinfo(kind).min, np.iinfo(kind).max
    return [f"MS is {had}, and {kind} holds {least} to {most}: what lies beyond will be cut off"]


def aligned(scene: Scene, wish: str, notify: Callable[[str], None]) -> Scene:
    """The scene with MS and its bands where they are seen to lie, if that is wished; else a word on how far off."""
    if wish == "none":
        return scene
    shift = alignment(scene)
    if shift.confidence < SURE:
        return scene
    bands = apart(shift)
    further = {number: math.hypot(*off) for number, off in enumerate(bands, 1) if any(off)}
    told = f"MS lies {shift} of PAN off (confidence {shift.confidence:.2f})"
    if further:
        which = f"bands {', '.join(map(str, further))} lie" if len(further) > 1 else f"band {next(iter(further))} lies"
        told += f", and {which} up to {max(further.values()):.2f} PAN pixels from that"
    if wish == "auto":
        notify(f"{told}: corrected")
        return scene.shifted(shift.rows, shift.cols, bands)
    far = max(shift.length, *further.values(), 0) > FAR
    notify(f"{told}: colours will bleed at edges; aligning (auto) corrects it" if far else told)
    return scene


def weights_for(scene: Scene, sensor: sensors.Sensor, wishes: PansharpenOptions, fetch: Fetch, notify) -> Path | None:
    """The file of the weights, if the method wants any."""
    if wishes.method != NETWORK:
        return None
    return catalogue.find(wishes.weights, sensor.id, len(scene.ms), scene.placement.ratio, fetch, notify)


def as_learnt(path: Path | None, wish: str, notify: Callable[[str], None]) -> str:
    """What becomes of shifts: weights adapted to scenes that were put right want them so, unless told otherwise."""
    if path and wish == "warn" and read_card(path).training.get("align") == "auto":
        notify("the weights were adapted to scenes put right; so the shift is corrected here too")
        return "auto"
    return wish


def prepare(
    scene: Scene, sensor: sensors.Sensor, path: Path | None, wishes: PansharpenOptions, notify, backend
) -> tuple[object, dict, dict[str, str]]:
    """The engine for the method, what must be known of the whole scene, and what the file shall say of it all."""
    ratio = scene.placement.ratio
    pan, *ms = scene.files
    inputs = {"pan": pan, "ms": ", ".join(ms)}
    said = {"version": __version__, "method": wishes.method, "sensor": sensor.id, **inputs}
    if wishes.method != NETWORK:
        engine = backend.classical(wishes.method, ratio, notify)
        return engine, {} if wishes.method in UNFITTED else to_know(wishes.method, sensor, ratio), said
    card = read_card(path)
    sampling = sampled(wishes, card, notify)
    of_bands = groups_for(card, sensor, len(scene.ms), notify)
    engine = backend.network(path, of_bands, sampling, notify)
    told = {"weights": card.id, "weights_sha256": sha256_of(path), "steps": sampling.steps}
    said |= told | {"seed": sampling.seed, "samples": sampling.samples}
    if card.base == "lms" and card.scale not in (SCENE, MOMENTS) and not card.arch.views:
        return engine, {}, said  # such weights ask nothing of the scene
    how = {"kernel": card.interpolation, "views": card.arch.views, "groups": of_bands}
    return engine, to_know(card.base, sensor, ratio) | how, said


def sampled(wishes: PansharpenOptions, card: Card, notify: Callable[[str], None]) -> SamplingOptions:
    """How the network is asked: as its weights were made for, but for an uncertainty so that samples lie apart."""
    steps = card.steps if wishes.steps is None else wishes.steps
    usual = max(SPREAD_SAMPLES, card.samples) if wishes.uncertainty else card.samples
    samples = usual if wishes.samples is None else wishes.samples
    if wishes.uncertainty:
        notify(
            f"the image will be the mean of {samples} samples of {steps} step(s), and the uncertainty how far they lie "
            f"apart: {samples * steps / (card.samples * card.steps):.3g} times the work of an image alone"
        )
    return SamplingOptions(wishes.device, steps, samples, wishes.seed)


def to_know(method: str, sensor: sensors.Sensor, ratio: float) -> dict:
    """What a method must know of the whole scene: what its survey is made with (see statistics.Survey)."""
    return {"method": method, "mtf": sensor.mtf, "ratio": ratio, "pan_mtf": sensor.pan_mtf}


def groups_for(card: Card, sensor: sensors.Sensor, bands: int, notify) -> tuple[tuple[int, ...], ...]:
    """The groups in which general weights for another number of bands take them; none where none are needed."""
    size = len(card.bands)
    if bands == size or card.sensor != sensors.GENERAL:
        return ()
    of_bands = groups(bands, size, sensor.wavelengths)
    notify(f"weights {card.id} take {size} bands; the {bands} of MS are fused in {len(of_bands)} group(s) of {size}")
    return tuple(of_bands)


def forewarning(report: Callable[[float], None], notify: Callable[[str], None], method: str) -> Callable[[float], None]:
    """The same report; once enough is done to tell, a word on how long all will take if that is long.

    A run that goes on from an earlier one begins with what that has done.
    """
    start: list[tuple[float, float]] = []
    told = [False]

    def heard(share: float) -> None:
        now = time.monotonic()
        if not start:
            start.append((now, share))
        elapsed, gained = now - start[0][0], share - start[0][1]
        if not told[0] and elapsed > 5 and gained > 0 and share < 1:
            told[0] = True
            whole = elapsed * (1 - start[0][1]) / gained
            if whole > SLOW:
                faster = "; a GPU, one sample or a classical method would be faster" if method == "ssdiff" else ""
                notify(f"this will take about {duration(whole)} in all{faster}")
        report(share)

    return heard
