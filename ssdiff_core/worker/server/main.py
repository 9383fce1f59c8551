"""A process that computes, for a program that must not have torch in its own: `python -m ssdiff_core.worker`.

It needs torch, numpy and safetensors. Requests come as lines of JSON on standard input, each is answered by lines of
JSON on standard output, and blocks lie in memory that both see (wire.py):

    {"ask": "hello"}                                protocol, versions, devices
    {"ask": "open", "weights": FILE, ...}           a network: its number, reach, ms_halo and what its card says
    {"ask": "classical", "method": NAME, ...}       the same of a classical method
    {"ask": "fuse", "engine": NUMBER, "block": ...} the answer lies in the memory
    {"ask": "close", "engine": NUMBER}
    {"ask": "stats", "scene": ..., ...}             what belongs to the whole scene
    {"ask": "assess", "study": ..., ...}            what was measured, and a report if that is wished
    {"ask": "adapt", "scenes": ..., "job": ...}     what came of adapting weights, which lie where the job says
    {"ask": "bye"}

`stats`, `assess` and `adapt` go over scenes whose files they do not open: a line of type `want` asks for a block, and
the next line that comes in says where in the memory that lies.

The last line for a request is of type `done` or `error`; before it come `progress`, `notify` (a sentence for the user)
and, as long as the process is at it, `alive`. An error is the request's alone. The process ends when it is idle too
long, with a line `bye`, and at once when standard input closes: then whoever asked is gone.
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

BEAT = 1.0
"seconds between two signs of life"
OFTEN = 0.05
"seconds between two words on progress"
IDLE = 300.0
"seconds without a request after which it ends"
PATIENT = {"OMP_WAIT_POLICY": "passive"}
"else threads that wait for each other keep the processor from the very ones they wait for, once others want it too"


class Voice:
    """Where answers go. Its lines stay whole, whichever thread speaks."""

    def __init__(self, out):
        self._out, self._one = out, threading.Lock()
        self._last = 0.0

    def tell(self, kind: str, /, **what) -> None:
        line = json.dumps({"type": kind, **what}).encode() + b"\n"
        with self._one:
            self._out.write(line)
            self._out.flush()

    def notify(self, sentence: str) -> None:
        self.tell("say", sentence=sentence)

    def progress(self, share: float) -> None:
        if time.monotonic() - self._last > OFTEN:
            self._last = time.monotonic()
            self.tell("progress", share=share)

    @contextlib.contextmanager
    def alive(self):
        """Signs of life meanwhile: nobody knows how long a batch of tiles takes, but who computes it can say so."""
        done = threading.Event()

        def beat() -> None:
            with contextlib.suppress(OSError):  # who asked is gone: listen() ends all
                while not done.wait(BEAT):
                    self.tell("alive")

        heart = threading.Thread(target=beat, daemon=True)
        heart.start()
        try:
            yield
        finally:
            done.set()
            heart.join()


def serve(inbox: queue.Queue, voice: Voice, memory: int, idle: float) -> None:
    """Answers requests until one is `bye`, or none comes any more."""
    with voice.alive():  # to import torch takes a while
        from ..shared_memory import Memory
        from .service import Service

    def want(what: dict) -> dict:
        voice.tell("want", what=what)
        return json.loads(inbox.get())

    service = Service(Memory.inherited(memory), voice.notify, voice.progress, want)
    with contextlib.suppress(queue.Empty):
        while answer(service, voice, inbox.get(timeout=idle)):
            pass
    voice.tell("bye")


def answer(service, voice: Voice, line: bytes) -> bool:
    """Does what a line asks for and tells what came of it. Whether more may be asked."""
    from .service import in_short

    try:
        asked = json.loads(line)
        command = asked.pop("ask")
        if command == "bye":
            return False
        with voice.alive():
            done = service.do(command, asked)
        voice.tell("done", **done)
    except BrokenPipeError:  # nobody listens any more
        return False
    except Exception as error:
        traceback.print_exc()
        voice.tell("error", **in_short(error))
    return True


# --- the process -----------------------------------------------------------------------------------------------------


def own_stdout():
    """Standard output for the answers alone: what anything else prints, libraries in C too, goes to standard error."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return out


def listen(inbox: queue.Queue) -> None:
    """Hands on the lines of standard input. Its end is the end, in the middle of a computation too."""
    for line in sys.stdin.buffer:
        inbox.put(line)
    os._exit(0)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="ssdiff_core.worker", description="computes for another program")
    parser.add_argument("--memory", type=int, required=True, help="the open file that blocks are handed over in")
    parser.add_argument("--idle", type=float, default=IDLE, help="seconds without a request after which it ends")
    options = parser.parse_args(arguments)
    voice, inbox = Voice(own_stdout()), queue.Queue()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the program that asks
    threading.Thread(target=listen, args=(inbox,), daemon=True).start()
    for name, value in PATIENT.items():  # torch reads it when it is imported
        os.environ.setdefault(name, value)
    try:
        serve(inbox, voice, options.memory, options.idle)
    except (ImportError, OSError) as error:  # OSError: a library that torch brings cannot be loaded; or nobody listens
        traceback.print_exc()
        with contextlib.suppress(OSError):
            voice.tell("error", kind="WorkerError", sentence=f"{sys.executable} cannot compute: {error}")
    sys.stderr.flush()
    os._exit(0)  # in no way held up by threads or by what a driver does at an exit


if __name__ == "__main__":
    main()
