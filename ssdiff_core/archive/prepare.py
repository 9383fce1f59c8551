"""Opens the scenes of deliveries, without reading pixels, and makes their jobs."""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ..common.errors import ConfigError, SSDiffError
from ..common.failures import failure_of
from ..common.fingerprints import sha256_of
from ..common.notices import Notify
from ..deliveries import Delivery, delivery_pair
from ..domain.methods import NETWORK
from ..domain.options import PansharpenOptions, fingerprint
from ..raster.input_files import files_read
from ..raster.open_pair import open_pair
from ..weights import catalogue
from ..weights.card import read_card
from ..weights.catalogue import Fetch
from .job import ArchiveRun, Outcome, SceneJob
from .storage import state

SOURCES = "/vsimem/ssdiff-archive-plan"
"folder of virtual rasters of deliveries: a plan writes no files"
PATTERN = "{scene}.tif"
"names of fused images by default"
FIELDS = ("scene", "sensor", "method")
"what a pattern may contain in braces"
LARGE = 100.0
"megapixels from which many workers fuse a scene together, by default"


@dataclass(frozen=True)
class Prepared:
    """The scenes of an archive."""

    jobs: tuple[SceneJob, ...]
    refused: tuple[Outcome, ...]
    "deliveries that cannot be fused"
    weights: dict[str, Path]
    "files of the weights by their SHA-256"


def prepare(
    deliveries: Sequence[Delivery], run: ArchiveRun, pattern: str, large: float, fetch: Fetch, notify: Notify
) -> Prepared:
    """Returns the jobs of deliveries. pattern: of file names. large: megapixels of scenes that many workers fuse."""
    jobs, refused, weights = [], [], {}
    weights_for = functools.cache(functools.partial(_weights_for, run.options, fetch, notify))
    for name, delivery in zip(unique([safe(delivery.name) for delivery in deliveries]), deliveries):
        job = SceneJob(name, delivery, "", 0, delivery.sensor or "")
        try:
            job, path = _opened(job, run, weights_for)
        except (SSDiffError, RuntimeError, OSError) as error:
            refused.append(Outcome(name, "", reason=failure_of(error, delivery.pan[:1]).sentence))
            continue
        if path:
            weights[job.weights] = path
        out = file_name(pattern, job, run)
        jobs.append(replace(job, out=out, large=job.pixels >= large * 1e6))
    _check_distinct(jobs)
    return Prepared(tuple(with_key(job, run) for job in jobs), tuple(refused), weights)


def _weights_for(
    options: PansharpenOptions, fetch: Fetch, notify: Notify, sensor: str, bands: int, ratio: float
) -> tuple[Path, str, str]:
    """Returns the weights file for scenes of a sensor, its SHA-256 and its id. It reads all weights to compare them."""
    path = catalogue.find(options.weights, sensor, bands, ratio, fetch, notify)
    return path, sha256_of(path), read_card(path).id


def _opened(job: SceneJob, run: ArchiveRun, weights_for: Callable) -> tuple[SceneJob, Path | None]:
    """Returns the job with what the headers of the files tell, and its weights file."""
    pair, options = delivery_pair(job.delivery, f"{SOURCES}/{job.name}"), run.options
    if options.sensor == "auto":
        options = replace(options, sensor=pair.sensor)
    scene, sensor = open_pair(pair.pan, pair.ms, options, lambda message: None)
    path, found = None, {}
    if options.method == NETWORK:
        path, digest, weights_id = weights_for(sensor.id, len(scene.ms), scene.placement.ratio)
        found = {"weights": digest, "weights_id": weights_id}
    pixels = scene.window.height * scene.window.width
    return replace(
        job, pixels=pixels, sensor=sensor.id, bands=sensor.bands, wavelengths=sensor.wavelengths, **found
    ), path


def with_key(job: SceneJob, run: ArchiveRun) -> SceneJob:
    """Returns the job with the digest of all that its files depend on."""
    files = [(path, state(path)) for path in files_read([*job.delivery.files, *filter(None, [run.mask])])]
    options = sorted(fingerprint(run.options).items())
    parts = (files, job.delivery, job.out, job.weights, options, run.uncertainty, run.report, run.version)
    return replace(job, key=hashlib.sha256(repr(parts).encode()).hexdigest())


def with_weights(job: SceneJob, weights: str, weights_id: str, run: ArchiveRun) -> SceneJob:
    """Returns the job with other weights."""
    return with_key(replace(job, weights=weights, weights_id=weights_id), run)


def same_kind(jobs: Iterable[SceneJob]) -> list[list[SceneJob]]:
    """Returns the jobs in groups that the same weights can be adapted to."""
    groups: dict[tuple, list[SceneJob]] = {}
    for job in jobs:
        groups.setdefault((job.sensor, job.bands, job.weights), []).append(job)
    return list(groups.values())


# --- names ------------------------------------------------------------------------------------------------------------


def safe(name: str) -> str:
    """Returns a name of letters, digits and ._- that any file system and any URL can hold."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._") or "scene"


def unique(names: Sequence[str]) -> list[str]:
    """Returns the names, with a number appended to those that are taken."""
    found: dict[str, None] = {}
    for name in names:
        numbered = (f"{name}_{number}" for number in itertools.count(2))
        found[next(each for each in itertools.chain([name], numbered) if each not in found)] = None
    return list(found)


def file_name(pattern: str, job: SceneJob, run: ArchiveRun) -> str:
    """Returns the name of a fused image by a pattern."""
    values = {"scene": job.name, "sensor": job.sensor, "method": run.options.method}
    try:
        name = pattern.format(**values)
    except (KeyError, IndexError, ValueError, AttributeError):
        fields = ", ".join(f"{{{field}}}" for field in FIELDS)
        raise ConfigError(f"--name {pattern}: a pattern may contain {fields}") from None
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or path.suffix.lower() not in (".tif", ".tiff"):
        raise ConfigError(f"--name {pattern}: must be a relative name that ends in .tif")
    return str(path)


def _check_distinct(jobs: Sequence[SceneJob]) -> None:
    names = [job.item for job in jobs]
    twice = next((job for job in jobs if names.count(job.item) > 1), None)
    if twice:
        raise ConfigError(f"--name gives several scenes the name {twice.out}: use {{scene}} in it")
