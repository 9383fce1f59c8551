"""What workers do: fuse a scene, adapt weights to scenes. What is fused together by all workers is in `parts`."""

from __future__ import annotations

import contextlib
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from .. import __version__
from ..classical.parallel import release_memory
from ..common.errors import ConfigError, OutputInUseError, SSDiffError
from ..common.failures import debugging, failure_of, traceback_of
from ..common.notices import notice
from ..deliveries import Pair, delivery_pair
from ..domain.options import AdaptOptions, AssessOptions, PansharpenOptions
from ..weights import catalogue
from . import shared_weights
from .items import complete, item_of
from .job import ArchiveRun, Outcome, SceneJob
from .pulse import Pulse
from .storage import Storage

ESTIMATES = "estimate"
"beginning of the kinds of notices that are of no interest afterwards"
WAIT_SECONDS = 1.0
"time until a worker looks again whether another one has left an output"
MAXIMUM_WAIT = 120.0
"seconds that a worker waits for that"
SAMPLE_MEGAPIXELS = 4.0
"megapixels of a scene that are measured if there is no report"
MEASURES = "HQNR", "D_rho"
"measures of each scene"


def fuse_scene(job: SceneJob, run: ArchiveRun) -> Outcome:
    """Fuses a scene into the archive; a failure is an outcome too, not an exception."""
    from distributed import get_worker

    worker = get_worker()
    try:
        with Pulse(worker, run.topic, job.name) as pulse:
            if run.version != __version__:
                raise ConfigError(f"the worker has SSDiff {__version__}, and this run is of {run.version}")
            return Outcome(job.name, worker.address, _fused_once(job, run, worker, pulse))
    except Exception as error:
        if debugging():
            print(traceback_of(error), file=sys.stderr)
        return Outcome(job.name, worker.address, reason=failure_of(error, job.delivery.pan[:1]).sentence)
    finally:
        release_memory()


def _fused_once(job: SceneJob, run: ArchiveRun, worker, pulse: Pulse) -> dict:
    """Returns the item of a scene; waits while another worker, of an earlier attempt or run, still fuses it."""
    storage, started = Storage(run.root), time.monotonic()
    while True:
        item = complete(job, storage)
        if item:
            return item
        try:
            return _fused(job, run, storage, worker, pulse)
        except OutputInUseError:
            if time.monotonic() - started > MAXIMUM_WAIT:
                raise
            pulse.beat()
            time.sleep(WAIT_SECONDS)


def _fused(job: SceneJob, run: ArchiveRun, storage: Storage, worker, pulse: Pulse) -> dict:
    """Fuses a scene, measures it, and writes its item last."""
    from ..workflows.pansharpen import pansharpen

    started, notices = time.monotonic(), []
    pair = delivery_pair(job.delivery, run.sources(job.name))
    with storage.working_folder(job.out, worker.local_directory) as folder:
        out = folder / Path(job.out).name
        options = _options(job, run, pair, worker, folder)
        reporter = partial(_reporter, pulse)
        with _backend(job, run, pulse) as backend:
            result = pansharpen(pair.pan, pair.ms, out, options, notices.append, reporter, backend)
        page = folder / Path(job.beside(".html")).name if run.report else None
        quality = _quality(out, pair, run, page, notices.append, pulse)
        record = {
            "method": options.method,
            "weights": result.provenance.get("weights", ""),
            "seconds": round(time.monotonic() - started, 2),
            "quality": quality,
            "notices": list(dict.fromkeys(str(each) for each in notices if not each.kind.startswith(ESTIMATES))),
        }
        uncertainty = Path(options.uncertainty) if run.uncertainty else None
        files = {"fused": out, "uncertainty": uncertainty, "report": page}
        item = item_of(job, result.scene.grid, result.provenance, files, record)
    storage.write_json(job.item, item)
    storage.remove(job.parts)
    return item


def _reporter(pulse: Pulse, pixels: int) -> Callable[[float], None]:
    """Returns the progress of a step: of fusing, which has pixels, or of another one, which only shows life."""
    return pulse.report if pixels else lambda share: pulse.beat()


