"""Threads that pass items to each other through queues and end together after an error or an interrupt."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence

STUCK_SECONDS = 120
"""time after which threads are given up if another one had too little memory: OpenBLAS would try to get some without
end"""
POLL_SECONDS = 0.1
"time after which a waiting thread checks whether to stop"


class Stopped(Exception):
    "Raised in a waiting thread when another one has failed or the work was interrupted."


class StoppableQueue:
    """A queue between threads whose waiting methods raise Stopped once the event `stop` is set."""

    def __init__(self, stop: threading.Event, size: int = 1):
        """size: number of items that the queue holds before `put` waits; 0: unlimited."""
        self._queue, self._stop = queue.Queue(size), stop

    def put(self, item) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(queue.Full):
                return self._queue.put(item, timeout=POLL_SECONDS)
        raise Stopped

    def get(self):
        while not self._stop.is_set():
            with contextlib.suppress(queue.Empty):
                return self._queue.get(timeout=POLL_SECONDS)
        raise Stopped

    def drain(self) -> list:
        """Removes all queued items and returns them, without waiting."""
        items = []
        with contextlib.suppress(queue.Empty):
            while True:
                items.append(self._queue.get_nowait())
        return items

    def end(self, consumers: int) -> None:
        """Marks the end of the items for this number of consumers."""
        for _ in range(consumers):
            self.put(None)

    def items(self) -> Iterator:
        """Yields items until the end."""
        return iter(self.get, None)


def run_threads(functions: Sequence[Callable[[], None]], stop: threading.Event, tick=lambda: None) -> None:
    """Runs each function in a separate thread, waits for all, and raises the first error of any of them.

    stop: set when a function fails or the calling thread is interrupted; the functions must then return.
    tick: called repeatedly in the calling thread, which only waits and so receives an interrupt at once.
    """
    failed: list[BaseException] = []
    ended = threading.Semaphore(0)  # Thread.join regards a thread as ended if it is interrupted itself
    running = 0

    def guarded(function: Callable[[], None]) -> None:
        try:
            function()
        except BaseException as error:
            failed.append(error)
            stop.set()
        finally:
            ended.release()

    try:
        for function in functions:  # starting one fails if memory or the number of threads is limited
            threading.Thread(target=guarded, args=(function,), daemon=True).start()
            running += 1
        while running and not failed:
            running -= ended.acquire(timeout=POLL_SECONDS)
            tick()
    finally:
        stop.set()
        waited = 0.0
        while running and not (waited > STUCK_SECONDS and _lacks_memory(failed)):
            with contextlib.suppress(KeyboardInterrupt):  # ignore a second interrupt: the threads are ending
                came = ended.acquire(timeout=POLL_SECONDS)
                running, waited = running - came, waited + (0 if came else POLL_SECONDS)
    if failed:
        raise next((error for error in failed if not isinstance(error, Stopped)), failed[0])


def _lacks_memory(failed: Sequence[BaseException]) -> bool:
    return any(isinstance(error, MemoryError) for error in failed)


class PerThread:
    """An object of which each thread has its own, such as an open dataset."""

    def __init__(self, make: Callable):
        self._make, self._local = make, threading.local()

    def __call__(self):
        """Returns the object of the calling thread; makes it on the first call."""
        if not hasattr(self._local, "value"):
            self._local.value = self._make()
        return self._local.value

    def close(self) -> None:
        """Releases the objects of all threads."""
        self._local = threading.local()
