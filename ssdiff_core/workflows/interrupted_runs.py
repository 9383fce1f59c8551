"""A list of the outputs whose runs were interrupted, so that working files that nobody resumes are removed some day.

The list is a folder in the cache with one JSON file for each output, which is written when a run begins. It is only
needed to find old working files: if it cannot be read or written, they stay.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..common import paths
from ..common.errors import SSDiffError
from ..common.notices import Notify, notice
from ..domain.pixel_type import PixelType
from ..raster.output import Output, clean_up
from .journal import claimed

KEPT_DAYS = 30
"days after which the working files of an interrupted run are removed"


def folder() -> Path:
    """Returns the folder of the list."""
    return paths.cache() / "interrupted"


def remember(outputs: Sequence[Output]) -> None:
    """Lists outputs whose working files exist from now on."""
    with contextlib.suppress(OSError):
        folder().mkdir(parents=True, exist_ok=True)
        for output in outputs:
            _entry(output.path).write_text(json.dumps(str(output.path.absolute())), encoding="utf-8")


def forget(outputs: Sequence[Output]) -> None:
    """Removes outputs from the list, as their working files are gone."""
    for output in outputs:
        with contextlib.suppress(OSError):
            _entry(output.path).unlink()


def remove_old(notify: Notify, now: float | None = None) -> None:
    """Removes the working files of runs that were interrupted long ago, unless a run uses them at present."""
    limit = (time.time() if now is None else now) - KEPT_DAYS * 86400
    for output in _listed():
        try:
            age = os.stat(output.journal).st_mtime
        except OSError:
            age = None
        if age is None:
            forget([output])
        elif age < limit and _removed(output):
            notify(notice("old_leftovers_removed", path=str(output.path), days=KEPT_DAYS))


def _removed(output: Output) -> bool:
    """Removes the working files of an output; returns whether that was possible."""
    with contextlib.suppress(SSDiffError, OSError), claimed([output]) as journals:
        clean_up([output])
        journals[0].remove()
        forget([output])
        return True
    return False


def _listed() -> Iterator[Output]:
    for file in sorted(folder().glob("*.json")):
        with contextlib.suppress(OSError, ValueError, TypeError):
            yield Output(Path(json.loads(file.read_text(encoding="utf-8"))), PixelType())


def _entry(path: Path) -> Path:
    return folder() / f"{hashlib.sha256(str(path.absolute()).encode('utf-8', 'surrogatepass')).hexdigest()[:32]}.json"
