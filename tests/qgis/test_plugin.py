"""The repository root as the plugin folder of a real QGIS, started from a profile of its own."""

import json
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]


def diagnosed(outputs, **extra):
    found = outputs("diagnostics", **extra)
    return found, json.loads(found["REPORT"])


def test_qgis_lists_the_provider(qgis_process):
    listed = json.loads(qgis_process("list", "--json").stdout)
    names = {name.split(":")[1] for name in listed["providers"]["ssdiff"]["algorithms"]}
    assert {"diagnostics", "installruntime"} <= names


def test_every_algorithm_explains_itself_all_its_parameters_and_leads_to_a_page(in_qgis):
    code = """
import ssdiff
plugin = ssdiff.classFactory(None)
plugin.initProcessing()
answer = {}
for each in plugin.provider.algorithms():
    silent = [one.name() for one in each.parameterDefinitions() if not one.help()]
    answer[each.name()] = [silent, each.helpUrl(), each.shortDescription(), each.shortHelpString()]
"""
    told = in_qgis(code)
    assert {"pansharpen", "assess", "adapt", "installruntime"} <= set(told)
    assert {name: silent for name, (silent, *_) in told.items() if silent} == {}
    for page, brief, whole in (rest for _, *rest in told.values()):
        assert (ROOT / page.split("/blob/HEAD/")[1]).is_file()
        assert brief in whole


def test_diagnostics_tell_of_the_python_that_computes_and_why(outputs):
    found, report = diagnosed(outputs)
    assert found["READY"] is True
    assert found["DEVICES"].endswith("cpu")
    assert report["computes"]["executable"] == report["python"] == sys.executable
    assert report["why"] == "named by the environment variable SSDIFF_PYTHON"
    assert report["computes"]["devices"]["cpu"]["works"]


def test_diagnostics_without_torch_say_so_and_do_not_fail(outputs, tmp_path):
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    python = str(tmp_path / "bare" / "bin" / "python")
    found, report = diagnosed(outputs, SSDIFF_PYTHON=python)
    assert found["READY"] is False
    assert "cannot import torch, numpy, safetensors" in report["problem"]
    assert "No module named" in report["computes"]["devices"]["cpu"]["reason"]


def test_diagnostics_where_nothing_is_installed_say_what_to_do(torchless, outputs):
    found, report = diagnosed(outputs, SSDIFF_PYTHON="")
    assert (found["READY"], found["DEVICES"], report["python"]) == (False, "", None)
    assert 'run the algorithm "Install runtime"' in report["problem"]
    assert "torch" in report["qgis_python"]["lacking"]


def test_an_interpreter_that_is_not_there_is_one_clear_sentence(outputs):
    found, report = diagnosed(outputs, SSDIFF_PYTHON="/nowhere/python")
    assert found["READY"] is False
    assert "the Python interpreter /nowhere/python cannot be started" in report["problem"]


def test_the_log_is_a_report_for_an_issue_without_passwords_and_homes(qgis_process, environ):
    done = qgis_process(
        "run", "ssdiff:diagnostics", SSDIFF_WEIGHTS_URL="https://me:s3cret@example.org/w", SSDIFF_DEVICE="gpu"
    )
    assert done.returncode == 0
    for line in (
        "### SSDiff diagnostics",
        "- **Ready**",
        "- weights_url: example.org/w",
        "#### Made by Install runtime",
    ):
        assert line in done.stdout
    assert "The device 'gpu' is none of auto, cpu, cuda" in done.stdout
    assert "s3cret" not in done.stdout
    assert environ["HOME"] not in done.stdout
    assert "- cache: ~/cache" in done.stdout
