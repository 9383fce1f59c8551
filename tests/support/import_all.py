"""Imports all modules of an unpacked plugin that QGIS's process may import, with stand-ins for QGIS and GDAL.

    python import_all.py FOLDER

FOLDER contains `ssdiff`. NumPy and requests are stood in for too if this Python has none. Prints the number of modules.
"""

import importlib
import importlib.machinery
import importlib.util
import sys
import types
from pathlib import Path

OPTIONAL = [name for name in ("numpy", "requests") if not importlib.util.find_spec(name)]
MISSING = ("qgis", "processing", "osgeo", *OPTIONAL)
NEVER = ("torch", "safetensors")
PACKAGES = (
    "ssdiff_qgis",
    "ssdiff_core/common",
    "ssdiff_core/domain",
    "ssdiff_core/classical",
    "ssdiff_core/metrics",
    "ssdiff_core/assessment",
    "ssdiff_core/weights",
    "ssdiff_core/raster",
    "ssdiff_core/runtime",
    "ssdiff_core/workflows",
    "ssdiff_core/worker/client",
)


class Kind(type):
    """Class of stand-ins: every attribute, call, index and operation is another stand-in."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Kind(name, (StandIn,), {})

    def _other(cls, *_):
        return StandIn

    __or__ = __ror__ = __and__ = __add__ = __radd__ = __mul__ = __rmul__ = __truediv__ = __getitem__ = _other
    __neg__ = _other

    def __lt__(cls, other):
        return False

    __gt__ = __le__ = __ge__ = __lt__

    def __iter__(cls):
        return iter(())


class StandIn(metaclass=Kind):
    """A class of a package that is not there, or an object of it."""

    def __init__(self, *_, **__):
        pass

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return StandIn

    def __call__(self, *_, **__):
        return StandIn()

    def __float__(self):
        return 1.0


class Module(types.ModuleType):
    """A module of such a package."""

    __path__ = ()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Kind(name, (StandIn,), {})


class Finder:
    """Finds the modules of packages that are not there, and refuses those that must never be imported."""

    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root in NEVER:
            raise AssertionError(f"{name} is imported in QGIS's process")
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if root in MISSING else None

    def create_module(self, spec):
        return Module(spec.name)

    def exec_module(self, module):
        pass


def main(folder: Path) -> None:
    sys.meta_path.insert(0, Finder())
    sys.path.insert(0, str(folder))
    found = ["ssdiff"]
    for package in PACKAGES:
        for file in sorted((folder / "ssdiff" / package).rglob("*.py")):
            found.append(".".join(file.relative_to(folder).with_suffix("").parts))
    for name in found:
        importlib.import_module(name)
    print(len(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
