"""Fuses a scene block by block into files; reading, computing and writing run in separate threads.

Finished blocks go into working files (see raster.output), and their numbers into a journal (see workflows.journal). A
working file gets the name of the output only when it is complete, so a killed run can be resumed and an output is never
incomplete.
"""

from __future__ import annotations

import contextlib
import hashlib
import operator
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial, reduce

import numpy as np

from ..common.errors import Cancelled
from ..common.files import open_own
from ..common.fingerprints import states_of
from ..common.notices import Notice, Notify, notice
from ..common.pipeline import StoppableQueue, Stopped, run_threads
from ..domain.block import Block, SceneStats
from ..domain.block_passes import MEMORY, block_side, blocks_of, reader_threads
from ..domain.exact_sums import Sums
from ..domain.pixel_type import PixelType
from ..domain.scene import Scene
from ..domain.window import Window
from ..raster.input_files import files_read
from ..raster.output import Output, Working, check_names, check_room, clean_up, finish, make_working_file, write_errors
from ..raster.reader import Reader, limit_cache
from ..raster.tiled_tiff import head, layout_of, put
from . import interrupted_runs
from .journal import Journal, SumsOfImages, claimed

EXACT = 1 << 24
"largest count up to which engines, which compute in float32, represent every whole number"
FusedImage = tuple[np.ndarray, tuple[Sums, ...]]
"a fused block in the data type of its file, and the sums of its bands"


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

    An interrupted run can be resumed, and so can a cancelled one if `run.resume` is set. A run that fails raises and
    leaves no file. An engine with a method `fused_blocks` reads and fuses the blocks elsewhere (see
    archive.spread_backend): this process only writes them.
    """
    side = run.side or block_side(run.memory, len(scene.ms) * len(outputs), engine.reach, run.workers)
    limit_cache(run.memory)
    blocks = dict(enumerate(blocks_of(scene.window, side)))
    check_names(outputs)
    with claimed(outputs) as journals:
        try:
            with write_errors(outputs[0]):
                work = _begin(scene, journals, provenance, run, side, len(blocks), notify)
                todo = {i: window for i, window in blocks.items() if i not in work.done}
                _stream(scene, engine, stats, todo, work, run, progress)
                stop, sums = threading.Event(), _total([work.done[i] for i in blocks])
                for message in _losses(outputs[0], scene.window, sums[0]):
                    notify(message)
                run_threads([lambda: finish(work.files, sums, stop)], stop)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(_interrupted(journals)) from None
        except Cancelled:
            _end_cancelled(journals, run, len(blocks), notify)
            raise
        except BaseException:  # errors that are not our own too
            _clean_up(journals)
            raise
        _clean_up(journals)


def check_start(scene: Scene, outputs: Sequence[Output], resume: bool) -> None:
    """Raises an error if a run would fail at its start, so that nothing is computed before it."""
    check_names(outputs)
    with claimed(outputs) as journals:
        if not (resume and journals[0].used):
            check_room(outputs, scene)


def _total(blocks: Sequence[SumsOfImages]) -> list[list[Sums]]:
    """Returns the sums over all blocks, of each band of each image."""
    return [[reduce(operator.add, band) for band in zip(*image)] for image in zip(*blocks)]


def _losses(output: Output, window: Window, sums: Sequence[Sums]) -> Iterator[Notice]:
    """Yields notices of what the image cannot show as it should."""
    kind, path = output.dtype.kind, str(output.path)
    missing = window.height * window.width - min(band.count for band in sums)
    if not any(band.count for band in sums):
        yield notice("no_common_pixel", path=path)
    elif missing and kind in "iu" and output.nodata is None:
        yield notice("invalid_pixels_are_zero", path=path, count=missing)
    if kind in "iu":
        largest = int(max((max(-band.minimum, band.maximum) for band in sums if band.count), default=0))
        if largest > EXACT:
            yield notice("digits_lost", path=path, largest=largest, step=(1 << largest.bit_length()) // EXACT)


def _interrupted(journals: Sequence[Journal]) -> str:
    """Returns the message for a user who interrupts; removes the working files if they hold no block."""
    done = len(journals[0].done())
    if done:
        return f"interrupted after {done} blocks; the same command with --resume continues from there"
    _clean_up(journals)
    return "interrupted before the first block was finished"


def _end_cancelled(journals: Sequence[Journal], run: BlockRun, blocks: int, notify: Notify) -> None:
    """Keeps the working files of a cancelled run that resumes, if they hold a block; otherwise removes them."""
    done = len(journals[0].done()) if run.resume else 0
    if done:
        notify(notice("blocks_kept", done=done, blocks=blocks))
    else:
        _clean_up(journals)


def _clean_up(journals: Sequence[Journal]) -> None:
    """Removes the working files of a run, the journals last."""
    clean_up([journal.output for journal in journals])
    for journal in journals:
        journal.remove()
    interrupted_runs.forget([journal.output for journal in journals])


# --- the working files -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Work:
    """The working files of a run, and the sums of the finished blocks in them."""

    files: tuple[Working, ...]
    done: dict[int, SumsOfImages]
    journal: Journal
    "that of the first output, in which the blocks are recorded"


def _begin(
    scene: Scene, journals: Sequence[Journal], provenance, run: BlockRun, side: int, blocks: int, notify: Notify
) -> Work:
    """Returns the work of an interrupted run, if it is to be resumed and fits; otherwise new working files."""
    outputs = [journal.output for journal in journals]
    key = _key(scene, outputs, provenance, (side, run.key))
    if run.resume:
        work = _resumed(journals, key)
        if work:
            for journal in journals:
                journal.resume()
            notify(notice("resumed", done=len(work.done), blocks=blocks))
            return work
    if any(journal.used for journal in journals):
        notify(notice("leftovers_of_other_run_removed" if run.resume else "leftovers_removed"))
        clean_up(outputs)
    check_room(outputs, scene)
    for journal in journals:
        journal.begin()
    interrupted_runs.remember(outputs)
    files = tuple(_working_file(output, scene, provenance) for output in outputs)
    begun = [{"final": file.final, "head": head(file.output.working).hex()} for file in files]
    number = os.urandom(8).hex()  # another run may have taken a file of this one in the meantime
    for journal in journals:
        journal.record_begin({"key": key, "run": number, "files": begun})
    return Work(files, {}, journals[0])


def _working_file(output: Output, scene: Scene, provenance: dict[str, str]) -> Working:
    with write_errors(output):
        return make_working_file(output, scene, provenance)


def _key(scene: Scene, outputs: Sequence[Output], provenance: dict[str, str], run: object) -> str:
    """Returns the digest of everything that a resumed run must share with the interrupted one."""
    inputs = states_of(files_read(scene.files))
    files = [(output.pixel_type, output.format, output.options) for output in outputs]
    others = [str(output.path.absolute()) for output in outputs[1:]]  # the blocks are in the journal of the first
    parts = (scene, inputs, files, others, run)
    return hashlib.sha256(repr((parts, sorted(provenance.items()))).encode()).hexdigest()


def _resumed(journals: Sequence[Journal], key: str) -> Work | None:
    """Returns the work of an interrupted run with the same key, None if there is none.

    A run killed while it completes its file may leave a TIFF header that points to a half-written directory. The first
    directory is never overwritten, so restoring the first header from the journal restores the file.
    """
    begun = journals[0].begun()
    if not begun or begun["key"] != key or any(journal.begun() != begun for journal in journals):
        return None
    try:
        files = [_restored(journal.output, **file) for journal, file in zip(journals, begun["files"])]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Work(tuple(files), journals[0].done(), journals[0]) if all(file.layout for file in files) else None


def _restored(output: Output, final: bool, head: str) -> Working:
    """Returns a working file of an interrupted run, its header restored."""
    with open_own(output.working) as file:
        file.write(bytes.fromhex(head))
    return Working(output, layout_of(output.working), final)


def _record(images: Sequence, journal: Journal, done: dict[int, SumsOfImages], written: list) -> None:
    """Syncs the images to disk, and only then records the written blocks in the journal."""
    for image in images if written else ():
        os.fsync(image.fileno())
    journal.record_blocks(written)
    done.update(written)


# --- threads ---------------------------------------------------------------------------------------------------------


def in_counts(engine, block: Block, types: Sequence[PixelType], progress=None) -> list[FusedImage]:
    """Returns the fused core in the data type of each file, and the sums of its bands."""
    if block.requested is not None and not block.requested.any():
        return [_empty(block, each) for each in types]
    return engine.fuse_counts(block, types, progress)


def _empty(block: Block, pixel_type: PixelType) -> FusedImage:
    """Returns a block without data, and its sums."""
    return np.full((len(block.ms), *block.core.shape), pixel_type.nodata, pixel_type.dtype), (Sums(),) * len(block.ms)


def _stream(scene, engine, stats, todo: dict[int, Window], work: Work, run: BlockRun, progress) -> None:
    """Reads, writes and records the blocks in one thread each, and computes them in run.workers; adds to work.done."""
    stop = threading.Event()
    fused, written = StoppableQueue(stop), StoppableQueue(stop, size=0)
    total, shares = len(todo) + len(work.done), dict.fromkeys(work.done, 1.0)
    types = [file.output.pixel_type for file in work.files]

    def compute(number: int, window: Window, block: Block) -> None:
        fused.put((number, window, in_counts(engine, block, types, lambda share: report(number, share))))

    def collect() -> None:
        for number, images_of_block in engine.fused_blocks(scene, stats, todo, types, stop):
            fused.put((number, todo[number], images_of_block))

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
        try:
            while len(work.done) < total:
                _record(images, work.journal, work.done, [written.get(), *written.drain()])
        finally:
            _record(images, work.journal, work.done, written.drain())

    if hasattr(engine, "fused_blocks"):
        works = [collect]
    else:
        works = reader_threads(partial(Reader, scene, stats), todo, engine, run.workers, compute, stop)
    with contextlib.ExitStack() as opened, run.thread_limit(run.workers):
        images = [opened.enter_context(open_own(file.output.working)) for file in work.files]
        run_threads([*works, writing, recording], stop, lambda: progress(sum(list(shares.values())) / total))
    progress(1.0)
