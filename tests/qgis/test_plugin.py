"""The repository root as the plugin folder of a real QGIS, started from a profile of its own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
QGIS_PROCESS = shutil.which("qgis_process.bin") or shutil.which("qgis_process")


@pytest.fixture(scope="module")
def qgis_process(tmp_path_factory):
    profile = tmp_path_factory.mktemp("profile")
    plugins = tmp_path_factory.mktemp("plugins")
    (plugins / "ssdiff").symlink_to(ROOT)

    def run(*arguments, **extra):
        env = {
            **os.environ,
            "QT_QPA_PLATFORM": "offscreen",
            "QGIS_CUSTOM_CONFIG_PATH": str(profile),
            "QGIS_PLUGINPATH": str(plugins),
            "XDG_RUNTIME_DIR": str(profile),
            "SSDIFF_PYTHON": sys.executable,
            **extra,
        }
        return subprocess.run([QGIS_PROCESS, *arguments], env=env, capture_output=True, text=True, timeout=300)

    enabled = run("plugins", "enable", "ssdiff")
    assert enabled.returncode == 0, enabled.stderr
    return run


def test_qgis_lists_the_provider(qgis_process):
    listed = json.loads(qgis_process("list", "--json").stdout)
    assert "diagnostics" in {name.split(":")[1] for name in listed["providers"]["ssdiff"]["algorithms"]}


def test_diagnostics_tell_of_the_python_that_computes(qgis_process):
    done = qgis_process("run", "ssdiff:diagnostics", "--json")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    assert results["READY"] is True
    report = json.loads(results["REPORT"])
    assert report["executable"] == sys.executable
    assert report["devices"]["cpu"]["works"]


def test_diagnostics_without_torch_say_so_and_do_not_fail(qgis_process, tmp_path):
    import venv

    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    done = qgis_process("run", "ssdiff:diagnostics", "--json", SSDIFF_PYTHON=str(tmp_path / "bare" / "bin" / "python"))
    results = json.loads(done.stdout)["results"]
    assert results["READY"] is False
    report = json.loads(results["REPORT"])
    assert report["packages"]["torch"] is None
    assert "No module named" in report["devices"]["cpu"]["reason"]


def test_an_interpreter_that_is_not_there_is_one_clear_sentence(qgis_process):
    done = qgis_process("run", "ssdiff:diagnostics", SSDIFF_PYTHON="/nowhere/python")
    assert done.returncode != 0
    assert "The Python interpreter /nowhere/python cannot be started" in done.stdout + done.stderr
