"""Starts another Python with the code of SSDiff, isolated from the environment of this process."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

CODE_FOLDER = Path(__file__).resolve().parents[2]
"folder that contains the package ssdiff_core"
START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from ssdiff_core.{} import main; main()"
"code that runs a module; python -m would search PYTHONPATH and the current folder, which -I ignores"
EXCLUDED_PREFIXES = ("PYTHON", "QGIS", "GDAL", "PROJ", "OGR_", "QT_", "VIRTUAL_ENV", "__PYVENV", "LD_LIBRARY", "DYLD_")
"prefixes of variables that are meant for this program and would mislead another Python"
NO_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)
"Popen flag that suppresses the console window on Windows"


def command(python: str, module: str, *arguments: str) -> list[str]:
    """Returns the command line that runs `main` of a module of ssdiff_core with this Python."""
    return [python, "-I", "-c", START.format(module), str(CODE_FOLDER), *arguments]


def environment() -> dict[str, str]:
    """Returns the environment variables without those for the Python and the libraries of this process."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(EXCLUDED_PREFIXES)}


def find_program(name: str, folders: Iterable[str] = (), environ: Mapping[str, str] = os.environ) -> str | None:
    """Returns the path of a program in the absolute folders of PATH, else in these folders, or None.

    Relative and empty entries of PATH mean the current folder, which may hold a file that somebody else has put there.
    """
    absolute = [folder for folder in environ.get("PATH", "").split(os.pathsep) if os.path.isabs(folder.strip('"'))]
    searched = [folder for folder in (*absolute, *folders) if os.path.isabs(folder)]
    for folder in searched:  # one by one: on Windows, shutil.which also searches the current folder, but not if named
        found = shutil.which(os.path.join(folder, name))
        if found:
            return found
    return None
