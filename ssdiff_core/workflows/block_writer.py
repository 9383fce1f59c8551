"""Fuses a scene block by block into files; reading, computing and writing run in separate threads.

Finished blocks go into working files (see raster.output), and their numbers into a journal. A working file gets the
name of the output only when it is complete, so a killed run can be resumed and an output is never incomplete.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import operator
import os
import threading
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import astuple, dataclass
from functools import partial, reduce
from pathlib import Path

import numpy as np
from osgeo import gdal

from ..common.fingerprints import size_and_time
from ..common.notices import Notify, notice
from ..common.pipeline import StoppableQueue, Stopped, run_threads
from ..domain.block import Block, SceneStats
from ..domain.block_passes import MEMORY, block_side, blocks_of, reader_threads
from ..domain.exact_sums import Sums
from ..domain.pixel_type import PixelType
from ..domain.scene import Scene
from ..domain.window import Window
from ..raster.output import Output, Working, check_names, check_room, clean_up, finish, make_working_file, write_errors
from ..raster.reader import Reader
from ..raster.tiled_tiff import head, layout_of, put

SumsOfImages = tuple[tuple[Sums, ...], ...]
"the sums of each band of each image"


@dataclass(frozen=True)
class BlockRun:
    """How the blocks of a scene are computed."""

    memory: int = MEMORY
    "MiB that the run may hold"
    side: int | None = None
    "side of the blocks in PAN pixels; None: what the memory allows"
    workers: int = 1
    "blocks that the engine computes at once, each with one thread; 1: one block with all threads"
    thread_limit: Callable[[int], AbstractContextManager] = lambda workers: nullcontext()
    "returns a context in which each of the workers computes with one thread"
    resume: bool = False
    "whether the finished blocks of an interrupted run are used"
    key: object = None
    "value with a stable repr; an interrupted run is only resumed by a run with an equal one"


def fuse(
    scene: Scene,
    engine,
    outputs: Sequence[Output],
    stats: SceneStats,
    provenance: dict[str, str],
    run: BlockRun = BlockRun(),
    progress: Callable[[float], None] = lambda share: None,
    notify: Notify = lambda message: None,
) -> None:
    """Fuses the scene into the first output, and the spread of the engine's samples into the second, if there is one.

    An interrupted run can be resumed. A run that fails raises and leaves no file.
    """
    side = run.side or block_side(run.memory, len(scene.ms) * len(outputs), engine.reach, run.workers)
    gdal.SetCacheMax(max(run.memory // 4, 64) * 2**20)
    blocks = dict(enumerate(blocks_of(scene.window, side)))
    check_names(outputs)
    try:
        with write_errors(outputs[0]):
            work = _begin(scene, outputs, provenance, run, side, len(blocks), notify)
            todo = {i: window for i, window in blocks.items() if i not in work.done}
            _stream(scene, engine, stats, todo, work, run, progress)
            stop, sums = threading.Event(), _total([work.done[i] for i in blocks])
            if not any(band.count for band in sums[0]):
                notify(notice("no_common_pixel", path=str(outputs[0].path)))
            run_threads([lambda: finish(work.files, sums, stop)], stop)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_interrupted(outputs)) from None
    except BaseException:  # errors that are not our own too
        clean_up(outputs)
        raise
    clean_up(outputs)


def _total(blocks: Sequence[SumsOfImages]) -> list[list[Sums]]:
    """Returns the sums over all blocks, of each band of each image."""
    return [[reduce(operator.add, band) for band in zip(*image)] for image in zip(*blocks)]


def _interrupted(outputs: Sequence[Output]) -> str:
    """Returns the message for a user who interrupts; removes the working files if they hold no block."""
    try:
        done = len(outputs[0].journal.read_text(encoding="utf-8").splitlines()) - 1
    except OSError:
        done = 0
    if done > 0:
        return f"interrupted after {done} blocks; the same command with --resume continues from there"
    clean_up(outputs)
    return "interrupted before the first block was finished"


# --- working files and journal ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Work:
    """The working files of a run, and the sums of the finished blocks in them."""

    files: tuple[Working, ...]
    done: dict[int, SumsOfImages]

    @property
    def journal(self) -> Path:
        return self.files[0].output.journal


def _begin(scene: Scene, outputs: Sequence[Output], provenance, run: BlockRun, side: int, blocks: int, notify) -> Work:
    """Returns the work of an interrupted run, if it is to be resumed and fits; otherwise new working files."""
    key = _key(scene, outputs, provenance, (side, run.key))
    if run.resume:
        work = _resumed(outputs, key)
        if work:
            notify(notice("resumed", done=len(work.done), blocks=blocks))
            return work
    if any(output.leftovers for output in outputs):
        notify(notice("leftovers_of_other_run_removed" if run.resume else "leftovers_removed"))
        clean_up(outputs)
    check_room(outputs, scene)
    work = Work(tuple(_working_file(output, scene, provenance) for output in outputs), {})
    begun = [{"final": file.final, "head": head(file.output.working).hex()} for file in work.files]
    work.journal.write_text(sealed({"key": key, "files": begun}), encoding="utf-8")
    return work


def sealed(value: object) -> str:
    """Returns a line of the journal: the value as JSON, and its checksum."""
    text = json.dumps(value)
    return f"{text} {zlib.crc32(text.encode()):08x}\n"


def unsealed(line: str):
    """Returns the value in a line of the journal; raises ValueError if the line is damaged or incomplete."""
    text, _, checksum = line.rstrip("\n").rpartition(" ")
    if checksum != f"{zlib.crc32(text.encode('utf-8', 'replace')):08x}":
        raise ValueError("the line is damaged")
    return json.loads(text)


def _working_file(output: Output, scene: Scene, provenance: dict[str, str]) -> Working:
    with write_errors(output):
        return make_working_file(output, scene, provenance)


def _key(scene: Scene, outputs: Sequence[Output], provenance: dict[str, str], run: object) -> str:
    """Returns the digest of everything that a resumed run must share with the interrupted one."""
    inputs = [(path, size_and_time(path)) for path in sorted(set(scene.files))]
    files = [(output.pixel_type, output.format, output.options) for output in outputs]
    others = [str(output.path.absolute()) for output in outputs[1:]]  # the journal belongs to the first
    parts = (scene, inputs, files, others, run)
    return hashlib.sha256(repr((parts, sorted(provenance.items()))).encode()).hexdigest()


def _resumed(outputs: Sequence[Output], key: str) -> Work | None:
    """Returns the work of an interrupted run with the same key, None if there is none.

    A run killed while it completes its file may leave a TIFF header that points to a half-written directory. The first
    directory is never overwritten, so restoring the first header from the journal restores the file.
    """
    try:
        first, *lines = outputs[0].journal.read_text(encoding="utf-8").split("\n")
        begun = unsealed(first)
        if begun["key"] != key:
            return None
        files = [_restored(output, **file) for output, file in zip(outputs, begun["files"])]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Work(tuple(files), _entries(lines)) if all(file.layout for file in files) else None


def _restored(output: Output, final: bool, head: str) -> Working:
    """Returns a working file of an interrupted run, its header restored."""
    with open(output.working, "r+b") as file:
        file.write(bytes.fromhex(head))
    return Working(output, layout_of(output.working), final)


def _entries(lines: Iterable[str]) -> dict[int, SumsOfImages]:
    """Returns the finished blocks that a journal lists; its last line may be incomplete."""
    done = {}
    for line in lines:
        try:
            number, images = unsealed(line)
            done[number] = tuple(tuple(Sums(*band) for band in bands) for bands in images)
        except (ValueError, TypeError):
            continue
    return done


def _record(images: Sequence, journal, done: dict[int, SumsOfImages], written: list) -> None:
    """Syncs the images to disk, and only then records the written blocks in the journal."""
    for image in images if written else ():
        os.fsync(image.fileno())
    for number, sums in written:
        journal.write(sealed([number, [[astuple(band) for band in bands] for bands in sums]]))
        journal.flush()
        done[number] = sums


# --- threads ---------------------------------------------------------------------------------------------------------


def _in_counts(engine, block: Block, work: Work, progress) -> list[tuple[np.ndarray, tuple[Sums, ...]]]:
    """Returns the fused core in the data type of each file, and the sums of its bands."""
    types = [file.output.pixel_type for file in work.files]
    if block.requested is not None and not block.requested.any():
        return [_empty(block, each) for each in types]
    return engine.fuse_counts(block, types, progress)


def _empty(block: Block, pixel_type: PixelType) -> tuple[np.ndarray, tuple[Sums, ...]]:
    """Returns a block without data, and its sums."""
    return np.full((len(block.ms), *block.core.shape), pixel_type.nodata, pixel_type.dtype), (Sums(),) * len(block.ms)


def _stream(scene, engine, stats, todo: dict[int, Window], work: Work, run: BlockRun, progress) -> None:
    """Reads, writes and records the blocks in one thread each, and computes them in run.workers; adds to work.done."""
    stop = threading.Event()
    fused, written = StoppableQueue(stop), StoppableQueue(stop, size=0)
    total, shares = len(todo) + len(work.done), dict.fromkeys(work.done, 1.0)

    def compute(number: int, window: Window, block: Block) -> None:
        fused.put((number, window, _in_counts(engine, block, work, lambda share: report(number, share))))

    def report(number: int, share: float) -> None:
        if stop.is_set():  # the result would be discarded
            raise Stopped
        shares[number] = min(share, 0.99)

    def writing() -> None:
        for _ in todo:
            number, window, images_of_block = fused.get()
            at = Window(window.row - scene.window.row, window.col - scene.window.col, *window.shape)
            for image, file, (counts, _) in zip(images, work.files, images_of_block):
                with write_errors(file.output):
                    put(image, file.layout, counts, at)
            shares[number] = 1.0
            written.put((number, tuple(sums for _, sums in images_of_block)))

    def recording() -> None:
        with open(work.journal, "a", encoding="utf-8") as journal:
            try:
                while len(work.done) < total:
                    _record(images, journal, work.done, [written.get(), *written.drain()])
            finally:
                _record(images, journal, work.done, written.drain())

    works = reader_threads(partial(Reader, scene, stats), todo, engine, run.workers, compute, stop)
    with contextlib.ExitStack() as opened, run.thread_limit(run.workers):
        images = [opened.enter_context(open(file.output.working, "r+b", buffering=0)) for file in work.files]
        run_threads([*works, writing, recording], stop, lambda: progress(sum(list(shares.values())) / total))
    progress(1.0)
