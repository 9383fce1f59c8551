"""What is installed here, and what of it works: proved, not asked."""

from __future__ import annotations

import importlib
import platform
import sys
from pathlib import Path

from . import __version__

OPTIONAL = ("osgeo.gdal", "qgis.core", "requests")


def report() -> dict:
    return {
        "ssdiff": __version__,
        "folder": str(Path(__file__).parent),
        "python": platform.python_version(),
        "executable": sys.executable,
        "system": platform.platform(),
        "packages": {name: version_of(name) for name in ("torch", "numpy", "safetensors", *OPTIONAL)},
        "devices": devices(),
    }


def devices() -> dict[str, dict]:
    """What every device answers, or that torch is not there to ask."""
    try:
        from .devices import survey
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


def as_text(found: dict) -> str:
    lines = [f"ssdiff {found['ssdiff']} ({found['folder']})"]
    lines += [f"Python {found['python']} ({found['executable']}), {found['system']}", ""]
    lines += [f"{name:12} {version or 'not installed'}" for name, version in found["packages"].items()]
    lines += [""]
    for name, device in found["devices"].items():
        lines.append(f"{name:12} works: {device['name']}" if device["works"] else f"{name:12} {device['reason']}")
    return "\n".join(lines)
