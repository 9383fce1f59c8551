"""The Python interpreter with PyTorch, and the worker process that runs in it: QGIS itself never imports torch."""

from __future__ import annotations

import contextlib
import os
import site
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

from ...ssdiff_core.common.errors import NoPythonError
from ...ssdiff_core.common.memory import free_memory
from ...ssdiff_core.runtime import environment, find_python
from ...ssdiff_core.runtime.doctor import NEEDED
from . import settings
from .i18n import tr

if TYPE_CHECKING:
    from ...ssdiff_core.worker.client.engine import Worker


@dataclass(frozen=True)
class Interpreter:
    """A Python interpreter with PyTorch."""

    python: str
    "path of the executable"
    reason: str
    "why it was chosen, as a phrase for the user"


def interpreter() -> Interpreter:
    """Returns the interpreter that the worker runs in.

    Raises NoPythonError if there is none.
    """
    settings.cache()
    installed = environment.usable()
    return choose(
        settings.python(),
        settings.origin_of(settings.PYTHON),
        (find_python.of_program(find_python.Host()) or [""])[0],
        missing_packages(),
        installed.python if installed else "",
    )


def choose(configured: str, origin: str, qgis_python: str, missing: Sequence[str], installed: str) -> Interpreter:
    """Returns the first that exists of: the configured interpreter, QGIS's own, and that of Install runtime.

    origin: where the configured interpreter was set. missing: packages that QGIS's own Python lacks.
    """
    if configured:
        return Interpreter(configured, tr("set by {}").format(origin))
    if qgis_python and not missing:
        return Interpreter(qgis_python, tr("the Python of QGIS has {}").format(", ".join(NEEDED)))
    if installed:
        return Interpreter(installed, tr("installed by Install runtime"))
    raise NoPythonError(
        tr(
            'No Python with PyTorch was found. Run the algorithm "Install runtime" of SSDiff, or select an interpreter '
            "with torch, numpy and safetensors in Settings > Options > Processing > Providers > SSDiff."
        )
    )


def missing_packages() -> list[str]:
    """Returns the required packages that QGIS's own Python lacks, without importing any.

    Only site packages count: the worker process sees neither user packages nor what other plugins add to sys.path.
    """
    folders = [path for path in site.getsitepackages() if os.path.isdir(path)]
    return [name for name in NEEDED if PathFinder.find_spec(name, folders) is None]


MEMORY_OF_SECOND = 3 << 30
"free bytes from which a second worker process is started for a preview"

_workers: dict[tuple[str, int], Worker] = {}
"by interpreter and number: 0, or 1 for previews while the other is in use"
_runs: list[tuple[str, Worker]] = []
"names and workers of the runs that use a worker"
_lock = threading.Lock()


def worker(preview: bool = False) -> Worker:
    """Returns the worker process of this QGIS, which all runs share; it starts with the first request.

    A preview gets a second one while another run uses the first, if enough memory is free.
    If another interpreter has been selected since, a new worker is returned; the previous one exits when it is idle.
    """
    from ...ssdiff_core.worker.client.engine import Worker

    python = interpreter().python
    with _lock:
        first = _workers.setdefault((python, 0), Worker(python))
        if not preview or all(used is not first for _, used in _runs):
            return first
        second = _workers.setdefault((python, 1), Worker(python))
        return second if second.pid or free_memory() >= MEMORY_OF_SECOND else first


@contextlib.contextmanager
def use(name: str, preview: bool = False) -> Iterator[Worker]:
    """Yields the worker process for a run. name: what other runs are told while they wait for it."""
    chosen = worker(preview)
    entry = name, chosen
    with _lock:
        _runs.append(entry)
    try:
        yield chosen
    finally:
        with _lock:
            _runs.remove(entry)


def runs() -> list[str]:
    """Returns the names of the runs that use a worker process."""
    with _lock:
        return [name for name, _ in _runs]


def worker_log() -> str:
    """Returns the last output of the worker processes."""
    return "\n".join(filter(None, (worker.log for worker in list(_workers.values()))))


def close() -> None:
    """Stops all worker processes, even while they compute."""
    with _lock:
        for worker in _workers.values():
            worker.close()
        _workers.clear()
