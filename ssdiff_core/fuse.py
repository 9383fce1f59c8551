"""A scene through an engine into a file: reading, computing and writing side by side, block by block.

Finished blocks go into the working file (see output.py) and their numbers into a journal; only a whole image becomes
the output. So a run that was killed can be resumed, and a half image never bears the name.
"""

from __future__ import annotations

import errno
import hashlib
import json
import operator
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass
from functools import partial, reduce

import numpy as np
from osgeo import gdal

from .blocks import Block, SceneStats
from .digest import age
from .errors import RasterError, SSDiffError, one_line
from .output import Output, check_room, clean_up, finish, make_working_file
from .passes import MEMORY, block_side, blocks_of, processors, read_and_use
from .pipeline import Line, Stopped, together
from .reading import Reader
from .scene import Scene
from .sums import Sums
from .tiled import Layout, head, layout_of, put
from .window import Window

FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


def fuse(
    scene: Scene,
    engine,
    output: Output,
    stats: SceneStats,
    provenance: dict[str, str],
    progress: Callable[[float], None] = lambda share: None,
    resume: bool = False,
    memory: int = MEMORY,
    side: int | None = None,
    hands: int = 1,
    say: Callable[[str], None] = lambda sentence: None,
) -> None:
    """Fuses the scene into output.path, or raises and leaves nothing under that name.

    hands: blocks that the engine may compute at once, each with one processor; 1: it has them all to itself.
    An interrupted run can be resumed; a failed one leaves nothing at all.
    """
    side = side or block_side(memory, len(scene.ms), engine.reach, hands)
    gdal.SetCacheMax(max(memory // 4, 64) * 2**20)
    blocks = dict(enumerate(blocks_of(scene.window, side)))
    try:
        work = _begin(scene, output, provenance, side, resume, len(blocks), say)
        todo = {i: window for i, window in blocks.items() if i not in work.done}
        _stream(scene, engine, stats, todo, output, work, hands, progress)
        sums = [reduce(operator.add, band) for band in zip(*(work.done[i] for i in blocks))]
        stop = threading.Event()
        together([lambda: finish(output, sums, work.final, stop)], stop)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_farewell(output)) from None
    except (RuntimeError, OSError, SSDiffError) as error:
        clean_up(output)
        raise error if isinstance(error, SSDiffError) else RasterError(_why(output, error)) from None
    clean_up(output)


def _why(output: Output, error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in FULL:
        return f"{output.path} cannot be written: the disk is full; make room or name another folder"
    return f"{output.path} cannot be written: {getattr(error, 'strerror', None) or one_line(error)}"


def _farewell(output: Output) -> str:
    """What to say to the person who interrupts."""
    try:
        done = len(output.journal.read_text(encoding="utf-8").splitlines()) - 1
    except OSError:
        done = 0
    if done > 0:
        return f"interrupted; the same command with --resume goes on after the {done} blocks that are done"
    clean_up(output)
    return "interrupted before any block was done"


# --- what is done and what is not ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Work:
    """A working file, and the blocks that are safely in it, with the sums of their bands."""

    layout: Layout
    final: bool
    "whether the working file becomes the output"
    done: dict[int, tuple[Sums, ...]]


def _begin(scene: Scene, output: Output, provenance, side: int, resume: bool, blocks: int, say) -> Work:
    """What an earlier run has left, if that is wished and possible; else a fresh start."""
    key = _key(scene, output, provenance, side)
    if resume:
        work = _taken_up(output, key)
        if work:
            say(f"going on from an interrupted run: {len(work.done)} of {blocks} blocks are done")
            return work
    if output.leftovers:
        say("what an interrupted run has left is " + ("of other work and " if resume else "") + "removed")
        clean_up(output)
    check_room(output, scene)
    layout, final = make_working_file(output, scene, provenance)
    first = {"key": key, "final": final, "head": head(output.working).hex()}
    output.journal.write_text(json.dumps(first) + "\n", encoding="utf-8")
    return Work(layout, final, {})


def _key(scene: Scene, output: Output, provenance: dict[str, str], side: int) -> str:
    """What must be the same for finished blocks to be worth anything."""
    inputs = [(path, age(path)) for path in sorted({band.path for band in (scene.pan, *scene.ms)})]
    parts = (scene, inputs, str(output.dtype), output.nodata, output.format, output.options, side)
    return hashlib.sha256(repr((parts, sorted(provenance.items()))).encode()).hexdigest()


def _taken_up(output: Output, key: str) -> Work | None:
    """The work of an interrupted run of the very same thing.

    A run that is killed while it completes the file may leave its head pointing to a half-written directory. The first
    one is never overwritten: with the head as it was, the file is as it was.
    """
    try:
        first, *lines = output.journal.read_text(encoding="utf-8").split("\n")
        begun = json.loads(first)
        if begun["key"] != key:
            return None
        with open(output.working, "r+b") as file:
            file.write(bytes.fromhex(begun["head"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    layout = layout_of(output.working)
    return Work(layout, begun["final"], _entries(lines)) if layout else None


def _entries(lines: Iterable[str]) -> dict[int, tuple[Sums, ...]]:
    """The blocks that a journal vouches for; its last line may be torn."""
    done = {}
    for line in lines:
        try:
            number, bands = json.loads(line)
            done[number] = tuple(Sums(*band) for band in bands)
        except (ValueError, TypeError):
            continue
    return done


def _vouch(image, journal, done: dict[int, tuple[Sums, ...]], written: list) -> None:
    """Brings the image to the disk, and only then says which blocks are there."""
    if written:
        os.fsync(image.fileno())
    for number, bands in written:
        print(json.dumps([number, [astuple(band) for band in bands]]), file=journal, flush=True)
        done[number] = bands


# --- block by block --------------------------------------------------------------------------------------------------


def in_counts(engine, block: Block, output: Output, progress) -> tuple[np.ndarray, tuple[Sums, ...]]:
    """The fused core as the file shall hold it, and the sums of each band."""
    if block.wanted is not None and not block.wanted.any():
        return _nothing(len(block.ms), block, output)
    if hasattr(engine, "fuse_counts"):  # an engine in another process: counts take less room than what they are made of
        return engine.fuse_counts(block, output.dtype, output.nodata, progress)
    from .counts import counted

    return counted(block.cut_out(engine.fuse(block, progress)), output.dtype, output.nodata)


def _nothing(bands: int, block: Block, output: Output) -> tuple[np.ndarray, tuple[Sums, ...]]:
    """What a block is of which nothing is wanted."""
    return np.full((bands, *block.core.shape), output.nodata, output.dtype), (Sums(),) * bands


def _stream(scene, engine, stats, todo: dict[int, Window], output: Output, work: Work, hands: int, progress) -> None:
    """Reads in one thread, computes in as many as there are hands, writes in one, and vouches in one; adds to
    work.done."""
    stop = threading.Event()
    fused, written = Line(stop), Line(stop, room=0)
    total, shares = len(todo) + len(work.done), dict.fromkeys(work.done, 1.0)
    image = open(output.working, "r+b", buffering=0)  # noqa: SIM115 (of two threads)

    def compute(number: int, window: Window, block: Block) -> None:
        fused.put((number, window, *in_counts(engine, block, output, lambda share: heard(number, share))))

    def heard(number: int, share: float) -> None:
        if stop.is_set():  # no need to compute a block to its end that nobody waits for
            raise Stopped
        shares[number] = min(share, 0.99)

    def writing() -> None:
        for _ in todo:
            number, window, counts, sums = fused.get()
            at = Window(window.row - scene.window.row, window.col - scene.window.col, *window.shape)
            put(image, work.layout, counts, at)
            shares[number] = 1.0
            written.put((number, sums))

    def vouching() -> None:
        with open(output.journal, "a", encoding="utf-8") as journal:
            try:
                while len(work.done) < total:
                    _vouch(image, journal, work.done, [written.get(), *written.rest()])
            finally:
                _vouch(image, journal, work.done, written.rest())

    works = read_and_use(partial(Reader, scene, stats), todo, engine, hands, compute, stop)
    with image, processors(hands):
        together([*works, writing, vouching], stop, lambda: progress(sum(list(shares.values())) / total))
    progress(1.0)
