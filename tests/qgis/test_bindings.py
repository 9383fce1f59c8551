"""The plugin works with Qt 5 and Qt 6. Debian has no QGIS on Qt 6 yet, so PyQt6 is tested without QGIS."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "ssdiff_qgis"
MODULES = {".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("[!_]*.py")}
PREFIX = "ssdiff.ssdiff_qgis."


@pytest.fixture
def with_qt(tmp_path):
    def run(binding: str, plugin: Path = ROOT) -> subprocess.CompletedProcess:
        (tmp_path / "ssdiff").symlink_to(plugin)
        command = [sys.executable, str(ROOT / "tests" / "support" / "bindings.py"), binding, str(tmp_path)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    return run


@pytest.mark.parametrize("binding", ["PyQt5", "PyQt6"])
def test_all_modules_import_and_all_names_of_qt_exist(with_qt, binding):
    done = with_qt(binding)
    assert done.returncode == 0, done.stderr
    assert {line.removeprefix(PREFIX) for line in done.stdout.splitlines()} >= MODULES


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("from qgis.PyQt.QtCore import QRegExp", "QRegExp"),
        ("from qgis.PyQt.QtCore import Qt\ndef f():\n    return Qt.AlignLeft", "there is no Qt.AlignLeft"),
        ("from qgis.PyQt.QtWidgets import QDialog\ndef f():\n    QDialog.exec_()", "there is no QDialog.exec_"),
    ],
)
def test_names_that_qt_6_lacks_are_reported(with_qt, tmp_path, line, missing):
    plugin = tmp_path / "old"
    (plugin / "ssdiff_qgis").mkdir(parents=True)
    (plugin / "__init__.py").touch()
    (plugin / "ssdiff_qgis" / "__init__.py").touch()
    (plugin / "ssdiff_qgis" / "old.py").write_text(line)
    done = with_qt("PyQt6", plugin)
    assert done.returncode != 0
    assert missing in done.stderr
