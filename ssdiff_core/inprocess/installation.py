"""Reports the packages and devices of this Python. Devices are tested by running a kernel on each."""

from __future__ import annotations

import importlib
import json
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from .. import __version__
from ..runtime.doctor import NEEDED

OPTIONAL_PACKAGES = ("osgeo.gdal", "qgis.core", "requests")


def report() -> dict:
    """Returns the report of `ssdiff doctor`, for JSON."""
    return {**program(), "packages": dict(packages()), "devices": devices()}


def program() -> dict[str, str]:
    """Returns the part of the report that is known at once."""
    return {
        "ssdiff": __version__,
        "folder": str(Path(__file__).parents[1]),
        "python": platform.python_version(),
        "executable": sys.executable,
        "system": platform.platform(),
    }


def packages() -> Iterator[tuple[str, str | None]]:
    """Yields each package with its version; None if it cannot be imported, which is tried."""
    for name in (*NEEDED, *OPTIONAL_PACKAGES):
        yield name, installed_version(name)


def main() -> None:
    """Prints the report as the last line of output, for runtime.doctor."""
    print("\n" + json.dumps(report()))


def devices() -> dict[str, dict]:
    """Returns whether each device works; if torch cannot be loaded, the reason."""
    try:
        from ..model.devices import survey
    except (ImportError, OSError) as error:
        return {"cpu": {"works": False, "reason": f"torch cannot be loaded: {error}", "name": None}}
    return survey()


def installed_version(name: str) -> str | None:
    """Returns the version of a package, or None if it cannot be imported."""
    try:
        module = importlib.import_module(name)
    except (ImportError, OSError):  # OSError: a shared library of the package cannot be loaded
        return None
    return getattr(module, "__version__", None) or getattr(getattr(module, "Qgis", None), "QGIS_VERSION", "present")
