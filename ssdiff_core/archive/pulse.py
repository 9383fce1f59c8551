"""Messages by which tasks tell the client that they compute."""

from __future__ import annotations

import threading
import time

PULSE_SECONDS = 2.0
"time between two messages of a task"
RUNS, ENDED = "runs", "ended"
"states of a task"


class Pulse:
    """Reports the progress of a task while it runs; a context manager.

    worker: the Dask worker. task: the name of a scene, or SCENE#NUMBER for a part of one.
    """

    def __init__(self, worker, topic: str, task: str):
        self.worker, self._topic, self._task = worker, topic, task
        self._share, self._beats, self._stop = 0.0, 0, threading.Event()

    def report(self, share: float) -> None:
        """Receives the share of the task that is done."""
        self._share, self._beats = share, self._beats + 1

    def beat(self) -> None:
        """Receives that something has been done which has no share."""
        self._beats += 1

    def __enter__(self) -> Pulse:
        self._send(RUNS)
        threading.Thread(target=self._repeat, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._send(ENDED)

    def _repeat(self) -> None:
        while not self._stop.wait(PULSE_SECONDS):
            self._send(RUNS)

    def _send(self, state: str) -> None:
        message = {"task": self._task, "worker": self.worker.address, "state": state, "share": self._share}
        self.worker.log_event(self._topic, {**message, "beats": self._beats, "cpu": time.process_time()})
