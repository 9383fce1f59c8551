"""The import rules in pyproject.toml hold, and lint-imports notices when one of them is broken."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("__init__.py", "pyproject.toml", "scripts/lint_imports", "ssdiff_core", "ssdiff_qgis")
UPWARDS = "A package of ssdiff_core imports only from the packages below it"
TORCH = "torch and safetensors are never imported in QGIS's process"
GDAL = "GDAL, QGIS and requests are never imported in the computing process"
PLUGIN = "The plugin imports nothing of the computing process, of the command line or of what computes pixels"
CORE = "ssdiff_core knows nothing of the plugin"

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("importlinter") and "CI" not in os.environ,
    reason="import-linter is not installed; `make setup` installs it",
)


def lint_imports(root: Path) -> subprocess.CompletedProcess:
    command = [root / "scripts" / "lint_imports"]
    environ = {**os.environ, "PYTHON": sys.executable, "COLUMNS": "200"}
    return subprocess.run(command, env=environ, capture_output=True, text=True)


@pytest.fixture
def sources(tmp_path):
    """A copy of the sources that a test may change."""
    for name in SOURCES:
        source, target = ROOT / name, tmp_path / name
        target.parent.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return tmp_path


def test_the_import_rules_hold():
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("module", "statement", "rule"),
    [
        ("ssdiff_core/domain/grid.py", "import torch", TORCH),
        ("ssdiff_core/weights/card.py", "from safetensors import safe_open", TORCH),
        ("ssdiff_core/classical/arrays.py", "def planted():\n    import torch", TORCH),
        ("ssdiff_core/workflows/pansharpen.py", "def planted():\n    import torch", TORCH),
        ("ssdiff_core/worker/client/process.py", "def planted():\n    from ..server import service", TORCH),
        ("ssdiff_qgis/plugin.py", "def planted():\n    import torch", TORCH),
        ("ssdiff_core/fusion/tiles.py", "def planted():\n    from osgeo import gdal", GDAL),
        ("ssdiff_core/worker/server/service.py", "import requests", GDAL),
        ("ssdiff_core/common/errors.py", "def planted():\n    from ..domain import grid", UPWARDS),
        ("ssdiff_core/unlisted/__init__.py", "", UPWARDS),
        ("ssdiff_qgis/panel/dock.py", "def planted():\n    from ...ssdiff_core.fusion import tiles", PLUGIN),
        ("ssdiff_core/raster/reader.py", "from qgis.core import QgsProject", CORE),
    ],
)
def test_an_import_that_breaks_a_rule_is_found(sources, module, statement, rule):
    path = sources / module
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(f"\n\n{statement}\n")
    done = lint_imports(sources)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{rule} BROKEN" in done.stdout
