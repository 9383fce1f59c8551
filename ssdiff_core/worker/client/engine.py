"""An engine in another process: for a program such as QGIS, which torch must never enter.

    with Worker(python) as worker, RemoteEngine(worker, "weights.safetensors") as engine:
        image = engine.fuse(block)

A `Worker` starts the process (worker.py) when something is asked of it, and another when that one has ended. Whatever
goes wrong with the process is one WorkerError; then it is gone, and the memory with it, and the next request starts
afresh.
"""

from __future__ import annotations

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
from ...domain.block import Block
from ...domain.exact_sums import Sums
from ..shared_memory import PROTOCOL, Memory, read_block, write_block
from .process import Child

TICK = 0.1
"seconds until it is asked again whether anybody still wants the answer"
FOREIGN = 20
"lines of others before the worker's first: what shells and site packages greet with"
AS_COMPUTED = np.dtype(np.float32), None
"type and nodata value of what is handed on as it is"

log = logging.getLogger("ssdiff")


class _WentIdle(Exception):
    "The process had just ended for want of work when a request came."


@dataclass(frozen=True)
class Asker:
    """Who waits for an answer: what it wants to hear meanwhile, and whether it still wants to."""

    notify: Callable[[str], None] = log.warning
    progress: Callable[[float], None] = lambda share: None
    "called with the share done, ten times a second even if nothing is new: what it raises ends the process"
    cancelled: Callable[[], bool] = lambda: False
    serve: Callable[[Memory, dict], dict] | None = None
    "answers what the process wants to know meanwhile (see serving.py)"


class _Closing(AbstractContextManager):
    """Closed at the end of a with."""

    def __exit__(self, *_) -> None:
        self.close()


class Worker(_Closing):
    """One process at a time, for any number of engines; used from any thread, one request after the other."""

    def __init__(self, python: str | os.PathLike, *, idle: float = 60, patience: float = 60, start: float = 300):
        """idle: seconds without a request after which the process ends.

        patience: seconds without a sign of life after which it is taken for hung; start: the same for the first one,
        as torch may take minutes to be imported where a virus scanner looks on.
        """
        self.python, self._idle, self._patience, self._start = os.fspath(python), idle, patience, start
        self._child: Child | None = None
        self.turn = threading.RLock()

    def __repr__(self) -> str:
        return f"Worker({self.python}, {f'process {self.pid}' if self.pid else 'not running'})"

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return self._child.process.pid if self._child and self._child.runs else None

    @property
    def log(self) -> str:
        """The last words of the process, or of the one before."""
        return self._child.log if self._child else ""

    def close(self) -> None:
        """Ends the process, whatever it is doing; from any thread."""
        if self._child:
            self._child.end()

    def hello(self, asker: Asker = Asker()) -> dict:
        """Versions, and which devices are proved to compute; starts the process if there is none."""
        with self.turn:
            return self.child(asker).hello

    def request(self, asker: Asker, command: str, **what) -> dict:
        """What the process answers to a request that needs nothing that was opened before."""
        return self.again(lambda: self.ask(self.child(asker), asker, command, **what))

    def again(self, work: Callable):
        """Does the work; once more if the process ended for want of work just as the request was on its way."""
        with self.turn:
            try:
                return work()
            except _WentIdle:
                return work()

    def child(self, asker: Asker) -> Child:
        """The process: the one that runs, or a new one that has said hello."""
        if self._child and self._child.runs:
            return self._child
        self.close()
        self._child = child = Child(self.python, self._idle)
        try:
            hello = self.ask(child, asker, "hello", patience=self._start)
            if hello.get("protocol") != PROTOCOL:
                raise WorkerError(
                    f"{self.python} runs SSDiff {hello.get('ssdiff')}, which speaks protocol {hello.get('protocol')} "
                    f"and not {PROTOCOL}: restart the program after an update of SSDiff",
                    child.log,
                )
        except BaseException:
            child.end()
            raise
        child.hello = hello
        return child

    def ask(self, child: Child, asker: Asker, command: str, patience: float | None = None, **what) -> dict:
        """What the process answers. An error that it tells of leaves it as it was; anything else ends it."""
        share = 0.0
        try:
            child.send({"ask": command, **what})
            for message in self._messages(child, asker, self._patience if patience is None else patience):
                if message["type"] in ("done", "error"):
                    break
                if message["type"] == "say":
                    asker.notify(str(message.get("sentence")))
                elif message["type"] == "want":
                    child.send(asker.serve(child.memory, message["what"]))
                share = message.get("share", share)
                asker.progress(share)
        except BaseException:
            child.end()
            raise
        if message["type"] == "error":
            raise _as_told(message, child)
        return message

    def _messages(self, child: Child, asker: Asker, patience: float) -> Iterator[dict]:
        """What the process says, and about ten times a second that it says nothing.

        Seconds are counted, not read from a clock, so that a computer that slept is no process that hangs.
        """
        silent, foreign = 0.0, 0
        while True:
            if asker.cancelled():
                raise Cancelled("cancelled")
            try:
                line, silent = child.lines.get(timeout=TICK), 0.0
            except queue.Empty:
                silent += TICK
                if child.ended:
                    raise child.lost() from None
                if silent > patience:
                    raise WorkerError(_hangs(child, patience), child.log) from None
                yield {"type": "silence"}
                continue
            message = _understood(line) if line else None
            if message and message["type"] == "bye":
                raise _WentIdle
            if message:
                yield message
            elif not line:
                raise child.lost()
            elif child.hello or foreign == FOREIGN:
                raise WorkerError(
                    f"{self.python} answers what no worker of SSDiff says ({line[:60]!r}): choose another Python",
                    child.log,
                )
            else:
                foreign += 1


