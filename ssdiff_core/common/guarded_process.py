"""A program that is run to its end, line by line, and that never outlives whoever runs it.

Between the two stands a guard, this module in a process of its own: when its standard input ends, whoever started it is
gone, and it kills the program with all that this has started. So no installer goes on alone after a kill -9.
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

from .isolated_python import HIDDEN, command, environment

TICK = 0.1
"seconds between two questions whether anybody still wants it"
LINGERING = 2.0
"seconds that last words may take after the end"


def run(
    program: Sequence[str],
    hear: Callable[[str], None],
    *,
    tick: Callable[[], None] = lambda: None,
    guard: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> int:
    """The exit code. `hear` is called with each line, `tick` ten times a second: what either raises ends the program.

    guard: the Python that guards it; None: nobody does.
    """
    started = subprocess.Popen(  # nosec B603
        command(guard, "common.guarded_process", *program) if guard else list(program),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment() if environ is None else dict(environ),
        creationflags=HIDDEN,
        start_new_session=True,
    )
    lines: queue.Queue = queue.Queue()
    reader = threading.Thread(target=_read, args=(started.stdout, lines.put), daemon=True)
    reader.start()
    try:
        while started.poll() is None:
            tick()
            _hear_all(lines, hear)
        reader.join(LINGERING)
        _hear_all(lines, hear, wait=0)
        return started.returncode
    finally:
        _kill(started)
        started.stdin.close()
        started.wait()


def _read(pipe, use: Callable[[str], None]) -> None:
    with contextlib.suppress(OSError, ValueError), pipe:
        for line in pipe:
            use(line.decode("utf-8", "replace").rstrip())


def _hear_all(lines: queue.Queue, hear: Callable[[str], None], wait: float = TICK) -> None:
    """All lines that are there; if there are none, what comes within a moment."""
    with contextlib.suppress(queue.Empty):
        hear(lines.get(timeout=wait) if wait else lines.get_nowait())
        while True:
            hear(lines.get_nowait())


def _kill(program: subprocess.Popen) -> None:
    """With all that it has started. On POSIX it leads a group of its own, on Windows it is the root of a tree."""
    if os.name != "nt":
        with contextlib.suppress(OSError):
            os.killpg(program.pid, signal.SIGKILL)
    elif program.poll() is None:
        tree = ["taskkill", "/T", "/F", "/PID", str(program.pid)]
        subprocess.run(tree, capture_output=True, creationflags=HIDDEN, check=False)  # nosec B603


# --- the guard -------------------------------------------------------------------------------------------------------


def main() -> None:
    program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)  # nosec B603
    threading.Thread(target=_watch, args=(program,), daemon=True).start()
    os._exit(program.wait() & 0xFF)


def _watch(program: subprocess.Popen) -> None:
    """Waits for the end of standard input, which is the end of everything."""
    sys.stdin.buffer.read()
    if os.name != "nt":
        os.killpg(0, signal.SIGKILL)
    _kill(program)
    os._exit(1)
