"""Threads that hand things on to each other, and that all end when one of them fails or a person has had enough."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence

TICK = 0.1
"seconds until a thread that waits looks whether all is to stop"


class Stopped(Exception):
    "Another thread has failed, or the work was interrupted."


class Line:
    """A queue between threads; room for one thing, if nothing else is said, for any number if 0."""

    def __init__(self, stop: threading.Event, room: int = 1):
        self._queue, self._stop = queue.Queue(room), stop

    def put(self, item) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(queue.Full):
                return self._queue.put(item, timeout=TICK)
        raise Stopped

    def get(self):
        while not self._stop.is_set():
            with contextlib.suppress(queue.Empty):
                return self._queue.get(timeout=TICK)
        raise Stopped

    def rest(self) -> list:
        """What is there now, without waiting."""
        there = []
        with contextlib.suppress(queue.Empty):
            while True:
                there.append(self._queue.get_nowait())
        return there

    def end(self, getters: int) -> None:
        """Tells that many threads that nothing more will come."""
        for _ in range(getters):
            self.put(None)

    def items(self) -> Iterator:
        """What comes until the end."""
        return iter(self.get, None)


def together(works: Sequence[Callable[[], None]], stop: threading.Event, meanwhile=lambda: None) -> None:
    """Does all works, each in a thread of its own, and raises the first error that one of them met.

    The calling thread only waits and calls `meanwhile` from time to time: so it hears an interrupt at once.
    """
    failed: list[BaseException] = []
    ended = threading.Semaphore(0)  # Python's own join takes a thread for ended when it is interrupted
    running = len(works)

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)
            stop.set()
        finally:
            ended.release()

    for work in works:
        threading.Thread(target=guarded, args=(work,), daemon=True).start()
    try:
        while running:
            running -= ended.acquire(timeout=TICK)
            meanwhile()
    finally:
        stop.set()
        while running:
            with contextlib.suppress(KeyboardInterrupt):  # the second one changes nothing: all is ending already
                running -= ended.acquire()
    if failed:
        raise next((error for error in failed if not isinstance(error, Stopped)), failed[0])


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
