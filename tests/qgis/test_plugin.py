"""The repository root as the plugin folder of a real QGIS, started from a profile of its own."""

import json
import sys


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
