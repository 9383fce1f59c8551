"""How another Python is started: with the code of SSDiff from here, and nothing that was meant for this program."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

HOME = Path(__file__).resolve().parents[2]
"the folder that ssdiff_core lies in"
START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from ssdiff_core.{} import main; main()"
"python -m would look for a module where PYTHONPATH and the current folder say; -I asks neither, nor user packages"
MISLEADING = ("PYTHON", "QGIS", "GDAL", "PROJ", "OGR_", "QT_", "VIRTUAL_ENV", "__PYVENV", "LD_LIBRARY", "DYLD_")
"how variables begin that are meant for the program that asks, and would mislead another Python"
HIDDEN = getattr(subprocess, "CREATE_NO_WINDOW", 0)
"no black window on Windows"


def command(python: str, module: str, *arguments: str) -> list[str]:
    """What runs the `main` of a module of ssdiff_core in that Python."""
    return [python, "-I", "-c", START.format(module), str(HOME), *arguments]


def environment() -> dict[str, str]:
    """The environment, without what is meant for the Python and the libraries of this process."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(MISLEADING)}
