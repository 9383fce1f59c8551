"""Entry point of the computing process: `python -m ssdiff_core.worker`.

The process computes for a program that must not import torch. It needs torch, numpy and safetensors. Requests are lines
of JSON on standard input, each is answered by lines of JSON on standard output, and arrays are exchanged through
shared memory (`worker.shared_memory`):

    {"ask": "hello"}                                protocol, versions, devices
    {"ask": "open", "weights": FILE, ...}           opens a network: number, reach, ms_halo, entries of its card
    {"ask": "classical", "method": NAME, ...}       opens a classical method: number, reach, ms_halo
    {"ask": "fuse", "engine": NUMBER, "block": ...} fuses a block; the image is in the shared memory
    {"ask": "close", "engine": NUMBER}              closes an engine
    {"ask": "stats", "scene": ..., ...}             statistics of a whole scene
    {"ask": "adapt", "scenes": ..., "job": ...}     adapts weights, which are written to the path in the job
    {"ask": "bye"}                                  ends the process

`stats` and `adapt` need scenes whose files this process does not open: a line of type `read` requests a block, and the
next line of standard input describes its layout in the shared memory.

The last line for a request is of type `done` or `error`. Before it come lines of type `progress`, `notice` (kind and
values of a message to the user) and, as long as the process is busy, `alive`. After an error the next request is
answered as usual. The process ends when it is idle too long, with a line of type `bye`, and at once when standard input
closes, because then the requesting program is gone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback

from ...common.notices import Notice, described

ALIVE_SECONDS = 1.0
"time between two lines of type alive"
PROGRESS_SECONDS = 0.05
"shortest time between two lines of type progress"
IDLE_SECONDS = 300.0
"time without a request after which the process ends"
THREAD_SETTINGS = {"OMP_WAIT_POLICY": "passive"}
"otherwise waiting OpenMP threads keep processors busy that computing threads need"


class Responder:
    """Writes the answers as lines; any thread may use it."""

    def __init__(self, out):
        self._out, self._lock = out, threading.Lock()
        self._last_progress = 0.0

    def send(self, kind: str, /, **values) -> None:
        line = json.dumps({"type": kind, **values}).encode() + b"\n"
        with self._lock:
            self._out.write(line)
            self._out.flush()

    def notify(self, notice: Notice) -> None:
        self.send("notice", **described(notice))

    def progress(self, share: float) -> None:
        if time.monotonic() - self._last_progress > PROGRESS_SECONDS:
            self._last_progress = time.monotonic()
            self.send("progress", share=share)

    @contextlib.contextmanager
    def alive(self):
        """Sends lines of type alive during the with block, as the duration of a computation is unknown."""
        done = threading.Event()

        def repeat() -> None:
            with contextlib.suppress(OSError):  # the requesting program is gone: read_requests() ends the process
                while not done.wait(ALIVE_SECONDS):
                    self.send("alive")

        thread = threading.Thread(target=repeat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def serve(pending: queue.Queue, responder: Responder, memory: int, idle: float) -> None:
    """Answers requests until one is `bye`, or none arrives for `idle` seconds."""
    with responder.alive():  # importing torch takes a while
        from ..shared_memory import Memory
        from .service import Service

    def read(request: dict) -> dict:
        responder.send("read", request=request)
        return json.loads(pending.get())

    service = Service(Memory.inherited(memory), responder.notify, responder.progress, read)
    with contextlib.suppress(queue.Empty):
        while answer(service, responder, pending.get(timeout=idle)):
            pass
    responder.send("bye")


def answer(service, responder: Responder, line: bytes) -> bool:
    """Runs one request and sends its result or error. Returns whether to wait for further requests."""
    from .service import describe_error

    try:
        request = json.loads(line)
        command = request.pop("ask")
        if command == "bye":
            return False
        with responder.alive():
            result = service.run(command, request)
        responder.send("done", **result)
    except BrokenPipeError:  # the requesting program is gone
        return False
    except Exception as error:
        traceback.print_exc()
        responder.send("error", **describe_error(error))
    return True


# --- the process -----------------------------------------------------------------------------------------------------


def reserve_stdout():
    """Returns standard output for the answers, and redirects all other output to standard error, that of C too."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return out


def read_requests(pending: queue.Queue) -> None:
    """Queues the lines of standard input; ends the process when it closes, in the middle of a computation too."""
    for line in sys.stdin.buffer:
        pending.put(line)
    os._exit(0)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="ssdiff_core.worker", description="Computes for another program.")
    parser.add_argument("--memory", type=int, required=True, help="Open file of the shared memory.")
    parser.add_argument(
        "--idle",
        type=float,
        default=IDLE_SECONDS,
        help="Seconds without a request after which the process ends.",
    )
    options = parser.parse_args(arguments)
    responder, pending = Responder(reserve_stdout()), queue.Queue()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is meant for the requesting program
    threading.Thread(target=read_requests, args=(pending,), daemon=True).start()
    for name, value in THREAD_SETTINGS.items():  # torch reads them when it is imported
        os.environ.setdefault(name, value)
    try:
        serve(pending, responder, options.memory, options.idle)
    except (ImportError, OSError) as error:  # OSError: a library of torch cannot be loaded, or the pipe is closed
        traceback.print_exc()
        with contextlib.suppress(OSError):
            responder.send("error", kind="WorkerError", sentence=f"{sys.executable} cannot compute: {error}")
    sys.stderr.flush()
    os._exit(0)  # threads and exit handlers of drivers must not delay the end


if __name__ == "__main__":
    main()
