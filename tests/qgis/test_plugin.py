"""The plugin in a real QGIS: its algorithms, their documentation, and Diagnostics."""

import json
import re
import sys
import textwrap
import venv
from pathlib import Path

import pytest
from files import read, sample_files

ROOT = Path(__file__).parents[2]


@pytest.fixture
def diagnose(outputs, tmp_path):
    """Returns a function that returns the outputs of Diagnostics and its report."""

    def run(**extra):
        found = outputs("diagnostics", f"REPORT={tmp_path / 'report.json'}", **extra)
        return found, json.loads(Path(found["REPORT"]).read_text(encoding="utf-8"))

    return run


def test_qgis_lists_the_provider(qgis_process):
    listed = json.loads(qgis_process("list", "--json").stdout)
    names = {name.split(":")[1] for name in listed["providers"]["ssdiff"]["algorithms"]}
    assert {"diagnostics", "installruntime"} <= names


def test_every_algorithm_has_help_for_all_parameters_and_a_page_of_documentation(in_qgis):
    code = """
import ssdiff
plugin = ssdiff.classFactory(None)
plugin.initProcessing()
answer = {}
for each in plugin.provider.algorithms():
    without_help = [parameter.name() for parameter in each.parameterDefinitions() if not parameter.help()]
    answer[each.name()] = [without_help, each.helpUrl(), each.shortDescription(), each.shortHelpString()]
"""
    found = in_qgis(code)
    assert {"pansharpen", "assess", "adapt", "installruntime"} <= set(found)
    assert {name: without_help for name, (without_help, *_) in found.items() if without_help} == {}
    for page, brief, whole in (rest for _, *rest in found.values()):
        assert (ROOT / page.split("/blob/HEAD/")[1]).is_file()
        assert brief in whole


def test_the_program_in_the_documentation_registers_the_provider_and_fuses(qgis_process, tmp_path):
    page = (ROOT / "docs" / "qgis.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"(?m)(?:^    .*\n)+(?<=application\.exitQgis\(\)\n)", page)
    for path, name in zip(sample_files(tmp_path, 64), ("pan.tif", "ms.tif")):
        assert path.name == name
    code = f"import os\nos.chdir({str(tmp_path)!r})\n{textwrap.dedent(program)}"
    done = qgis_process.run_alone(code)
    assert done.returncode == 0, done.stderr
    assert read(tmp_path / "fused.tif").shape == (4, 64, 64)


def test_diagnostics_report_the_interpreter_in_use_and_why(diagnose):
    found, report = diagnose()
    assert found["READY"] is True
    assert found["DEVICES"].endswith("cpu")
    assert report["computes"]["executable"] == report["python"] == sys.executable
    assert report["why"] == "set by the environment variable SSDIFF_PYTHON"
    assert report["computes"]["devices"]["cpu"]["works"]


def test_diagnostics_report_missing_packages_without_failing(diagnose, tmp_path):
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    python = str(tmp_path / "bare" / "bin" / "python")
    found, report = diagnose(SSDIFF_PYTHON=python)
    assert found["READY"] is False
    assert "cannot import torch, numpy, safetensors" in report["problem"]
    assert "No module named" in report["computes"]["devices"]["cpu"]["reason"]


def test_diagnostics_without_a_runtime_say_what_to_do(torchless, diagnose):
    found, report = diagnose(SSDIFF_PYTHON="")
    assert (found["READY"], found["DEVICES"], report["python"]) == (False, "", None)
    assert 'Run the algorithm "Install runtime"' in report["problem"]
    assert "torch" in report["qgis_python"]["lacking"]


def test_a_missing_interpreter_is_reported(diagnose):
    found, report = diagnose(SSDIFF_PYTHON="/nowhere/python")
    assert found["READY"] is False
    assert "the Python interpreter /nowhere/python cannot be started" in report["problem"]


def test_the_log_is_a_report_without_passwords_and_home_folders(qgis_process, environ):
    done = qgis_process(
        "run", "ssdiff:diagnostics", SSDIFF_WEIGHTS_URL="https://me:s3cret@example.org/w", SSDIFF_DEVICE="gpu"
    )
    assert done.returncode == 0
    for line in (
        "### SSDiff diagnostics",
        "- **Ready**",
        "- weights_url: https://example.org/...",
        "#### Environments of Install runtime",
    ):
        assert line in done.stdout
    assert "The device must be auto, cpu, cuda, cuda:N or mps, not 'gpu'" in done.stdout
    assert "s3cret" not in done.stdout
    assert environ["HOME"] not in done.stdout
    assert "- cache: ~/cache" in done.stdout
