"""What this Python has installed, and which of its devices compute: proved by running a kernel on each."""

from __future__ import annotations

import importlib
import json
import platform
import sys
from pathlib import Path

from .. import __version__
from ..runtime.doctor import NEEDED

OPTIONAL = ("osgeo.gdal", "qgis.core", "requests")


def report() -> dict:
    return {
        "ssdiff": __version__,
        "folder": str(Path(__file__).parents[1]),
        "python": platform.python_version(),
        "executable": sys.executable,
        "system": platform.platform(),
        "packages": {name: version_of(name) for name in (*NEEDED, *OPTIONAL)},
        "devices": devices(),
    }


def main() -> None:
    """The answer to `ask`, whatever else is printed meanwhile."""
    print("\n" + json.dumps(report()))


def devices() -> dict[str, dict]:
    """What every device answers, or that torch is not there to ask."""
    try:
        from ..model.devices import survey
    except (ImportError, OSError) as error:
        return {"cpu": {"works": False, "reason": f"torch cannot be loaded: {error}", "name": None}}
    return survey()


def version_of(name: str) -> str | None:
    """The version of a package that can be imported, or None."""
    try:
        module = importlib.import_module(name)
    except (ImportError, OSError):  # OSError: a library that the package brings cannot be loaded
        return None
    return getattr(module, "__version__", None) or getattr(getattr(module, "Qgis", None), "QGIS_VERSION", "present")
