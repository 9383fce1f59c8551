"""Threads: algorithms neither block QGIS nor take away its threads."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import qgis.utils
from qgis.PyQt.QtCore import QCoreApplication, QThread, QThreadPool

EVENT_INTERVAL = 0.02
"seconds between two times at which events are processed"


@contextlib.contextmanager
def spare_thread() -> Iterator[None]:
    """Lets QGIS start one more background task: this one mostly waits for another process.

    On computers with few processors, rendering and other algorithms would wait for it otherwise.
    """
    pool = QThreadPool.globalInstance()
    pool.releaseThread()
    try:
        yield
    finally:
        pool.reserveThread()


def is_main() -> bool:
    """Returns whether the current thread is that of the windows."""
    return QThread.currentThread() == QCoreApplication.instance().thread()


def responsive(function: Callable):
    """Returns the result of a long function. Called in the thread of the windows, it keeps them responsive.

    QGIS 3.22 to 3.24 run batch processes in that thread.
    """
    if not qgis.utils.iface or not is_main():
        with spare_thread():
            return function()
    return _beside_events(function)


def _beside_events(function: Callable):
    """Returns the result of a function that runs in another thread, and processes events meanwhile."""
    outcome: dict = {}

    def call() -> None:
        try:
            outcome["result"] = function()
        except BaseException as error:  # raised below, in the calling thread
            outcome["error"] = error

    thread = threading.Thread(target=call)
    thread.start()
    while thread.is_alive():
        QCoreApplication.processEvents()
        thread.join(EVENT_INTERVAL)
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]
