"""Pansharpening of files: from PAN and MS rasters and the options of a run to one fused raster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from .. import __version__
from ..common.errors import ConfigError
from ..common.files import check_targets
from ..common.fingerprints import sha256_of
from ..common.notices import Notice, Notify, notice
from ..common.progress import duration
from ..domain import sensors
from ..domain.block import SceneStats
from ..domain.methods import ALL, LABELS, NETWORK, UNFITTED
from ..domain.options import PansharpenOptions, SamplingOptions, fingerprint
from ..domain.pixel_type import PixelType
from ..domain.scene import Scene
from ..raster.input_files import files_read
from ..raster.open_pair import align_pair, open_pair
from ..raster.output import OTHER_FORMATS, Output, ignored_options, output_for, spread_output
from ..raster.polygon_mask import cut_out
from ..weights import catalogue
from ..weights.card import MOMENTS, SCENE, Card, read_card
from ..weights.catalogue import Fetch
from .band_order import as_weights_see, band_groups
from .block_writer import BlockRun, check_start, fuse
from .scene_learning import SceneWeights, scene_statistics, scene_weights, seconds_of, shift_of
from .weights_ratio import at_ratio

LONG_RUN = 60.0
"seconds from which the expected duration of a run is announced"
MEASURED_FOR = 5.0
"seconds of computing after which the duration of a run can be predicted"
UNCERTAINTY_SAMPLES = 8
"samples of an uncertainty by default: one for each of the eight orientations of a tile (docs/study.md)"


@dataclass(frozen=True)
class PansharpenResult:
    """Result of a pansharpening run."""

    scene: Scene
    "the scene as it was fused: bands in output order, MS aligned"
    provenance: dict[str, str]
    "provenance that is written to the metadata of the output"


def pansharpen(
    pan,
    ms,
    out,
    options: PansharpenOptions,
    notify: Notify,
    reporter: Callable[[int], Callable[[float], None]],
    backend,
    fetch: Fetch | None = None,
) -> PansharpenResult:
    """Fuses a PAN and an MS raster into the file `out`.

    ms: one file, or one file for each band. reporter: takes the number of pixels of the run and returns a function that
    receives the share done. backend: inprocess.backend.LocalBackend or worker.client.backend.WorkerBackend. fetch:
    downloads missing weights (see catalogue.fetcher); None: with the network settings of the environment.
    """
    fetch = fetch or catalogue.fetcher(progress=reporter(0), notify=notify)
    scene, sensor = open_pair(pan, ms, options, notify)
    check_outputs(scene, out, options)
    for message in scene.notices:
        notify(message)
    if options.mask:
        scene = cut_out(scene, options.mask)
    path = find_weights(scene, sensor, options, fetch, notify)
    check_files(out, options, [path] if path else [])
    placed = scene.placement.at
    scene = align_pair(scene, align_mode(path, options.align, notify), notify, shift_of)
    aligned = scene.placement.at
    if path:
        scene, sensor = at_ratio(scene, sensor, read_card(path).ratio, notify)
    outputs = open_outputs(scene, out, options, notify)
    check_start(scene, outputs, options.resume)
    learnt, seen = SceneWeights(path, {}), ()
    if path:
        seen = groups_for(scene, sensor, read_card(path), options, notify)
        ordered = as_weights_see(scene, sensor, seen)
        learnt = scene_weights(*ordered, path, options, backend, reporter, notify)
    engine, survey, provenance = open_engine(scene, sensor, learnt.path, options, notify, backend, seen)
    workers = backend.workers(engine)
    stats = SceneStats(mtf=sensor.mtf)
    if survey:
        stats = scene_statistics(scene, survey, options, backend, workers)
    progress = announcing_duration(reporter(scene.window.height * scene.window.width), notify, options.method)
    run = BlockRun(
        options.memory,
        workers=workers,
        thread_limit=backend.thread_limit,
        resume=options.resume,
        key=fingerprint(options),
    )
    provenance |= learnt.provenance
    if aligned != placed:
        rows, cols = (before - after for before, after in zip(placed, aligned))
        provenance["shift"] = f"{rows:+.2f} rows, {cols:+.2f} columns: corrected"
    fuse(scene, engine, outputs, stats, provenance, run, progress, notify)
    return PansharpenResult(scene, provenance)


# --- outputs ---------------------------------------------------------------------------------------------------------


def check_outputs(scene: Scene, out, options: PansharpenOptions) -> None:
    """Raises ConfigError if the options or the names of the output files are not valid for the scene."""
    for path in filter(None, (out, options.uncertainty)):
        if Path(path).suffix.lower() in OTHER_FORMATS:
            raise ConfigError(f"the output is a GeoTIFF, and the name {path} means another format: use the ending .tif")
    if options.method not in ALL:
        raise ConfigError(f"unknown method {options.method!r}; the methods are {', '.join(ALL)}")
    seconds_of(options.adapt)  # raises ConfigError if it is invalid
    if options.uncertainty:
        check_uncertainty(out, options)
    check_files(out, options, files_read(scene.files))


def check_files(out, options: PansharpenOptions, inputs: Iterable[str | Path]) -> None:
    """Raises ConfigError if a file that the run writes or removes is one of the inputs, or is no regular file."""
    files = [Output(Path(path), PixelType()) for path in (out, options.uncertainty) if path]
    beside = [path for file in files for path in file.beside]
    check_targets(*(file.path for file in files), inputs=inputs, beside=beside)


def check_uncertainty(out, options: PansharpenOptions) -> None:
    if options.method != NETWORK:
        raise ConfigError(f"--uncertainty needs --method {NETWORK}; {LABELS[options.method]} is deterministic")
    if options.samples == 1:
        raise ConfigError("an uncertainty needs at least 2 samples, not 1: raise --samples or leave it out")
    if Path(options.uncertainty).resolve() == Path(out).resolve():
        raise ConfigError(f"image and uncertainty cannot share the file {out}: choose another file for one of them")


def open_outputs(scene: Scene, out, options: PansharpenOptions, notify: Notify) -> list[Output]:
    """Returns the outputs of the run: the image and, if requested, its uncertainty."""
    kinds = {"dtype": options.dtype, "nodata": options.nodata, "format": options.format, "options": options.options}
    output = output_for(scene, out, **kinds)
    for note in (*ignored_options(output), *clipping(scene, output)):
        notify(note)
    return [output, spread_output(output, options.uncertainty)] if options.uncertainty else [output]


def clipping(scene: Scene, output: Output) -> list[Notice]:
    """Returns a notice if the output's data type cannot hold all values of MS's."""
    target, source = output.dtype, np.result_type(*(band.dtype for band in scene.ms))
    if target.kind == "f" or np.can_cast(source, target):
        return []
    limits = np.iinfo(target)
    values = {"minimum": int(limits.min), "maximum": int(limits.max)}
    return [notice("values_clipped", source=str(source), target=str(target), **values)]


# --- weights and engine ----------------------------------------------------------------------------------------------


def find_weights(
    scene: Scene, sensor: sensors.Sensor, options: PansharpenOptions, fetch: Fetch, notify: Notify
) -> Path | None:
    """Returns the weights file, downloaded if needed; None if the method has no weights."""
    if options.method != NETWORK:
        return None
    return catalogue.find(options.weights, sensor.id, len(scene.ms), scene.placement.ratio, fetch, notify)


def align_mode(path: Path | None, mode: str, notify: Notify) -> str:
    """Returns how to treat shifts: weights adapted to aligned scenes need aligned scenes unless --align is none."""
    if path and mode == "warn" and read_card(path).training.get("align") == "auto":
        notify(notice("align_as_adapted"))
        return "auto"
    return mode


def open_engine(
    scene: Scene,
    sensor: sensors.Sensor,
    path: Path | None,
    options: PansharpenOptions,
    notify: Notify,
    backend,
    seen: tuple[tuple[int, ...], ...] = (),
) -> tuple[object, dict, dict[str, str]]:
    """Returns the engine, the arguments of the pass over the scene that it needs (empty: none), and the provenance.

    seen: the groups of bands that the weights see (see `groups_for`).
    """
    ratio = scene.placement.ratio
    pan, *ms = scene.files
    provenance = {
        "version": __version__,
        "method": options.method,
        "sensor": sensor.id,
        "pan": pan,
        "ms": ", ".join(ms),
    }
    if options.method != NETWORK:
        engine = backend.classical(options.method, ratio, notify)
        survey = {} if options.method in UNFITTED else survey_of(options.method, sensor, ratio)
        return engine, survey, provenance
    card = read_card(path)
    sampling = sampling_for(options, card, notify)
    engine = backend.network(path, seen, sampling, notify)
    provenance |= {"weights": card.id, "weights_sha256": sha256_of(path), "steps": sampling.steps}
    provenance |= {"seed": sampling.seed, "samples": sampling.samples}
    if card.base == "lms" and card.scale not in (SCENE, MOMENTS) and not card.arch.views:
        return engine, {}, provenance  # such weights need no statistics of the scene
    details = {"kernel": card.interpolation, "views": card.arch.views, "groups": seen}
    return engine, survey_of(card.base, sensor, ratio) | details, provenance


def sampling_for(options: PansharpenOptions, card: Card, notify: Notify) -> SamplingOptions:
    """Returns the options of sampling: by default those of the weights; an uncertainty needs several samples."""
    steps = card.steps if options.steps is None else options.steps
    default = max(UNCERTAINTY_SAMPLES, card.samples) if options.uncertainty else card.samples
    samples = default if options.samples is None else options.samples
    if options.uncertainty:
        work = samples * steps / (card.samples * card.steps)
        notify(notice("sampling_for_uncertainty", samples=samples, steps=steps, work=work))
    values = {item.name: getattr(options, item.name) for item in fields(SamplingOptions)}
    return SamplingOptions(**values | {"steps": steps, "samples": samples})


def survey_of(method: str, sensor: sensors.Sensor, ratio: float) -> dict:
    """Returns the arguments of the pass over the scene that fits a method (see classical.scene_statistics.Survey)."""
    return {"method": method, "mtf": sensor.mtf, "ratio": ratio, "pan_mtf": sensor.pan_mtf}


def groups_for(
    scene: Scene, sensor: sensors.Sensor, card: Card, options: PansharpenOptions, notify: Notify
) -> tuple[tuple[int, ...], ...]:
    """Returns the bands that the weights see, in their order; only general weights take another number of bands."""
    if len(scene.ms) != len(card.bands) and card.sensor != sensors.GENERAL:
        return ()
    return band_groups(scene, sensor, card, bool(options.bands), notify)


def announcing_duration(report: Callable[[float], None], notify: Notify, method: str) -> Callable[[float], None]:
    """Returns the report function, extended to announce the duration of a long run once it can be predicted.

    If this run resumes an interrupted one, the first share reported is that of the interrupted run.
    """
    start: list[tuple[float, float]] = []
    announced = [False]

    def reported(share: float) -> None:
        now = time.monotonic()
        if not start:
            start.append((now, share))
        elapsed, gained = now - start[0][0], share - start[0][1]
        if not announced[0] and elapsed > MEASURED_FOR and gained > 0 and share < 1:
            announced[0] = True
            total = elapsed * (1 - start[0][1]) / gained
            if total > LONG_RUN:
                kind = "long_run_network" if method == NETWORK else "long_run"
                notify(notice(kind, duration=duration(total)))
        report(share)

    return reported
