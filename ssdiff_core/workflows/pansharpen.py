"""Pansharpening of files: from PAN and MS rasters and the options of a run to one fused raster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np

from .. import __version__
from ..classical.scene_statistics import Survey
from ..common.errors import ConfigError
from ..common.files import check_targets
from ..common.fingerprints import sha256_of
from ..common.notices import Notice, Notify, notice
from ..domain import sensors
from ..domain.block import SceneStats
from ..domain.methods import ALL, LABELS, NETWORK, UNFITTED
from ..domain.options import UNCERTAINTY_SAMPLES, PansharpenOptions, SamplingOptions, fingerprint
from ..domain.pixel_type import PixelType
from ..domain.scene import Scene
from ..raster.input_files import files_read
from ..raster.open_pair import align_pair, check_related, open_pair
from ..raster.output import OTHER_FORMATS, Output, ignored_options, output_for, spread_output
from ..raster.polygon_mask import cut_out
from ..weights import catalogue
from ..weights.card import MOMENTS, SCENE, Card, read_card
from ..weights.catalogue import Fetch
from . import interrupted_runs
from .band_order import as_weights_see, groups_for, with_names
from .block_writer import BlockRun, check_start, fuse
from .estimate import ADAPTING, Run, adaptation, estimate_run, record_run
from .scene_learning import SceneWeights, correlation_of, scene_statistics, scene_weights, seconds_of, shift_of
from .speeds import CPU, Device, remember_device
from .weights_ratio import at_ratio

FUSING, DOWNLOADING = "fusing", "downloading"
"parts of a run whose time is measured"


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
    interrupted_runs.remove_old(notify)
    watch, held, resumed = Stopwatch(), [], []
    fetch = partial(watch.timed, DOWNLOADING, fetch or catalogue.fetcher(progress=reporter(0), notify=notify))
    try:
        opened = _open(pan, ms, out, options, fetch, held.append, notify, backend)
        ahead = adaptation(opened.run, opened.seen)
        for line in estimate_run(opened.run, ahead).notices:
            notify(line)
    finally:
        for message in held:
            notify(message)
    scene, sensor, path, seen = opened.run.scene, opened.run.sensor, opened.run.path, opened.seen
    learnt = SceneWeights(path, {})
    if path:
        ordered = as_weights_see(scene, sensor, seen)
        learnt = watch.timed(ADAPTING.name, scene_weights, *ordered, path, options, backend, reporter, notify)
        if len(read_card(learnt.path).bands) != len(read_card(path).bands):
            seen = ()  # adapted weights take the bands of the scene
    open_engine, survey, provenance = planned_engine(scene, sensor, learnt.path, options, notify, backend, seen)
    provenance |= learnt.provenance | opened.provenance
    stats = SceneStats(mtf=sensor.mtf)
    with backend.beside(open_engine) as opening:  # torch is loaded while the scene is read
        if survey:
            stats = watch.timed(FUSING, scene_statistics, scene, survey, options, backend)
        engine = opening()

    def told(message: Notice) -> None:
        resumed.extend([message] * (message.kind == "resumed"))
        notify(message)

    watch.timed(FUSING, _fuse, opened, engine, stats, provenance, backend, reporter, told)
    if not resumed and not scene.mask:  # otherwise the time is that of a part
        adapted = (ahead[0], watch.seconds[ADAPTING.name]) if ahead[0] and learnt.provenance else None
        record_run(opened.run, watch.rest, watch.seconds[FUSING], adapted)
    return PansharpenResult(scene, provenance)


@dataclass(frozen=True)
class Opened:
    """The inputs and outputs of a run, checked."""

    run: Run
    outputs: list[Output]
    seen: tuple[tuple[int, ...], ...]
    "the groups of bands that the weights see; (): MS as it is"
    provenance: dict[str, str]
    "entry on the corrected shift for the metadata of the output"


def _open(pan, ms, out, options, fetch: Fetch, held: Notify, notify: Notify, backend) -> Opened:
    """Opens and checks everything that a run needs. held: receives notices that are shown after the estimate."""
    scene, sensor = open_pair(pan, ms, options, held)
    check_outputs(scene, out, options)
    for message in scene.notices:
        held(message)
    if options.mask:
        scene = cut_out(scene, options.mask)
    path = find_weights(scene, sensor, options, fetch, notify)
    check_files(out, options, [path] if path else [])
    placed = scene.placement.at
    scene = align_pair(scene, align_mode(path, options.align, held), held, shift_of)
    if options.align != "none":
        check_related(scene, held, correlation_of)
    scene = with_names(scene, sensor)
    outputs = open_outputs(scene, out, options, held)
    check_start(scene, outputs, options.resume)
    provenance, seen = {}, ()
    if scene.placement.at != placed:
        rows, cols = (before - after for before, after in zip(placed, scene.placement.at))
        provenance["shift"] = f"{rows:+.2f} rows, {cols:+.2f} columns: corrected"
    if path:
        card = read_card(path)
        scene, sensor = at_ratio(scene, sensor, card.ratio, held)
        seen = groups_for(scene, sensor, card, options, held)
    device = Device(*backend.device(options.device if path else CPU))
    if path:
        remember_device(options.device, device)
    return Opened(Run(scene, sensor, options, device, path), outputs, seen, provenance)


def _fuse(opened: Opened, engine, stats: SceneStats, provenance, backend, reporter, notify: Notify) -> None:
    """Fuses the scene into the outputs."""
    scene, options, workers = opened.run.scene, opened.run.options, backend.workers(engine)
    run = BlockRun(
        options.memory,
        workers=workers,
        thread_limit=backend.thread_limit,
        resume=options.resume,
        key=fingerprint(options),
    )
    fuse(scene, engine, opened.outputs, stats, provenance, run, reporter(opened.run.pixels), notify)


class Stopwatch:
    """The seconds that parts of a run take."""

    def __init__(self):
        self.started, self.seconds = time.monotonic(), {}

    def timed(self, part: str, function: Callable, *arguments):
        """Returns the result of the function, and adds the seconds that it takes to those of the part."""
        started = time.monotonic()
        result = function(*arguments)
        self.seconds[part] = self.seconds.get(part, 0.0) + time.monotonic() - started
        return result

    @property
    def rest(self) -> float:
        """Seconds that belong to no part."""
        return time.monotonic() - self.started - sum(self.seconds.values())


# --- outputs ---------------------------------------------------------------------------------------------------------


def check_outputs(scene: Scene, out, options: PansharpenOptions) -> None:
    """Raises ConfigError if the options or the names of the output files are not valid for the scene."""
    for path in filter(None, (out, options.uncertainty)):
        if Path(path).suffix.lower() in OTHER_FORMATS:
            raise ConfigError(notice("not_geotiff", path=str(path)))
    if options.method not in ALL:
        raise ConfigError(notice("unknown_method", method=options.method, known=ALL))
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
        raise ConfigError(notice("uncertainty_needs_network", network=NETWORK, method=LABELS[options.method]))
    if options.samples == 1:
        raise ConfigError(notice("samples_few"))
    if Path(options.uncertainty).resolve() == Path(out).resolve():
        raise ConfigError(notice("same_output", path=str(out)))


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


def planned_engine(
    scene: Scene,
    sensor: sensors.Sensor,
    path: Path | None,
    options: PansharpenOptions,
    notify: Notify,
    backend,
    seen: tuple[tuple[int, ...], ...] = (),
) -> tuple[Callable[[], object], Survey | None, dict[str, str]]:
    """Returns a function that opens the engine, the pass over the scene that it needs, if any, and the provenance.

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
        survey = None if options.method in UNFITTED else survey_of(options.method, sensor, ratio)
        return partial(backend.classical, options.method, ratio, notify), survey, provenance
    card = read_card(path)
    sampling = sampling_for(options, card, notify)
    open_engine = partial(backend.network, path, seen, sampling, notify)
    provenance |= {"weights": card.id, "weights_sha256": sha256_of(path), "steps": sampling.steps}
    provenance |= {"seed": sampling.seed, "samples": sampling.samples}
    if card.base == "lms" and card.scale not in (SCENE, MOMENTS) and not card.arch.views:
        return open_engine, None, provenance  # such weights need no statistics of the scene
    details = {"kernel": card.interpolation, "views": card.arch.views, "groups": seen}
    return open_engine, survey_of(card.base, sensor, ratio, **details), provenance


def sampling_for(options: PansharpenOptions, card: Card, notify: Notify) -> SamplingOptions:
    """Returns the options of sampling: by default those of the weights; an uncertainty needs several samples."""
    steps = card.steps if options.steps is None else options.steps
    default = max(UNCERTAINTY_SAMPLES, card.samples) if options.uncertainty else card.samples
    samples = default if options.samples is None else options.samples
    if options.uncertainty:
        work = samples * steps / (card.samples * card.steps)
        notify(notice("sampling_for_uncertainty", samples=samples, steps=steps, work=work))
    else:
        notify(notice("sampling", weights=card.id, samples=samples, steps=steps))
    values = {item.name: getattr(options, item.name) for item in fields(SamplingOptions)}
    return SamplingOptions(**values | {"steps": steps, "samples": samples})


def survey_of(method: str, sensor: sensors.Sensor, ratio: float, **details) -> Survey:
    """Returns the pass over the scene that fits a method. details: further fields of Survey."""
    return Survey(method, sensor.mtf, ratio, pan_mtf=sensor.pan_mtf, **details)
