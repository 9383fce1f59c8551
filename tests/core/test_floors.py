"""The map in docs/architecture.md is true: each module stands on one floor, and imports no more than that may."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "ssdiff_core"
MODULES = {path.stem for path in CORE.glob("*.py") if not path.stem.startswith("__")}
HEAVY = {"torch", "safetensors", "osgeo", "requests", "qgis"}


def floors() -> dict[str, tuple[list[str], set[str]]]:
    """Of each floor: its modules, and which heavy packages may be imported there."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.split("## Floors of `ssdiff_core`")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| ") and "`" in line]
    words = {name: (re.findall(r"`(\w+)`", modules), re.findall(r"\w+", may)) for name, modules, may in rows}
    return {name.strip(): (modules, HEAVY & set(may)) for name, (modules, may) in words.items()}


@cache
def imported(module: str) -> tuple[set[str], set[str]]:
    """What is imported as the module is: modules of ours, and packages."""
    ours, others = set(), set()
    tree = ast.parse((CORE / f"{module}.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Import):
            others |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            others.add(node.module.split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            ours |= {node.module} if node.module else {alias.name for alias in node.names} & MODULES
    return ours, others


def reached(module: str) -> tuple[set[str], set[str]]:
    """The same with all that those import."""
    seen, others, todo = set(), set(), [module]
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            ours, packages = imported(one)
            todo += ours
            others |= packages
    return seen, others


def test_every_module_stands_on_one_floor():
    named = [module for modules, _ in floors().values() for module in modules]
    assert (MODULES - set(named), set(named) - MODULES) == (set(), set())
    assert len(named) == len(set(named))


@pytest.mark.parametrize("floor", floors())
def test_a_floor_imports_no_more_than_it_may(floor):
    modules, may = floors()[floor]
    found = {module: (reached(module)[1] & HEAVY) - may for module in modules}
    assert {module: packages for module, packages in found.items() if packages} == {}
