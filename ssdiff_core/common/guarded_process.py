"""Runs a program to its end, reads its output by line, and kills it if the calling process ends first.

A guard process stands between the two: this module, run by another Python. When its standard input closes, the calling
process is gone, and the guard kills the program with all its children. So no installer keeps running after a kill -9.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence

from .isolated_python import NO_WINDOW, command, environment

TICK_SECONDS = 0.1
"time between two calls of `tick`"
LAST_OUTPUT_SECONDS = 2.0
"time to wait for the last output after the program has ended"


def run(
    program: Sequence[str],
    on_line: Callable[[str], None],
    *,
    tick: Callable[[], None] = lambda: None,
    guard: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> int:
    """Runs a program and returns its exit code.

    on_line: called with each line of output. tick: called ten times a second. An exception of either ends the program.
    guard: Python interpreter for the guard process; None: no guard.
    """
    process = subprocess.Popen(  # nosec B603
        command(guard, "common.guarded_process", *program) if guard else list(program),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment() if environ is None else dict(environ),
        creationflags=NO_WINDOW,
        start_new_session=True,
    )
    lines: queue.Queue = queue.Queue()
    reader = threading.Thread(target=_read, args=(process.stdout, lines.put), daemon=True)
    reader.start()
    try:
        while process.poll() is None:
            tick()
            _pass_on(lines, on_line)
        reader.join(LAST_OUTPUT_SECONDS)
        _pass_on(lines, on_line, wait=0)
        return process.returncode
    finally:
        _kill(process)
        process.stdin.close()
        process.wait()


def _read(pipe, receive: Callable[[str], None]) -> None:
    with contextlib.suppress(OSError, ValueError), pipe:
        for line in pipe:
            receive(line.decode("utf-8", "replace").rstrip())


def _pass_on(lines: queue.Queue, on_line: Callable[[str], None], wait: float = TICK_SECONDS) -> None:
    """Passes on all queued lines; if there are none, waits for the next one for `wait` seconds."""
    with contextlib.suppress(queue.Empty):
        on_line(lines.get(timeout=wait) if wait else lines.get_nowait())
        while True:
            on_line(lines.get_nowait())


def _kill(program: subprocess.Popen) -> None:
    """Kills a program with all its children: its process group on POSIX, its process tree on Windows."""
    if os.name != "nt":
        with contextlib.suppress(OSError):
            os.killpg(program.pid, signal.SIGKILL)
    elif program.poll() is None:
        tree = ["taskkill", "/T", "/F", "/PID", str(program.pid)]
        subprocess.run(tree, capture_output=True, creationflags=NO_WINDOW, check=False)  # nosec B603


# --- the guard process -----------------------------------------------------------------------------------------------


def main() -> None:
    """Runs the program in the arguments and exits with its exit code."""
    os.umask(os.umask(0o022) | 0o022)  # what the program installs must not be writable by others
    program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)  # nosec B603
    threading.Thread(target=_kill_at_end_of_input, args=(program,), daemon=True).start()
    os._exit(program.wait() & 0xFF)


def _kill_at_end_of_input(program: subprocess.Popen) -> None:
    """Waits until standard input closes, then kills the program and this process."""
    sys.stdin.buffer.read()
    if os.name != "nt":
        os.killpg(0, signal.SIGKILL)
    _kill(program)
    os._exit(1)
