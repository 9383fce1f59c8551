"""Classical methods, reports and lists need NumPy and GDAL only."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command import ssdiff
from files import read, sample_files

from ssdiff_core.domain.methods import CLASSICAL

ROOT = Path(__file__).parents[3]
WITHOUT_TORCH = (
    "import sys; sys.modules['torch'] = None; from ssdiff_core.cli.main import main; sys.exit(main(sys.argv[1:]))"
)


def without_torch(*arguments) -> str:
    """Returns the output of a command in a Python without torch."""
    command = [sys.executable, "-c", WITHOUT_TORCH, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "SSDIFF_OFFLINE": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("method", CLASSICAL)
def test_a_classical_run_needs_no_torch(tmp_path, method):
    pan, ms, _ = sample_files(tmp_path, 96)
    without_torch("pansharpen", pan, ms, tmp_path / "o.tif", "--method", method)
    assert read(tmp_path / "o.tif").shape == (4, 96, 96)


@pytest.mark.parametrize("reference", [False, True])
def test_measures_and_report_need_no_torch(tmp_path, reference):
    pan, ms, truth = sample_files(tmp_path, 96)
    page = tmp_path / "report.html"
    without_torch("pansharpen", pan, ms, tmp_path / "o.tif", "--method", "gsa")
    options = [tmp_path / "o.tif", *(["--reference", truth] if reference else []), "--json"]
    alone = json.loads(without_torch("assess", *options, "--report", page))["results"]
    both = json.loads(ssdiff("assess", *options).stdout)["results"]
    assert [one["measures"] for one in alone] == [one["measures"] for one in both]
    assert page.stat().st_size > 10_000


def test_methods_are_compared_without_torch(tmp_path):
    pan, ms, _ = sample_files(tmp_path, 256)
    said = without_torch("assess", "--protocol", "wald", "--pan", pan, "--ms", ms, "--methods", "gsa,brovey", "--json")
    assert {"GSA", "Brovey"} <= {result["name"] for result in json.loads(said)["results"]}


def test_lists_and_the_shift_need_no_torch(tmp_path):
    pan, ms, _ = sample_files(tmp_path, 256)
    assert "general-4-patches" in without_torch("weights", "list")
    assert "confidence" in without_torch("align", pan, ms)
