"""Engines whose computation runs in the computing process, for programs such as QGIS that must not import torch.

    with Worker(python) as worker, RemoteEngine(worker, "weights.safetensors") as engine:
        image = engine.fuse(block)

A `Worker` starts its process on the first request, and another one when that has ended. If anything goes wrong with
the process, a WorkerError is raised, the process and its memory are gone, and the next request starts another.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np

from ...common import errors
from ...common.errors import Cancelled, SSDiffError, WorkerError
from ...common.notices import Notice, Notify, from_description, notice
from ...common.texts import printable
from ...domain.block import Block
from ...domain.exact_sums import Sums
from ...domain.options import SamplingOptions
from ...domain.pixel_type import PixelType
from ..serialization import encode
from ..shared_memory import PROTOCOL, Memory, read_block, write_block
from .process import WorkerProcess

POLL_SECONDS = 0.1
"time between two checks whether the request was cancelled"
QUIET_WAIT, WAIT_INTERVAL = 1.0, 60.0
"seconds that a request waits for another run before its user is told, and between two notices of this"
MAXIMUM_FOREIGN_LINES = 20
"lines that shells and site packages may print before the first one of the worker"
NEEDED_ENTRIES = {"notice": {"kind": str, "values": dict}, "read": {"request": dict}, "error": {"sentence": str}}
"entries of each type of message and their types"
FLOAT_OUTPUT = PixelType()
"pixel type of an image that is returned as computed"
DEFAULT_SAMPLING = SamplingOptions()

log = logging.getLogger("ssdiff")


class _IdleExit(Exception):
    "The process had just ended because it was idle when a request was sent."


@dataclass(frozen=True)
class Callbacks:
    """What is called while a request runs."""

    notify: Notify = log.warning
    progress: Callable[[float], None] = lambda share: None
    "called with the completed share about ten times a second; an exception that it raises ends the process"
    cancelled: Callable[[], bool] = lambda: False
    "called about ten times a second; once it returns True, the process is ended and Cancelled raised"
    read: Callable[[Memory, dict], dict] | None = None
    "answers the read requests of the process (see `data_server.DataServer`)"
    run: str = ""
    "name of the run that requests, which other runs are told while they wait for it"


class _Closing(AbstractContextManager):
    """Context manager that calls `close` at the end."""

    def __exit__(self, *_) -> None:
        self.close()


class Worker(_Closing):
    """One process at a time for any number of engines. Any thread may use it; requests run one after the other."""

    def __init__(self, python: str | os.PathLike, *, idle: float = 60, patience: float = 60, start: float = 300):
        """idle: seconds without a request after which the process ends.

        patience: seconds without a sign of life after which the process counts as hung.
        start: the same while the process starts, as importing torch may take minutes with a virus scanner.
        """
        self.python, self._idle, self._patience, self._start = os.fspath(python), idle, patience, start
        self._process: WorkerProcess | None = None
        self._lock, self._holder = threading.RLock(), ""
        self._announced: dict[tuple[str, str], float] = {}
        "when a run was last told that it waits for another"

    def __repr__(self) -> str:
        return f"Worker({self.python}, {f'process {self.pid}' if self.pid else 'not running'})"

    @property
    def pid(self) -> int | None:
        """ID of the process; None if none runs."""
        return self._process.popen.pid if self._process and self._process.runs else None

    @property
    def log(self) -> str:
        """Last output of the process, or of the previous one."""
        return self._process.log if self._process else ""

    def close(self) -> None:
        """Ends the process, even in the middle of a request; any thread may call it."""
        if self._process:
            self._process.end()

    def hello(self, callbacks: Callbacks = Callbacks()) -> dict:
        """Returns the versions and devices of the process, which is started if none runs."""
        with self.reserved(callbacks):
            return self.running_process(callbacks).hello

    def request(self, callbacks: Callbacks, command: str, **arguments) -> dict:
        """Returns the answer to a request that needs no open engine."""
        return self.retry_after_idle_exit(
            callbacks, lambda: self.send(self.running_process(callbacks), callbacks, command, **arguments)
        )

    def retry_after_idle_exit(self, callbacks: Callbacks, function: Callable):
        """Calls the function, and calls it again if the process ended idle just when the request was sent."""
        with self.reserved(callbacks):
            try:
                return function()
            except _IdleExit:
                return function()

    @contextlib.contextmanager
    def reserved(self, callbacks: Callbacks) -> Iterator[None]:
        """Reserves the process for a request. Waits for the request of another run, until this one is cancelled."""
        started = time.monotonic()
        while not self._lock.acquire(timeout=POLL_SECONDS):
            if callbacks.cancelled():
                raise Cancelled("cancelled")
            if time.monotonic() - started > QUIET_WAIT:
                self._announce_wait(callbacks)
        before, self._holder = self._holder, callbacks.run or self._holder
        try:
            yield
        finally:
            self._holder = before
            self._lock.release()

    def _announce_wait(self, callbacks: Callbacks) -> None:
        """Notifies a run of which other run it waits for; not again for a while, as it may wait at each block."""
        now, pair = time.monotonic(), (callbacks.run, self._holder)
        if now - self._announced.get(pair, -WAIT_INTERVAL) >= WAIT_INTERVAL:
            self._announced[pair] = now
            callbacks.notify(notice("worker_busy", run=self._holder or "another run"))

    def running_process(self, callbacks: Callbacks) -> WorkerProcess:
        """Returns the running process; starts one if needed and checks its protocol version."""
        if self._process and self._process.runs:
            return self._process
        self.close()
        self._process = process = WorkerProcess(self.python, self._idle)
        try:
            hello = self.send(process, callbacks, "hello", patience=self._start)
            if hello.get("protocol") != PROTOCOL:
                raise WorkerError(
                    notice(
                        "worker_protocol",
                        python=str(self.python),
                        version=hello.get("ssdiff"),
                        protocol=hello.get("protocol"),
                        needed=PROTOCOL,
                    ),
                    process.log,
                )
        except BaseException:
            process.end()
            raise
        process.hello = hello
        return process

    def send(
        self, process: WorkerProcess, callbacks: Callbacks, command: str, patience: float | None = None, **arguments
    ) -> dict:
        """Sends a request and returns the answer.

        An error that the process reports is raised here and leaves the process running; any other error ends it.
        """
        share = 0.0
        try:
            process.send({"ask": command, **arguments})
            for message in self._messages(process, callbacks, self._patience if patience is None else patience):
                if message["type"] in ("done", "error"):
                    break
                if message["type"] == "notice":
                    callbacks.notify(_notice_of(message))
                elif message["type"] == "read":
                    process.send(callbacks.read(process.memory, message["request"]))
                share = message.get("share", share)
                callbacks.progress(share)
        except BaseException:
            process.end()
            raise
        if message["type"] == "error":
            raise _error_of(message, process)
        return message

    def _messages(self, process: WorkerProcess, callbacks: Callbacks, patience: float) -> Iterator[dict]:
        """Yields the messages of the process, and about ten times a second one of type silence when there are none.

        The silent seconds are counted, not read from a clock, so that a suspended computer does not look like a hung
        process.
        """
        silent, foreign = 0.0, 0
        while True:
            if callbacks.cancelled():
                raise Cancelled("cancelled")
            try:
                line, silent = process.lines.get(timeout=POLL_SECONDS), 0.0
            except queue.Empty:
                silent += POLL_SECONDS
                process.kill_orphans()
                if process.ended:
                    raise process.exit_error() from None
                if silent > patience:
                    raise WorkerError(_hung(process, patience), process.log) from None
                yield {"type": "silence"}
                continue
            message = _parsed(line) if line else None
            if message and message["type"] == "bye":
                raise _IdleExit
            if message:
                yield message
            elif not line:
                raise process.exit_error()
            elif process.hello or foreign == MAXIMUM_FOREIGN_LINES:
                raise WorkerError(
                    notice("worker_foreign", python=str(self.python), line=line[:60]),
                    process.log,
                )
            else:
                foreign += 1


class _OpenedEngine(_Closing):
    """An engine that is open in the computing process, and opened again there if the process was replaced."""

    def __init__(self, worker: Worker, callbacks: Callbacks, command: str, arguments: dict):
        self.worker, self._callbacks, self._command, self._arguments = worker, callbacks, command, arguments
        self._process: WorkerProcess | None = None
        self.worker.retry_after_idle_exit(callbacks, self._open)

    def fuse(self, block: Block, progress: Callable[[float], None] | None = None) -> np.ndarray:
        """Returns the same image as `fusion.engine.Engine.fuse`. An exception from `progress` ends the process."""
        return self.fuse_counts(block, [FLOAT_OUTPUT], progress)[0][0]

    def fuse_counts(self, block: Block, types: Sequence[PixelType], progress=None) -> list:
        """Returns the images of a block as files of these types hold them, each with the sums of its bands."""
        return self.worker.retry_after_idle_exit(self._callbacks, lambda: self._fuse(block, types, progress))

    def close(self) -> None:
        """Frees what the process holds for this engine; the process keeps running for others."""
        with self.worker.reserved(self._callbacks):
            if self._process and self._process.runs:
                self.worker.retry_after_idle_exit(
                    self._callbacks,
                    lambda: self.worker.send(self._process, self._callbacks, "close", engine=self._number),
                )
            self._process = None

    def _fuse(self, block: Block, types: Sequence[PixelType], progress) -> list[tuple[np.ndarray, tuple[Sums, ...]]]:
        process = self._open()
        message = write_block(process.memory, block, [each.dtype for each in types])
        _, outputs = read_block(process.memory, message)
        callbacks = replace(self._callbacks, progress=progress or (lambda share: None))
        arguments = {"engine": self._number, "block": message, "types": encode(list(types))}
        answer = self.worker.send(process, callbacks, "fuse", **arguments)
        sums = [tuple(Sums(*band) for band in bands) for bands in answer["sums"]]
        return [(output.copy(), of_bands) for output, of_bands in zip(outputs, sums)]

    def _open(self) -> WorkerProcess:
        """Returns the process with this engine open in it."""
        process = self.worker.running_process(self._callbacks)
        if process is not self._process:
            answer = self.worker.send(process, self._callbacks, self._command, **self._arguments)
            self._number, self._process = answer["engine"], process
            self.reach, self.ms_halo = answer["reach"], answer["ms_halo"]
            self._set_properties(answer)
        return process

    def _set_properties(self, answer: dict) -> None:
        """Sets further properties of the engine from the answer to the command that opened it."""


class RemoteEngine(_OpenedEngine):
    """A network in the computing process, with the methods of `fusion.engine.Engine`."""

    def __init__(
        self,
        worker: Worker,
        weights: str | os.PathLike,
        sampling: SamplingOptions = DEFAULT_SAMPLING,
        *,
        groups: Iterable[Iterable[int]] = (),
        notify: Notify = log.warning,
        cancelled: Callable[[], bool] = lambda: False,
        run: str = "",
    ):
        """groups: groups of bands, if MS has more bands than the weights take (see `domain.band_groups.groups`).

        cancelled: called ten times a second; once it returns True, the process is ended and Cancelled raised.
        run: name of the run (see Callbacks).
        """
        bands = [[int(band) for band in group] for group in groups]
        path = os.path.abspath(weights)  # the current folder of the process is another one
        arguments = {"weights": path, "sampling": encode(sampling), "groups": bands}
        super().__init__(worker, Callbacks(notify=notify, cancelled=cancelled, run=run), "open", arguments)

    def fuse_with_spread(self, block: Block, progress: Callable[[float], None] | None = None):
        """Returns image and standard deviation, the same as `fusion.engine.Engine.fuse_with_spread`."""
        return tuple(image for image, _ in self.fuse_counts(block, [FLOAT_OUTPUT] * 2, progress))

    def __repr__(self) -> str:
        return f"RemoteEngine({self.id}, {self.device}, {self.steps} steps, {self.worker})"

    def _set_properties(self, answer: dict) -> None:
        self.id, self.sha256, self.steps, self.device = (answer[key] for key in ("id", "sha256", "steps", "device"))


class RemoteClassical(_OpenedEngine):
    """A classical method in the computing process."""

    def __init__(self, worker: Worker, method: str, ratio: float, *, notify=log.warning, cancelled=lambda: False):
        self.method = method
        callbacks = Callbacks(notify=notify, cancelled=cancelled)
        super().__init__(worker, callbacks, "classical", {"method": method, "ratio": float(ratio)})

    def __repr__(self) -> str:
        return f"RemoteClassical({self.method}, {self.worker})"


def _parsed(line: bytes) -> dict | None:
    """Returns the message in a line, or None if the line is no message of the worker."""
    try:
        message = json.loads(line)
        needed = NEEDED_ENTRIES.get(message["type"], {})
        whole = all(isinstance(message.get(name), kind) for name, kind in needed.items())
        return message if whole and isinstance(message.get("share", 0), (int, float)) else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _notice_of(message: dict) -> Notice:
    try:
        return from_description(message)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
        kind = " ".join(printable(message.get("kind", "")).split())[:60]
        raise WorkerError(notice("worker_notice", kind=kind)) from None


def _error_of(message: dict, process: WorkerProcess) -> SSDiffError:
    """Returns the error that the process reported, of the same class as in one process."""
    kind = getattr(errors, str(message.get("kind")), None)
    told = message.get("notice")
    sentence = _notice_of(told) if isinstance(told, dict) else str(message.get("sentence"))
    if isinstance(kind, type) and issubclass(kind, SSDiffError) and kind is not WorkerError:
        return kind(sentence)
    time.sleep(POLL_SECONDS)  # its standard error comes through another pipe, maybe a little later
    return WorkerError(sentence, process.log)


def _hung(process: WorkerProcess, patience: float) -> Notice:
    if process.hello:
        return notice("worker_silent", seconds=patience)
    return notice("worker_not_started", python=str(process.python), seconds=patience)
