"""The Python that computes: a process of its own, so that torch never enters QGIS."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PLUGIN = Path(__file__).parents[1]
NOT_INHERITED = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH")


def interpreter() -> str:
    """The user's choice in SSDIFF_PYTHON, else the Python that QGIS runs on."""
    return os.environ.get("SSDIFF_PYTHON") or sys.executable or "/usr/bin/python3"


def command(*arguments: str) -> list[str]:
    return [interpreter(), "-m", "ssdiff_core", *arguments]


def environment() -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if key not in NOT_INHERITED}
    return {**own, "PYTHONPATH": str(PLUGIN), "PYTHONIOENCODING": "utf-8"}


def run(*arguments: str) -> subprocess.CompletedProcess:
    """`ssdiff` with these arguments, to its end."""
    return subprocess.run(  # nosec B603
        command(*arguments), env=environment(), capture_output=True, text=True, encoding="utf-8"
    )


_worker = None


def worker():
    global _worker
    from ..ssdiff_core.remote import Worker

    if _worker is None or _worker.python != interpreter():
        _worker = Worker(interpreter())
    return _worker
