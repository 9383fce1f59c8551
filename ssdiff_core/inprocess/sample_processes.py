"""Processes that make samples, for a device that learns faster than one process can make them.

Threads would not do: making samples is thousands of small steps, and for much of them Python lets only one thread work.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection

import numpy as np

from ..common.errors import SSDiffError, WorkerError

Pool = dict[str, np.ndarray]
MOST = 16
"processes, unless more are asked for: each wants half a gigabyte"
ALONE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1")
"""each process computes on one thread: they do not get into each other's way, and how many there are changes no bit,
as the last digits of a product of matrices depend on the number of threads"""

PART = 1 << 20
"bytes that go through a pipe at once: a pool as one object would take five times as long, being copied again and again"


def usual(device: str) -> int:
    """How many processes are worth having: a processor that learns has no core to spare."""
    return min(os.cpu_count() or 1, MOST) if device == "cuda" else 0


def pools(count: int, paths: Sequence[str], recipe: str, stage: int, tile: int, first: int) -> Iterator[Pool]:
    """What MadeUp of the imagery and the recipe (TOML) makes, from pool `first` on, in order, as arrays."""
    with _environment(ALONE):  # heeded when NumPy is imported, which a new process may do before it does anything
        started = [_started(paths, recipe, stage, tile, first + number, count) for number in range(count)]
    try:
        for _, pipe in itertools.cycle(started):
            yield _received(pipe)
    except (EOFError, OSError):
        raise WorkerError(
            "a process that makes samples has ended, as they do where memory runs out: let --processes be fewer"
        ) from None
    finally:
        for process, pipe in started:
            process.terminate()
            pipe.close()


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """For processes that are started meanwhile."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            del os.environ[name]
        os.environ.update({name: before[name] for name in values if name in before})


def _started(*what) -> tuple[multiprocessing.Process, Connection]:
    """A process that makes pools, and where they come out."""
    how = multiprocessing.get_context("spawn")
    ours, its = how.Pipe(duplex=False)
    process = how.Process(target=_make, args=(its, *what), daemon=True)
    process.start()
    its.close()  # so that its end is heard
    return process, ours


def _make(pipe: Connection, paths: Sequence[str], recipe: str, stage: int, tile: int, first: int, step: int) -> None:
    """Makes pools first, first + step ... until nobody takes them any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the program that learns
    from ..training.recipe import read_recipe
    from ..training.simulated_source import MadeUp
    from ..training.trainer import ahead
    from . import imagery

    with contextlib.suppress(BrokenPipeError):
        try:
            source = MadeUp(imagery.load(paths), read_recipe(recipe))
            for pool in ahead((source.pool(stage, tile, k) for k in itertools.count(first, step)), 1):
                _send(pipe, {key: value.numpy() for key, value in pool.items()})
        except SSDiffError as error:
            pipe.send(error)


# --- pools in pipes --------------------------------------------------------------------------------------------------


def _send(pipe: Connection, pool: Pool) -> None:
    pipe.send({key: (array.shape, array.dtype.str) for key, array in pool.items()})
    for part in _parts(pool):
        pipe.send_bytes(part)


def _received(pipe: Connection) -> Pool:
    told = pipe.recv()
    if isinstance(told, SSDiffError):
        raise told
    pool = {key: np.empty(*how) for key, how in told.items()}
    for part in _parts(pool):
        pipe.recv_bytes_into(part)
    return pool


def _parts(pool: Pool) -> Iterator[memoryview]:
    """All bytes of the arrays, in their order."""
    for array in pool.values():
        whole = memoryview(array).cast("B")
        yield from (whole[start : start + PART] for start in range(0, len(whole), PART))
