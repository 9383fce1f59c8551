"""Handle of the computing process in the requesting program: pipes, last output, shared memory and end."""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque

from ...common.errors import Cancelled, SSDiffError, WorkerError
from ...common.isolated_python import CODE_FOLDER, NO_WINDOW, command, environment
from ...common.notices import Notice, notice
from ..shared_memory import Memory

MAXIMUM_LINE = 1 << 20
"length of a line in bytes"
MAXIMUM_QUEUED_LINES = 1000
"lines that may wait to be read; a process that prints more has to wait"
EXIT_SECONDS = 2.0
"time that a process has for its exit after it has closed its output"
MAXIMUM_LOG_LINES = 100
"last lines of standard error that are kept"
WINDOWS_CRASH_CODES = 0xC0000000
"smallest exit code with which Windows ends a process that has crashed; these codes are known in hexadecimal form"


class WorkerProcess:
    """One process of the worker, from its start to its end."""

    def __init__(self, python: str, idle: float):
        """idle: seconds without a request after which the process ends."""
        self.python, self.hello = python, {}
        self.lines: queue.Queue = queue.Queue(MAXIMUM_QUEUED_LINES)
        "lines of standard output; None after the last one"
        self._log_lines: deque = deque(maxlen=MAXIMUM_LOG_LINES)
        self.memory = Memory.make()
        number, popen_arguments = self.memory.for_child()
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        try:
            self.popen = subprocess.Popen(  # nosec B603
                command(python, "worker.server.main", "--memory", str(number), "--idle", str(idle)),
                **pipes,
                **popen_arguments,
                bufsize=0,
                env={name: value for name, value in environment().items() if not name.upper().endswith("_PROXY")},
                cwd=CODE_FOLDER,
                creationflags=NO_WINDOW,
                start_new_session=True,  # a group with its own children, which a Ctrl-C does not reach
            )
        except OSError as error:
            self.memory.close()
            raise WorkerError(
                notice("python_unstartable", python=str(python), reason=error.strerror or str(error))
            ) from None
        self._ending, self._over = threading.Lock(), threading.Event()
        threading.Thread(target=self._read, args=(self.popen.stdout, self._queue_line), daemon=True).start()
        self._log_reader = threading.Thread(
            target=self._read, args=(self.popen.stderr, self._log_lines.append), daemon=True
        )
        self._log_reader.start()

    @property
    def runs(self) -> bool:
        self.kill_orphans()
        return self.popen.poll() is None

    @property
    def ended(self) -> bool:
        """Whether this program has ended the process."""
        return self._ending.locked()

    @property
    def log(self) -> str:
        """Last lines of standard error."""
        return b"".join(line for line in tuple(self._log_lines) if line).decode("utf-8", "replace")

    def send(self, message: dict) -> None:
        """Sends a line in a separate thread: a stopped process reads nothing, and a full pipe would block."""
        line = json.dumps(message, default=float).encode() + b"\n"
        threading.Thread(target=_write, args=(self.popen.stdin, line), daemon=True).start()

    def end(self) -> None:
        """Kills the process with all its children and releases the shared memory. Further calls do nothing."""
        if not self._ending.acquire(blocking=False):
            return
        self._kill()
        with contextlib.suppress(OSError):
            self.popen.stdin.close()
        self._wait()
        self._over.set()
        self.memory.close()

    def kill_orphans(self) -> None:
        """Kills the children of a process that has ended: they would keep its output open."""
        if self.popen.returncode is None and _has_ended(self.popen.pid):
            self._kill_group()

    def _kill(self) -> None:
        """Kills the process group, in case a script started Python; what remains ends when standard input closes."""
        if self.runs:
            self._kill_group()
        self.popen.kill()

    def _kill_group(self) -> None:
        """Kills the process and its children, before its exit code is read: then its number may be that of another."""
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self.popen.pid, signal.SIGKILL)

    def exit_error(self) -> SSDiffError:
        """Returns the error that explains why the process is gone."""
        if self.ended:
            return Cancelled("the computing process was closed")
        self._wait()
        last_line = (self.log.strip().splitlines() or [""])[-1]
        code = self.popen.returncode
        if not self.hello:
            python = str(self.python)
            if last_line:
                return WorkerError(notice("python_fails", python=python, reason=last_line), self.log)
            return WorkerError(notice("python_ended", python=python, code=code), self.log)
        if code and code == -getattr(signal, "SIGKILL", 0):
            return WorkerError(notice("worker_killed"), self.log)
        values = {"how": _describe_exit(code), "reason": last_line or notice("worker_without_output")}
        return WorkerError(notice("worker_ended", **values), self.log)

    def _wait(self) -> None:
        """Waits for the end of the process, and briefly for its last output."""
        end = time.monotonic() + EXIT_SECONDS
        while self.runs and time.monotonic() < end:
            time.sleep(0.01)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(0)
        self._log_reader.join(1)

    def _queue_line(self, line: bytes | None) -> None:
        while not self._over.is_set():
            with contextlib.suppress(queue.Full):
                return self.lines.put(line, timeout=0.1)

    def _read(self, pipe, receive) -> None:
        """Passes all lines of a pipe to `receive`, and None at its end."""
        with contextlib.suppress(OSError, ValueError), io.BufferedReader(pipe) as lines:
            while not self._over.is_set():
                line = lines.readline(MAXIMUM_LINE)
                if not line:
                    break
                receive(line)
        receive(None)


def _has_ended(pid: int) -> bool:
    """Returns whether a child has ended whose exit code has not been read; False where the system cannot tell."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except (AttributeError, OSError):  # Windows, and macOS before Python 3.13
        return False


def _describe_exit(code: int | None) -> Notice:
    """Returns a description of how a process ended unexpectedly."""
    if code is None:
        return notice("worker_unresponsive")
    if code < 0:
        names = {one.value: one.name for one in signal.Signals}
        return notice("worker_crashed", reason=names.get(-code, f"signal {-code}"))
    if code >= WINDOWS_CRASH_CODES:
        return notice("worker_crashed", reason=f"0x{code:X}")
    return notice("worker_exited", code=code)


def _write(pipe, line: bytes) -> None:
    """Writes a line. A closed pipe is ignored, because the missing answer is reported."""
    with contextlib.suppress(OSError, ValueError):
        while line:
            line = line[pipe.write(line) :]
