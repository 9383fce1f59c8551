"""Imports every module of the plugin with one binding of Qt, and looks up every name of Qt that they use.

    python bindings.py PyQt6 FOLDER

FOLDER contains the plugin folder `ssdiff`. qgis.PyQt is the binding; the rest of QGIS is replaced by stubs, so no QGIS
on that Qt is needed. Prints the modules. A name that Qt lacks raises ImportError or AttributeError.
"""

import ast
import contextlib
import importlib
import pkgutil
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

MOVED = ("QAction", "QActionGroup", "QShortcut")
"classes that Qt 6 has in QtGui; QGIS offers them in QtWidgets as well"


class StubClass(type):
    """Metaclass of stubs: every attribute is another stub, so that enums of QGIS can be named and combined."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return StubClass(name, (), {})

    def __or__(cls, other):
        return cls


class StubModule(ModuleType):
    """A module that has every attribute."""

    __path__ = ()
    __getattr__ = StubClass.__getattr__


class StubFinder(MetaPathFinder, Loader):
    """Imports stubs for all modules of QGIS except qgis.PyQt."""

    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in ("qgis", "processing") and not name.startswith("qgis.PyQt"):
            return ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return StubModule(spec.name)

    def exec_module(self, module):
        pass


def install_stubs(binding: str) -> None:
    """Makes the binding importable as qgis.PyQt, and stubs as the rest of QGIS."""
    sys.meta_path.insert(0, StubFinder())
    package = importlib.import_module(binding)
    sys.modules["qgis.PyQt"] = package
    for module in pkgutil.iter_modules(package.__path__):
        with contextlib.suppress(ImportError):  # a module whose libraries are not installed
            sys.modules[f"qgis.PyQt.{module.name}"] = importlib.import_module(f"{binding}.{module.name}")
    widgets, gui = sys.modules["qgis.PyQt.QtWidgets"], sys.modules["qgis.PyQt.QtGui"]
    for name in MOVED:
        setattr(widgets, name, getattr(widgets, name, None) or getattr(gui, name))


def dotted(node: ast.AST) -> list[str]:
    """Returns the parts of a dotted name such as Qt.AlignmentFlag.AlignLeft; an empty list for other expressions."""
    if isinstance(node, ast.Name):
        return [node.id]
    parts = dotted(node.value) if isinstance(node, ast.Attribute) else []
    return [*parts, node.attr] if parts else []


def check_names(source: Path) -> None:
    """Raises AttributeError if a source file uses a name that Qt lacks."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    known = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qgis.PyQt."):
            module = importlib.import_module(node.module)
            known |= {name.asname or name.name: getattr(module, name.name) for name in node.names}
    for node in ast.walk(tree):
        first, *rest = dotted(node) or [None]
        value = known.get(first)
        for name in rest if value else ():
            if not hasattr(value, name):
                raise AttributeError(f"{source.name}:{node.lineno}: there is no {'.'.join([first, *rest])}")
            value = getattr(value, name)


def main(binding: str, folder: str) -> None:
    install_stubs(binding)
    sys.path.insert(0, folder)
    package = importlib.import_module("ssdiff.ssdiff_qgis")
    for module in pkgutil.walk_packages(package.__path__, "ssdiff.ssdiff_qgis."):
        check_names(Path(importlib.import_module(module.name).__file__))
        print(module.name)
    assert "torch" not in sys.modules


if __name__ == "__main__":
    main(*sys.argv[1:])
