"""The Python that computes, and the process of this QGIS that runs in it: torch never enters QGIS itself."""

from __future__ import annotations

import os
import site
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

from ...ssdiff_core.common.errors import NoPythonError
from ...ssdiff_core.runtime import environment, find_python
from ...ssdiff_core.runtime.doctor import NEEDED
from . import settings
from .i18n import tr

if TYPE_CHECKING:
    from ...ssdiff_core.worker.client.engine import Worker


@dataclass(frozen=True)
class Interpreter:
    python: str
    why: str


def interpreter() -> Interpreter:
    """The Python to compute with, and why it is this one."""
    settings.cache()
    made = environment.usable()
    return choose(
        settings.python(),
        settings.come_from(settings.PYTHON),
        (find_python.own(find_python.Host()) or [""])[0],
        lacking(),
        made.python if made else "",
    )


def choose(named: str, by: str, own: str, lacking: Sequence[str], made: str) -> Interpreter:
    """The first of: what the user named, QGIS's own if it lacks nothing, what Install runtime made."""
    if named:
        return Interpreter(named, tr("named by {}").format(by))
    if own and not lacking:
        return Interpreter(own, tr("QGIS's own Python has {}").format(", ".join(NEEDED)))
    if made:
        return Interpreter(made, tr("made by Install runtime"))
    raise NoPythonError(
        tr(
            'There is no Python with PyTorch yet: run the algorithm "Install runtime" of SSDiff, or name an '
            "interpreter that has torch, numpy and safetensors in Settings > Options > Processing > Providers > SSDiff."
        )
    )


def lacking() -> list[str]:
    """What QGIS's own Python has not, as a process would see it that asks neither sys.path nor user packages.

    Nothing is imported, and what another plugin has put on sys.path does not count.
    """
    places = [path for path in site.getsitepackages() if os.path.isdir(path)]
    return [name for name in NEEDED if PathFinder.find_spec(name, places) is None]


_workers: dict[str, Worker] = {}
_turn = threading.Lock()


def worker() -> Worker:
    """The process of this QGIS that computes, the same one for a whole batch; it starts with the first request.

    If another interpreter was chosen meanwhile, it is another one; that of before ends by itself when it is idle.
    """
    from ...ssdiff_core.worker.client.engine import Worker

    python = interpreter().python
    with _turn:
        return _workers.setdefault(python, Worker(python))


def last_words() -> str:
    """What the processes that computed have said to nobody in particular."""
    return "\n".join(filter(None, (worker.log for worker in list(_workers.values()))))


def close() -> None:
    """Ends what computes, whatever it is doing."""
    with _turn:
        for worker in _workers.values():
            worker.close()
        _workers.clear()
