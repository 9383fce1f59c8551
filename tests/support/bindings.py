"""Imports every module of the plugin with one binding of Qt, and looks up every name of Qt that they use.

    python bindings.py PyQt6 FOLDER

FOLDER holds the plugin's folder `ssdiff`. qgis.PyQt is the binding; all else of QGIS is made up, so no QGIS on that Qt
is needed. Prints the modules; what Qt does not have raises ImportError or AttributeError.
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
"where Qt 6 has them in QtGui, QGIS offers them in QtWidgets as well"


class Anything(type):
    """A class that has any attribute, again such a class: enums of QGIS may be named and joined."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything(name, (), {})

    def __or__(cls, other):
        return cls


class MadeUp(ModuleType):
    __path__ = ()
    __getattr__ = Anything.__getattr__


class Finder(MetaPathFinder, Loader):
    """QGIS, but for its qgis.PyQt."""

    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in ("qgis", "processing") and not name.startswith("qgis.PyQt"):
            return ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return MadeUp(spec.name)

    def exec_module(self, module):
        pass


def stand_in(binding: str) -> None:
    sys.meta_path.insert(0, Finder())
    package = importlib.import_module(binding)
    sys.modules["qgis.PyQt"] = package
    for module in pkgutil.iter_modules(package.__path__):
        with contextlib.suppress(ImportError):  # a part of Qt that nothing here may need
            sys.modules[f"qgis.PyQt.{module.name}"] = importlib.import_module(f"{binding}.{module.name}")
    widgets, gui = sys.modules["qgis.PyQt.QtWidgets"], sys.modules["qgis.PyQt.QtGui"]
    for name in MOVED:
        setattr(widgets, name, getattr(widgets, name, None) or getattr(gui, name))


def dotted(node: ast.AST) -> list[str]:
    """Qt.AlignmentFlag.AlignLeft in its parts; none of anything that is not only names and dots."""
    if isinstance(node, ast.Name):
        return [node.id]
    before = dotted(node.value) if isinstance(node, ast.Attribute) else []
    return [*before, node.attr] if before else []


def look_up(source: Path) -> None:
    tree = ast.parse(source.read_text(encoding="utf-8"))
    known = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qgis.PyQt."):
            module = importlib.import_module(node.module)
            known |= {name.asname or name.name: getattr(module, name.name) for name in node.names}
    for node in ast.walk(tree):
        first, *rest = dotted(node) or [None]
        thing = known.get(first)
        for name in rest if thing else ():
            if not hasattr(thing, name):
                raise AttributeError(f"{source.name}:{node.lineno}: there is no {'.'.join([first, *rest])}")
            thing = getattr(thing, name)


def main(binding: str, folder: str) -> None:
    stand_in(binding)
    sys.path.insert(0, folder)
    package = importlib.import_module("ssdiff.ssdiff_qgis")
    for module in pkgutil.walk_packages(package.__path__, "ssdiff.ssdiff_qgis."):
        look_up(Path(importlib.import_module(module.name).__file__))
        print(module.name)
    assert "torch" not in sys.modules


if __name__ == "__main__":
    main(*sys.argv[1:])
