"""A scene through an engine into files: reading, computing and writing side by side, block by block.

Finished blocks go into the working files (see output.py) and their numbers into a journal; only whole images become
the outputs. So a run that was killed can be resumed, and a half image never bears the name.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import operator
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import astuple, dataclass
from functools import partial, reduce
from pathlib import Path

import numpy as np
from osgeo import gdal

from ..common.errors import SSDiffError
from ..common.fingerprints import age
from ..common.pipeline import Line, Stopped, together
from ..domain.block import Block, SceneStats
from ..domain.block_passes import MEMORY, block_side, blocks_of, read_and_use
from ..domain.exact_sums import Sums
from ..domain.scene import Scene
from ..domain.window import Window
from ..raster.output import Output, Working, blamed, check_names, check_room, clean_up, finish, make_working_file
from ..raster.reader import Reader
from ..raster.tiled_tiff import head, layout_of, put

SumsOfImages = tuple[tuple[Sums, ...], ...]
"of each image, those of its bands"


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


def fuse(
    scene: Scene,
    engine,
    outputs: Sequence[Output],
    stats: SceneStats,
    provenance: dict[str, str],
    run: BlockRun = BlockRun(),
    progress: Callable[[float], None] = lambda share: None,
    notify: Callable[[str], None] = lambda sentence: None,
) -> None:
    """Fuses the scene into the first output, and the spread of the engine's samples into the second, if there is one.

    An interrupted run can be resumed. A run that fails raises and leaves no file.
    """
    side = run.side or block_side(run.memory, len(scene.ms) * len(outputs), engine.reach, run.workers)
    gdal.SetCacheMax(max(run.memory // 4, 64) * 2**20)
    blocks = dict(enumerate(blocks_of(scene.window, side)))
    check_names(outputs)
    try:
        with blamed(outputs[0]):
            work = _begin(scene, outputs, provenance, side, run.resume, len(blocks), notify)
            todo = {i: window for i, window in blocks.items() if i not in work.done}
            _stream(scene, engine, stats, todo, work, run, progress)
            stop, sums = threading.Event(), _added([work.done[i] for i in blocks])
            if not any(band.count for band in sums[0]):
                notify(f"PAN and MS hold nothing together: no pixel of {outputs[0].path} has a value")
            together([lambda: finish(work.files, sums, stop)], stop)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_farewell(outputs)) from None
    except SSDiffError:
        clean_up(outputs)
        raise
    clean_up(outputs)


def _added(blocks: Sequence[SumsOfImages]) -> list[list[Sums]]:
    """The sums of each image's bands over all blocks."""
    return [[reduce(operator.add, band) for band in zip(*image)] for image in zip(*blocks)]


def _farewell(outputs: Sequence[Output]) -> str:
    """What to say to the person who interrupts."""
    try:
        done = len(outputs[0].journal.read_text(encoding="utf-8").splitlines()) - 1
    except OSError:
        done = 0
    if done > 0:
        return f"interrupted; the same command with --resume goes on after the {done} blocks that are done"
    clean_up(outputs)
    return "interrupted before any block was done"


# --- what is done and what is not ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Work:
    """Working files, and the blocks that are safely in them, with the sums of their bands."""

    files: tuple[Working, ...]
    done: dict[int, SumsOfImages]

    @property
    def journal(self) -> Path:
        return self.files[0].output.journal


def _begin(scene: Scene, outputs: Sequence[Output], provenance, side: int, resume: bool, blocks: int, notify) -> Work:
    """What an earlier run has left, if that is wished and possible; else a fresh start."""
    key = _key(scene, outputs, provenance, side)
    if resume:
        work = _taken_up(outputs, key)
        if work:
            notify(f"going on from an interrupted run: {len(work.done)} of {blocks} blocks are done")
            return work
    if any(output.leftovers for output in outputs):
        notify("what an interrupted run has left is " + ("of other work and " if resume else "") + "removed")
        clean_up(outputs)
    check_room(outputs, scene)
    work = Work(tuple(_made(output, scene, provenance) for output in outputs), {})
    begun = [{"final": file.final, "head": head(file.output.working).hex()} for file in work.files]
    work.journal.write_text(json.dumps({"key": key, "files": begun}) + "\n", encoding="utf-8")
    return work


def _made(output: Output, scene: Scene, provenance: dict[str, str]) -> Working:
    with blamed(output):
        return make_working_file(output, scene, provenance)


