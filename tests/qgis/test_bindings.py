"""One source for Qt 5 and Qt 6. QGIS on Qt 6 is not in Debian yet, so there the plugin meets PyQt6 alone."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = {path.stem for path in (ROOT / "ssdiff_qgis").glob("[!_]*.py")}


@pytest.fixture
def with_qt(tmp_path):
    def run(binding: str, plugin: Path = ROOT) -> subprocess.CompletedProcess:
        (tmp_path / "ssdiff").symlink_to(plugin)
        command = [sys.executable, str(ROOT / "tests" / "support" / "bindings.py"), binding, str(tmp_path)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    return run


@pytest.mark.parametrize("binding", ["PyQt5", "PyQt6"])
def test_every_module_and_every_name_of_qt_is_there(with_qt, binding):
    done = with_qt(binding)
    assert done.returncode == 0, done.stderr
    assert {line.rpartition(".")[2] for line in done.stdout.splitlines()} == MODULES


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("from qgis.PyQt.QtCore import QRegExp", "QRegExp"),
        ("from qgis.PyQt.QtCore import Qt\ndef f():\n    return Qt.AlignLeft", "there is no Qt.AlignLeft"),
        ("from qgis.PyQt.QtWidgets import QDialog\ndef f():\n    QDialog.exec_()", "there is no QDialog.exec_"),
    ],
)
def test_what_qt_6_does_not_have_is_found(with_qt, tmp_path, line, missing):
    plugin = tmp_path / "old"
    (plugin / "ssdiff_qgis").mkdir(parents=True)
    (plugin / "__init__.py").touch()
    (plugin / "ssdiff_qgis" / "__init__.py").touch()
    (plugin / "ssdiff_qgis" / "old.py").write_text(line)
    done = with_qt("PyQt6", plugin)
    assert done.returncode != 0
    assert missing in done.stderr
