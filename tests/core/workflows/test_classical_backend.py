"""Classical methods need NumPy and GDAL only."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from files import read, sample_files

from ssdiff_core.domain.methods import CLASSICAL

ROOT = Path(__file__).parents[3]
WITHOUT_TORCH = (
    "import sys; sys.modules['torch'] = None; from ssdiff_core.cli.main import main; sys.exit(main(sys.argv[1:]))"
)


@pytest.mark.parametrize("method", CLASSICAL)
def test_a_classical_run_needs_no_torch(tmp_path, method):
    pan, ms, _ = sample_files(tmp_path, 96)
    command = [sys.executable, "-c", WITHOUT_TORCH, "pansharpen", pan, ms, tmp_path / "o.tif", "--method", method]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "SSDIFF_OFFLINE": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert read(tmp_path / "o.tif").shape == (4, 96, 96)