def _options(job: SceneJob, run: ArchiveRun, pair: Pair, worker, folder: Path) -> PansharpenOptions:
    """Returns the options of the scene on this worker."""
    from ..raster import polygon_mask
    from ..raster.reader import read_header

    options = replace(run.options, resume=True)
    if options.sensor == "auto":
        options = replace(options, sensor=pair.sensor)
    if job.weights:
        options = replace(options, weights=str(shared_weights.weights_file(job.weights, worker)))
    if run.mask:
        options = replace(options, mask=polygon_mask.read(run.mask, read_header(pair.pan)[1].crs))
    if run.uncertainty:
        options = replace(options, uncertainty=str(folder / Path(job.beside("_uncertainty.tif")).name))
    return options


@contextlib.contextmanager
def _backend(job: SceneJob, run: ArchiveRun, pulse: Pulse) -> Iterator:
    """Yields the backend of a scene: large scenes are computed by all workers."""
    from distributed import worker_client

    from .spread_backend import SpreadBackend
    from .task_backend import TaskBackend

    if not job.large:
        yield TaskBackend(run.processors)
        return
    with worker_client() as client:
        backend = SpreadBackend(client, job, run, pulse)
        try:
            yield backend
        finally:
            shared_weights.withdraw(client, backend.published)


def _quality(out: Path, pair: Pair, run: ArchiveRun, page: Path | None, notify, pulse: Pulse) -> dict[str, float]:
    """Returns the measures of the image, and writes the report to `page`, if any; {} if it cannot be measured."""
    from ..assessment import html_report, measure
    from ..workflows import assess

    given = run.options
    options = AssessOptions(
        sensor=given.sensor, bands=given.bands, extent=given.extent, align=given.align, memory=given.memory
    )
    try:
        (study,) = assess.open_studies([out], pair.pan, pair.ms, None, options, lambda message: None)
        with contextlib.closing(study):
            if page:
                done = html_report.assess_and_report(study, options, page, lambda share: pulse.beat())
                values = done["results"][0]["measures"]
            else:
                sampled = replace(options, sample=SAMPLE_MEGAPIXELS)
                values = measure.measure(study, sampled, lambda share: pulse.beat())[0].values
    except SSDiffError as error:
        notify(notice("not_measured", reason=str(error)))
        return {}
    return {name: round(float(values[name]), 5) for name in MEASURES if _is_number(values.get(name))}


def _is_number(value) -> bool:
    return value is not None and math.isfinite(value)


# --- adapting to the archive ------------------------------------------------------------------------------------------


def adapt_to_scenes(jobs: Sequence[SceneJob], run: ArchiveRun, name: str, seconds: float) -> tuple[bytes, str]:
    """Returns weights that are adapted to scenes of one sensor, b"" if they are not better, and what was found.

    The weights to start from are those of the scenes. seconds: 0 for the time that the weights take by default.
    """
    from distributed import get_worker

    from ..workflows.adapt import adapt
    from .task_backend import TaskBackend

    worker, notices = get_worker(), []
    with Pulse(worker, run.topic, name) as pulse, tempfile.TemporaryDirectory(dir=worker.local_directory) as folder:
        pairs = [delivery_pair(job.delivery, run.sources(job.name)) for job in jobs]
        options = AdaptOptions(
            id=name,
            base=str(shared_weights.weights_file(jobs[0].weights, worker)),
            minutes=seconds / 60,
            sensor=jobs[0].sensor,
            bands=run.options.bands,
            nodata_in=run.options.nodata_in,
            align="none" if run.options.align == "none" else "auto",
            device=run.options.device,
            memory=run.options.memory,
        )
        out, backend = Path(folder, f"{name}{catalogue.SUFFIX}"), TaskBackend(run.processors)
        files, reporter = [(pair.pan, pair.ms) for pair in pairs], partial(_reporter, pulse)
        try:
            result = adapt(files, out, options, notices.append, reporter, backend)
        except SSDiffError as error:  # the scenes may be too small
            return b"", str(error)
        return result.path.read_bytes() if result.path else b"", str(notices[-1])