def _key(scene: Scene, outputs: Sequence[Output], provenance: dict[str, str], side: int) -> str:
    """What must be the same for finished blocks to be worth anything."""
    inputs = [(path, age(path)) for path in sorted(set(scene.files))]
    kinds = [(str(output.dtype), output.nodata, output.format, output.options) for output in outputs]
    beside = [str(output.path.absolute()) for output in outputs[1:]]  # the first has the journal at its side
    parts = (scene, inputs, kinds, beside, side)
    return hashlib.sha256(repr((parts, sorted(provenance.items()))).encode()).hexdigest()


def _taken_up(outputs: Sequence[Output], key: str) -> Work | None:
    """The work of an interrupted run of the very same thing.

    A run that is killed while it completes the file may leave its head pointing to a half-written directory. The first
    one is never overwritten: with the head as it was, the file is as it was.
    """
    try:
        first, *lines = outputs[0].journal.read_text(encoding="utf-8").split("\n")
        begun = json.loads(first)
        if begun["key"] != key:
            return None
        files = [_again(output, **file) for output, file in zip(outputs, begun["files"])]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Work(tuple(files), _entries(lines)) if all(file.layout for file in files) else None


def _again(output: Output, final: bool, head: str) -> Working:
    """A working file from before, with its head as it was then."""
    with open(output.working, "r+b") as file:
        file.write(bytes.fromhex(head))
    return Working(output, layout_of(output.working), final)


def _entries(lines: Iterable[str]) -> dict[int, SumsOfImages]:
    """The blocks that a journal vouches for; its last line may be torn."""
    done = {}
    for line in lines:
        try:
            number, images = json.loads(line)
            done[number] = tuple(tuple(Sums(*band) for band in bands) for bands in images)
        except (ValueError, TypeError):
            continue
    return done


def _vouch(images: Sequence, journal, done: dict[int, SumsOfImages], written: list) -> None:
    """Brings the images to the disk, and only then says which blocks are there."""
    for image in images if written else ():
        os.fsync(image.fileno())
    for number, sums in written:
        print(json.dumps([number, [[astuple(band) for band in bands] for bands in sums]]), file=journal, flush=True)
        done[number] = sums


# --- block by block --------------------------------------------------------------------------------------------------


def _in_counts(engine, block: Block, work: Work, progress) -> list[tuple[np.ndarray, tuple[Sums, ...]]]:
    """The fused core as each file shall hold it, and the sums of its bands."""
    kinds = [(file.output.dtype, file.output.nodata) for file in work.files]
    if block.wanted is not None and not block.wanted.any():
        return [_nothing(block, *kind) for kind in kinds]
    return engine.fuse_counts(block, kinds, progress)


def _nothing(block: Block, dtype: np.dtype, nodata: float | None) -> tuple[np.ndarray, tuple[Sums, ...]]:
    """What a block is of which nothing is wanted."""
    return np.full((len(block.ms), *block.core.shape), nodata, dtype), (Sums(),) * len(block.ms)


def _stream(scene, engine, stats, todo: dict[int, Window], work: Work, run: BlockRun, progress) -> None:
    """Reads in one thread, computes in as many as there are hands, writes in one, and vouches in one; adds to
    work.done."""
    stop = threading.Event()
    fused, written = Line(stop), Line(stop, room=0)
    total, shares = len(todo) + len(work.done), dict.fromkeys(work.done, 1.0)

    def compute(number: int, window: Window, block: Block) -> None:
        fused.put((number, window, _in_counts(engine, block, work, lambda share: heard(number, share))))

    def heard(number: int, share: float) -> None:
        if stop.is_set():  # no need to compute a block to its end that nobody waits for
            raise Stopped
        shares[number] = min(share, 0.99)

    def writing() -> None:
        for _ in todo:
            number, window, made = fused.get()
            at = Window(window.row - scene.window.row, window.col - scene.window.col, *window.shape)
            for image, file, (counts, _) in zip(images, work.files, made):
                with blamed(file.output):
                    put(image, file.layout, counts, at)
            shares[number] = 1.0
            written.put((number, tuple(sums for _, sums in made)))

    def vouching() -> None:
        with open(work.journal, "a", encoding="utf-8") as journal:
            try:
                while len(work.done) < total:
                    _vouch(images, journal, work.done, [written.get(), *written.rest()])
            finally:
                _vouch(images, journal, work.done, written.rest())

    works = read_and_use(partial(Reader, scene, stats), todo, engine, run.workers, compute, stop)
    with contextlib.ExitStack() as opened, run.thread_limit(run.workers):
        images = [opened.enter_context(open(file.output.working, "r+b", buffering=0)) for file in work.files]
        together([*works, writing, vouching], stop, lambda: progress(sum(list(shares.values())) / total))
    progress(1.0)
