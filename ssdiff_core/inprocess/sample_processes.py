"""Processes that simulate training samples, for a GPU that trains faster than one process simulates.

Threads would not help: the simulation consists of thousands of small steps that mostly hold the interpreter lock.
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
MAX_PROCESSES = 16
"default maximum number of processes; each needs half a gigabyte"
SINGLE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
"""environment of the processes: with one thread each, they do not compete for cores, and the samples do not depend on
the number of processes (the last digits of a matrix product depend on the number of threads)"""

CHUNK_BYTES = 1 << 20
"bytes that are sent through a pipe at once; sending a pool as one object would take five times as long"


def default_count(device: str) -> int:
    """Returns the default number of processes for a device; none if the training itself needs the CPU."""
    return min(os.cpu_count() or 1, MAX_PROCESSES) if device == "cuda" else 0


def pools(count: int, paths: Sequence[str], recipe: str, stage: int, tile: int, first: int) -> Iterator[Pool]:
    """Yields the pools of a SimulatedSource in order, as arrays, from pool `first` on.

    count: number of processes. paths: the imagery. recipe: its TOML text. stage, tile: those of the pools.

    Raises WorkerError if a process dies.
    """
    with _environment(
        SINGLE_THREAD
    ):  # NumPy reads it when a new process imports it, possibly before any code of ours runs
        started = [_started(paths, recipe, stage, tile, first + number, count) for number in range(count)]
    try:
        for _, pipe in itertools.cycle(started):
            yield _received(pipe)
    except (EOFError, OSError):
        raise WorkerError(
            "a process that simulates samples has died, probably for lack of memory: use fewer --processes"
        ) from None
    finally:
        for process, pipe in started:
            process.terminate()
            pipe.close()


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Sets environment variables for processes that are started in this context."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            del os.environ[name]
        os.environ.update({name: before[name] for name in values if name in before})


def _started(*args) -> tuple[multiprocessing.Process, Connection]:
    """Starts a process that makes pools; returns it and the pipe to receive them from."""
    spawning = multiprocessing.get_context("spawn")
    receiver, sender = spawning.Pipe(duplex=False)
    process = spawning.Process(target=_make_pools, args=(sender, *args), daemon=True)
    process.start()
    sender.close()  # so that the receiver notices the end of the process
    return process, receiver


def _make_pools(
    pipe: Connection, paths: Sequence[str], recipe: str, stage: int, tile: int, first: int, step: int
) -> None:
    """Makes the pools first, first + step, ... until the receiver is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the training process
    from ..training.recipe import read_recipe
    from ..training.simulated_source import SimulatedSource
    from ..training.trainer import prefetched
    from . import imagery

    with contextlib.suppress(BrokenPipeError):
        try:
            source = SimulatedSource(imagery.load(paths), read_recipe(recipe))
            for pool in prefetched((source.pool(stage, tile, k) for k in itertools.count(first, step)), 1):
                _send(pipe, {key: value.numpy() for key, value in pool.items()})
        except SSDiffError as error:
            pipe.send(error)


# --- pools in pipes --------------------------------------------------------------------------------------------------


def _send(pipe: Connection, pool: Pool) -> None:
    pipe.send({key: (array.shape, array.dtype.str) for key, array in pool.items()})
    for part in _chunks(pool):
        pipe.send_bytes(part)


def _received(pipe: Connection) -> Pool:
    message = pipe.recv()
    if isinstance(message, SSDiffError):
        raise message
    pool = {key: np.empty(shape, dtype) for key, (shape, dtype) in message.items()}
    for part in _chunks(pool):
        pipe.recv_bytes_into(part)
    return pool


def _chunks(pool: Pool) -> Iterator[memoryview]:
    """Yields the bytes of the arrays in order, in chunks."""
    for array in pool.values():
        whole = memoryview(array).cast("B")
        yield from (whole[start : start + CHUNK_BYTES] for start in range(0, len(whole), CHUNK_BYTES))
