"""The code of the zip that runs in QGIS's process can be imported by every Python that QGIS comes with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VERSIONS = [f"3.{minor}" for minor in range(9, 15)]
IMPORT_ALL = ROOT / "tests" / "support" / "import_all.py"


def interpreter(version: str) -> str | None:
    """Returns a Python of this version: one on the path, of pyenv, or of uv."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    uv = shutil.which("uv") or shutil.which("uv", path=Path(sys.executable).parent)
    found = [shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python"))]
    if uv:
        command = [uv, "python", "find", "--offline", "--no-python-downloads", "--system", version]
        found.append(subprocess.run(command, capture_output=True, text=True).stdout.strip())
    return next((str(path) for path in found if path and runs(path, version)), None)


def runs(path, version: str) -> bool:
    """Returns whether a program is a Python of this version: the shims of pyenv exist for versions that are not set."""
    command = [path, "-I", "-c", "import sys; print('{}.{}'.format(*sys.version_info))"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode == 0 and done.stdout.strip() == version


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The folder of the unpacked zip."""
    folder = tmp_path_factory.mktemp("unpacked")
    subprocess.run([sys.executable, ROOT / "scripts" / "package.py", folder / "dist"], check=True, capture_output=True)
    with zipfile.ZipFile(folder / "dist" / "ssdiff.zip") as file:
        file.extractall(folder)
    return folder


def import_all(python: str, folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [python, "-W", "error", "-I", IMPORT_ALL, folder], capture_output=True, text=True, timeout=600
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_every_python_of_qgis_imports_the_plugin_without_a_warning(unpacked, version):
    python = interpreter(version)
    if not python:
        pytest.skip(f"there is no Python {version} here: uv python install {version}")
    done = import_all(python, unpacked)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("match 1:\n    case 1: pass", "SyntaxError"),
        ("kinds = int | str", "TypeError"),
        ("import torch", "is imported in QGIS's process"),
    ],
)
def test_code_that_an_old_python_does_not_import_is_found(unpacked, tmp_path, statement, reason):
    python = interpreter("3.9")
    if not python:
        pytest.skip("there is no Python 3.9 here: uv python install 3.9")
    shutil.copytree(unpacked / "ssdiff", tmp_path / "ssdiff", ignore=shutil.ignore_patterns("*.safetensors"))
    with (tmp_path / "ssdiff" / "ssdiff_core" / "domain" / "window.py").open("a") as file:
        file.write(f"\n{statement}\n")
    done = import_all(python, tmp_path)
    assert done.returncode
    assert reason in done.stderr
