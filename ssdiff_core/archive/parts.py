"""Parts of a large scene: groups of blocks that one worker surveys or fuses, and the files that hold fused ones.

A part file is a line of JSON, then the pixels of its blocks. It is named by the digest of all that its pixels depend
on, so what an earlier attempt has fused is used again.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, field, replace
from functools import partial

import numpy as np

from .. import __version__
from ..classical.parallel import processors
from ..classical.scene_statistics import Survey
from ..classical.scene_sums import Histogram, SceneSums
from ..common.errors import RasterError
from ..common.pipeline import run_threads
from ..deliveries import delivery_pair
from ..domain.block import SceneStats
from ..domain.block_passes import reader_threads
from ..domain.exact_sums import Sums
from ..domain.options import SamplingOptions
from ..domain.pixel_type import PixelType
from ..domain.scene import Scene
from ..domain.window import Window
from ..raster.reader import Reader, limit_cache
from ..workflows.block_writer import FusedImage, in_counts
from . import shared_weights
from .job import ArchiveRun, SceneJob
from .pulse import Pulse
from .storage import Storage
from .task_backend import TaskBackend

PART_PIXELS = 4_000_000
"pixels of a part, about: seconds of work, and megabytes to hand over"


@dataclass(frozen=True)
class EngineSpec:
    """What an engine is made of: a classical method, or weights."""

    method: str = ""
    ratio: float = 4.0
    weights: str = ""
    "SHA-256"
    groups: tuple[tuple[int, ...], ...] = ()
    sampling: SamplingOptions = field(default_factory=SamplingOptions)


@dataclass(frozen=True)
class Part:
    """A group of blocks of a scene."""

    name: str
    "SCENE#PART, unique in the archive"
    scene: Scene
    stats: SceneStats = field(default_factory=SceneStats)
    engine: EngineSpec = EngineSpec()
    types: tuple[PixelType, ...] = ()
    "data types of the image and, if there is one, of its uncertainty"
    windows: tuple[tuple[int, Window], ...] = ()
    "numbers and windows of the blocks"

    def file(self, job: SceneJob) -> str:
        """Returns the name of its file within the archive."""
        return f"{job.parts}/{self.name.rpartition('#')[2]}"


def groups_of(blocks: dict[int, Window]) -> list[tuple[tuple[int, Window], ...]]:
    """Returns consecutive blocks in groups of about PART_PIXELS.

    The group of a block follows from its number, so that it stays the same when other blocks are done already.
    """
    largest = max((window.height * window.width for window in blocks.values()), default=1)
    size = max(PART_PIXELS // largest, 1)
    groups: dict[int, list[tuple[int, Window]]] = {}
    for number, window in blocks.items():
        groups.setdefault(number // size, []).append((number, window))
    return [tuple(group) for group in groups.values()]


def part_name(part: Part) -> str:
    """Returns a name that differs if the pixels of the part can differ."""
    return hashlib.sha256(repr((__version__, replace(part, name=""))).encode()).hexdigest()[:32]


# --- tasks of the workers ---------------------------------------------------------------------------------------------


def gather_part(part: Part, job: SceneJob, run: ArchiveRun, survey: Survey) -> list[SceneSums]:
    """Returns the sums of each block; histograms, which add up exactly, all in the first."""
    with _computing(part, job, run) as pulse:
        sums = _of_blocks(part, survey, run.processors, lambda number, block: survey.gather(block), pulse)
    first, none = [sums[number] for number, _ in part.windows], Histogram.of(np.zeros(0))
    values = tuple(functools.reduce(Histogram.__add__, band) for band in zip(*(each.values for each in first)))
    rest = [replace(each, values=(none,) * len(values)) for each in first]
    return [replace(rest[0], values=values), *rest[1:]]


def fuse_part(part: Part, job: SceneJob, run: ArchiveRun) -> None:
    """Writes the file of a part, unless it is complete already."""
    storage = Storage(run.root)
    if _is_whole(storage.read(part.file(job))):
        return
    with _computing(part, job, run) as pulse:
        engine = _engine(part.engine, run.processors, pulse.worker)
        images = _of_blocks(part, engine, run.processors, lambda _, block: in_counts(engine, block, part.types), pulse)
        in_order = [images[number] for number, _ in part.windows]
        pixels = b"".join(counts.tobytes() for block in in_order for counts, _ in block)
        sums = [[[astuple(band) for band in bands] for _, bands in block] for block in in_order]
        header = json.dumps({"crc": zlib.crc32(pixels), "sums": sums}).encode()
        storage.write(part.file(job), header + b"\n" + pixels)


def images_of(part: Part, job: SceneJob, storage: Storage) -> Iterator[tuple[int, list[FusedImage]]]:
    """Yields the blocks of a part from its file."""
    content = storage.read(part.file(job))
    if not _is_whole(content):
        raise RasterError(f"{storage.path(part.file(job))} is missing or damaged: another program has changed it")
    start = content.index(b"\n") + 1
    sums = json.loads(content[:start])["sums"]
    for (number, window), of_block in zip(part.windows, sums):
        images = []
        for pixel_type, of_image in zip(part.types, of_block):
            shape = len(part.scene.ms), window.height, window.width
            counts = np.frombuffer(content, pixel_type.dtype, int(np.prod(shape)), start).reshape(shape)
            start += counts.nbytes
            images.append((counts, tuple(Sums(*band) for band in of_image)))
        yield number, images


def _is_whole(content: bytes | None) -> bool:
    """Returns whether a part file is complete."""
    content = content or b""
    start = content.find(b"\n") + 1
    try:
        return json.loads(content[:start])["crc"] == zlib.crc32(memoryview(content)[start:])
    except (ValueError, KeyError, TypeError):
        return False


@contextlib.contextmanager
def _computing(part: Part, job: SceneJob, run: ArchiveRun) -> Iterator[Pulse]:
    """Yields the pulse of a part; makes the virtual rasters of the delivery, which may exist in this process only."""
    from distributed import get_worker

    with Pulse(get_worker(), run.topic, part.name) as pulse:
        delivery_pair(job.delivery, run.sources(job.name))
        limit_cache(run.options.memory)
        yield pulse


def _of_blocks(part: Part, engine, workers: int, compute: Callable, pulse: Pulse) -> dict[int, object]:
    """Returns what `compute` returns for the number and the content of each block. engine: defines the margins."""
    stop, done = threading.Event(), {}

    def use(number: int, window: Window, block) -> None:
        done[number] = compute(number, block)
        pulse.report(len(done) / len(part.windows))

    reader = partial(Reader, part.scene, part.stats)
    with processors(workers):
        run_threads(reader_threads(reader, dict(part.windows), engine, workers, use, stop), stop)
    return done


@functools.lru_cache(maxsize=1)
def _engine(spec: EngineSpec, workers: int, worker):
    """Returns the engine; that of the last part is used again."""
    backend = TaskBackend(workers)
    if not spec.weights:
        return backend.classical(spec.method, spec.ratio, _ignore)
    return backend.network(shared_weights.weights_file(spec.weights, worker), spec.groups, spec.sampling, _ignore)


def _ignore(message) -> None:
    """Drops a notice: the task of the scene reports the same one."""
