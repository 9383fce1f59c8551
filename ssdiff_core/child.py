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
from pathlib import Path

from .errors import WorkerError
from .wire import Memory

HOME = Path(__file__).resolve().parents[1]
"the folder that ssdiff_core lies in"
START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from ssdiff_core.worker import main; main()"
"python -m would look for the worker where PYTHONPATH and the current folder say; -I asks neither, nor user packages"
MISLEADING = ("PYTHON", "QGIS", "GDAL", "PROJ", "OGR_", "QT_", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "DYLD_")
"how variables begin that are meant for the program that asks, and would mislead another Python"
LINE = 1 << 20
"bytes that a line may have"
LAST_WORDS = 100
"lines that are kept of what the process says to nobody in particular"


class Child:
    def __init__(self, python: str, idle: float):
        self.python, self.hello = python, {}
        self.lines: queue.Queue = queue.Queue()
        "what the process says, line by line; None: nothing more will come"
        self._words: deque = deque(maxlen=LAST_WORDS)
        self.memory = Memory.make()
        number, how = self.memory.for_child()
        command = [python, "-I", "-c", START, str(HOME), "--memory", str(number), "--idle", str(idle)]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        hidden = getattr(subprocess, "CREATE_NO_WINDOW", 0)
        try:
            self.process = subprocess.Popen(
                command, **pipes, **how, bufsize=0, env=environment(), cwd=HOME, creationflags=hidden
            )
        except OSError as error:
            self.memory.close()
            raise WorkerError(
                f"the Python interpreter {python} cannot be started ({error.strerror or error}): choose another one"
            ) from None
        self._ended = threading.Lock()
        threading.Thread(target=_read, args=(self.process.stdout, self.lines.put), daemon=True).start()
        self._listener = threading.Thread(target=_read, args=(self.process.stderr, self._words.append), daemon=True)
        self._listener.start()

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    @property
    def log(self) -> str:
        """Its last words."""
        return b"".join(word for word in tuple(self._words) if word).decode("utf-8", "replace")

    def send(self, request: dict) -> None:
        """From a thread of its own: a process that has stopped reads nothing, and a pipe holds only so much."""
        line = json.dumps(request, default=float).encode() + b"\n"
        threading.Thread(target=_write, args=(self.process.stdin, line), daemon=True).start()

    def end(self) -> None:
        """Kills it and lets go of what was shared with it. Behind a script, its closed standard input ends it."""
        if not self._ended.acquire(blocking=False):
            return
        self.process.kill()
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(2)
        self._listener.join(1)
        self.memory.close()

    def lost(self) -> WorkerError:
        """What to say when it is gone."""
        self.end_of_words()
        last = (self.log.strip().splitlines() or [""])[-1]
        code = self.process.returncode
        if not self.hello:
            return WorkerError(f"{self.python} cannot run SSDiff: {last or f'it ended with code {code}'}", self.log)
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            return WorkerError(
                f"the computing process was ended from outside ({name}), as systems do that run out of memory: "
                "allow less memory or choose another device",
                self.log,
            )
        return WorkerError(f"the computing process ended by itself, with code {code}: {last or 'no word'}", self.log)

    def end_of_words(self) -> None:
        """Waits a little for the last of them."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(2)
        self._listener.join(1)


def environment() -> dict[str, str]:
    """The environment, without what is meant for the Python and the libraries of this process."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(MISLEADING)}


def _read(pipe, use) -> None:
    """All lines of a pipe, and at its end None."""
    with contextlib.suppress(OSError, ValueError), io.BufferedReader(pipe) as lines:
        while True:
            line = lines.readline(LINE)
            if not line:
                break
            use(line)
    use(None)


def _write(pipe, line: bytes) -> None:
    """A pipe whose other end is gone is told by the silence that follows."""
    with contextlib.suppress(OSError, ValueError):
        while line:
            line = line[pipe.write(line) :]
