"""The process that computes, seen from the one that started it: its pipes, its last words, its memory, its end."""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import signal
import subprocess
import threading
from collections import deque

from ...common.errors import Cancelled, SSDiffError, WorkerError
from ...common.isolated_python import HIDDEN, HOME, command, environment
from ..shared_memory import Memory

LINE = 1 << 20
"bytes that a line may have"
WAITING = 1000
"lines that may wait to be heard; who says more has to wait"
LAST_WORDS = 100
"lines that are kept of what the process says to nobody in particular"
CRASHES = 0xC0000000
"from here on the codes with which Windows ends a process that has crashed, known by their hexadecimal form"


class Child:
    def __init__(self, python: str, idle: float):
        self.python, self.hello = python, {}
        self.lines: queue.Queue = queue.Queue(WAITING)
        "what the process says, line by line; None: nothing more will come"
        self._words: deque = deque(maxlen=LAST_WORDS)
        self.memory = Memory.make()
        number, how = self.memory.for_child()
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        try:
            self.process = subprocess.Popen(  # nosec B603
                command(python, "worker.server.main", "--memory", str(number), "--idle", str(idle)),
                **pipes,
                **how,
                bufsize=0,
                env=environment(),
                cwd=HOME,
                creationflags=HIDDEN,
                start_new_session=True,  # with all that it may start itself, and beyond the reach of a Ctrl-C
            )
        except OSError as error:
            self.memory.close()
            raise WorkerError(
                f"the Python interpreter {python} cannot be started ({error.strerror or error}): choose another one"
            ) from None
        self._ending, self._over = threading.Lock(), threading.Event()
        threading.Thread(target=self._read, args=(self.process.stdout, self._hear), daemon=True).start()
        self._listener = threading.Thread(
            target=self._read, args=(self.process.stderr, self._words.append), daemon=True
        )
        self._listener.start()

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    @property
    def ended(self) -> bool:
        """Whether it was ended by this program."""
        return self._ending.locked()

    @property
    def log(self) -> str:
        """Its last words."""
        return b"".join(word for word in tuple(self._words) if word).decode("utf-8", "replace")

    def send(self, request: dict) -> None:
        """From a thread of its own: a process that has stopped reads nothing, and a pipe holds only so much."""
        line = json.dumps(request, default=float).encode() + b"\n"
        threading.Thread(target=_write, args=(self.process.stdin, line), daemon=True).start()

    def end(self) -> None:
        """Kills it, with all that it has started, and lets go of what was shared with it. Once is enough."""
        if not self._ending.acquire(blocking=False):
            return
        self._kill()
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self._wait()
        self._over.set()
        self.memory.close()

    def _kill(self) -> None:
        """Who has started it behind a script is killed too; what that script has left ends with its standard input."""
        with contextlib.suppress(OSError):
            if self.runs and hasattr(os, "killpg"):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()

    def lost(self) -> SSDiffError:
        """What to say when it is gone."""
        if self.ended:
            return Cancelled("the computing process was closed")
        self._wait()
        last = (self.log.strip().splitlines() or [""])[-1]
        code = self.process.returncode
        if not self.hello:
            return WorkerError(f"{self.python} cannot run SSDiff: {last or f'it ended with code {code}'}", self.log)
        if code and code == -getattr(signal, "SIGKILL", 0):
            return WorkerError(
                "the computing process was killed from outside, as systems do that run out of memory: "
                "allow less memory or choose another device",
                self.log,
            )
        return WorkerError(f"the computing process {_ended(code)}: {last or 'it said nothing'}", self.log)

    def _wait(self) -> None:
        """For its end, and a little for its last words."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(2)
        self._listener.join(1)

    def _hear(self, line: bytes | None) -> None:
        while not self._over.is_set():
            with contextlib.suppress(queue.Full):
                return self.lines.put(line, timeout=0.1)

    def _read(self, pipe, use) -> None:
        """All lines of a pipe, and at its end None."""
        with contextlib.suppress(OSError, ValueError), io.BufferedReader(pipe) as lines:
            while not self._over.is_set():
                line = lines.readline(LINE)
                if not line:
                    break
                use(line)
        use(None)


def _ended(code: int | None) -> str:
    """How a process has ended that was not asked to."""
    if code is None:
        return "answers no more"
    if code < 0:
        names = {one.value: one.name for one in signal.Signals}
        return f"has crashed ({names.get(-code, f'signal {-code}')})"
    return f"has crashed (0x{code:X})" if code >= CRASHES else f"has ended (code {code})"


def _write(pipe, line: bytes) -> None:
    """A pipe whose other end is gone is told by the silence that follows."""
    with contextlib.suppress(OSError, ValueError):
        while line:
            line = line[pipe.write(line) :]
