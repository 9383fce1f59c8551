"""What is installed here, and what of it works: proved, not asked."""

from __future__ import annotations

import importlib
import json
import platform
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from . import __version__, guarded
from .errors import NoPythonError
from .isolated import command

NEEDED = ("torch", "numpy", "safetensors")
SPEED = ("cuda", "mps", "cpu")
OPTIONAL = ("osgeo.gdal", "qgis.core", "requests")


def report() -> dict:
    return {
        "ssdiff": __version__,
        "folder": str(Path(__file__).parent),
        "python": platform.python_version(),
        "executable": sys.executable,
        "system": platform.platform(),
        "packages": {name: version_of(name) for name in (*NEEDED, *OPTIONAL)},
        "devices": devices(),
    }


def main() -> None:
    """The answer to `ask`, whatever else is printed meanwhile."""
    print("\n" + json.dumps(report()))


def ask(
    python: str,
    hear: Callable[[str], None] = lambda line: None,
    *,
    tick: Callable[[], None] = lambda: None,
    guard: str | None = None,
) -> dict:
    """What another Python finds in itself; `hear` and `tick` as in guarded.run."""
    lines: list[str] = []

    def both(line: str) -> None:
        lines.append(line)
        hear(line)

    try:
        code = guarded.run(command(python, "doctor"), both, tick=tick, guard=guard)
    except OSError as error:
        raise NoPythonError(
            f"the Python interpreter {python} cannot be started ({error.strerror or error}): choose another one"
        ) from None
    for line in reversed(lines):
        if line.startswith("{"):
            return json.loads(line)
    said = next(filter(str.strip, reversed(lines)), f"it ended with code {code}")
    raise NoPythonError(f"{python} cannot run SSDiff: {said}")


def devices() -> dict[str, dict]:
    """What every device answers, or that torch is not there to ask."""
    try:
        from .devices import survey
    except (ImportError, OSError) as error:
        return {"cpu": {"works": False, "reason": f"torch cannot be loaded: {error}", "name": None}}
    return survey()


def working(found: Mapping[str, Mapping]) -> list[str]:
    """The devices that compute, of what `devices` found, the fastest first."""
    names = [name for name, device in found.items() if device["works"]]
    return sorted(names, key=lambda name: SPEED.index(name.split(":")[0]))


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