class _Engine(_Closing):
    """An engine that computes in the worker's process; it is opened there again whenever that is another one."""

    def __init__(self, worker: Worker, asker: Asker, command: str, wishes: dict):
        self.worker, self._asker, self._command, self._wishes = worker, asker, command, wishes
        self._home: Child | None = None
        self.worker.again(self._at_home)

    def fuse(self, block: Block, progress: Callable[[float], None] | None = None) -> np.ndarray:
        """As engine.Engine.fuse, and the same to the last bit. What progress raises ends the process."""
        return self.fuse_counts(block, [AS_COMPUTED], progress)[0][0]

    def fuse_counts(self, block: Block, kinds: Sequence[tuple[np.dtype, float | None]], progress=None) -> list:
        """As counts.in_counts: what each file shall hold, and the sums of its bands."""
        return self.worker.again(lambda: self._fuse(block, kinds, progress))

    def close(self) -> None:
        """Frees what the process holds for this engine; the process stays for others."""
        with self.worker.turn:
            if self._home and self._home.runs:
                self.worker.again(lambda: self.worker.ask(self._home, self._asker, "close", engine=self._number))
            self._home = None

    def _fuse(self, block: Block, kinds, progress) -> list[tuple[np.ndarray, tuple[Sums, ...]]]:
        child = self._at_home()
        told = write_block(child.memory, block, [dtype for dtype, _ in kinds])
        _, answers = read_block(child.memory, told)
        asker = replace(self._asker, progress=progress or (lambda share: None))
        nodata = [value for _, value in kinds]
        said = self.worker.ask(child, asker, "fuse", engine=self._number, block=told, nodata=nodata)
        sums = [tuple(Sums(*band) for band in bands) for bands in said["sums"]]
        return [(answer.copy(), of_bands) for answer, of_bands in zip(answers, sums)]

    def _at_home(self) -> Child:
        """The process, with this engine open in it."""
        child = self.worker.child(self._asker)
        if child is not self._home:
            told = self.worker.ask(child, self._asker, self._command, **self._wishes)
            self._number, self._home = told["engine"], child
            self.reach, self.ms_halo = told["reach"], told["ms_halo"]
            self._opened(told)
        return child

    def _opened(self, told: dict) -> None:
        """What else the process has told of the engine."""


class RemoteEngine(_Engine):
    """A network (see engine.Engine for the protocol)."""

    def __init__(
        self,
        worker: Worker,
        weights: str | os.PathLike,
        device: str = "auto",
        *,
        steps: int | None = None,
        samples: int | None = None,
        seed: int = 0,
        groups: Iterable[Iterable[int]] = (),
        notify: Callable[[str], None] = log.warning,
        cancelled: Callable[[], bool] = lambda: False,
    ):
        """groups: of bands, as groups.groups answers them, for weights that take fewer bands than MS has.

        cancelled: asked ten times a second; once it is true, the process is ended and Cancelled raised.
        """
        bands = [[int(band) for band in group] for group in groups]
        path = os.path.abspath(weights)  # the process has a folder of its own
        wishes = {"weights": path, "device": device, "steps": steps, "samples": samples, "seed": seed, "groups": bands}
        super().__init__(worker, Asker(notify=notify, cancelled=cancelled), "open", wishes)

    def fuse_with_spread(self, block: Block, progress: Callable[[float], None] | None = None):
        """As engine.Engine.fuse_with_spread."""
        return tuple(image for image, _ in self.fuse_counts(block, [AS_COMPUTED] * 2, progress))

    def __repr__(self) -> str:
        return f"RemoteEngine({self.id}, {self.device}, {self.steps} steps, {self.worker})"

    def _opened(self, told: dict) -> None:
        self.id, self.sha256, self.steps, self.device = (told[key] for key in ("id", "sha256", "steps", "device"))


class RemoteClassical(_Engine):
    """A classical method (see classical.Classical)."""

    def __init__(self, worker: Worker, method: str, ratio: float, *, notify=log.warning, cancelled=lambda: False):
        self.method = method
        asker = Asker(notify=notify, cancelled=cancelled)
        super().__init__(worker, asker, "classical", {"method": method, "ratio": float(ratio)})

    def __repr__(self) -> str:
        return f"RemoteClassical({self.method}, {self.worker})"


def _understood(line: bytes) -> dict | None:
    """A line of the worker's, or None if it is none."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) and isinstance(message.get("type"), str) else None


def _as_told(message: dict, child: Child) -> SSDiffError:
    """The error that the process met, as it would have been raised in this one."""
    kind = getattr(errors, str(message.get("kind")), None)
    sentence = str(message.get("sentence"))
    if isinstance(kind, type) and issubclass(kind, SSDiffError) and kind is not WorkerError:
        return kind(sentence)
    time.sleep(TICK)  # what it said to nobody in particular comes another way
    return WorkerError(sentence, child.log)


def _hangs(child: Child, patience: float) -> str:
    if child.hello:
        return f"the computing process has given no sign of life for {patience:g} seconds and was ended: try once more"
    return f"{child.python} has not started SSDiff within {patience:g} seconds: choose another Python"
