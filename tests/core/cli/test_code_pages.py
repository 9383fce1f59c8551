"""Names of files and code pages as on Windows: no text depends on the encoding of the system."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from files import read, sample_files

ROOT = Path(__file__).parents[3]
STRICT = {"PYTHONWARNDEFAULTENCODING": "1", "PYTHONWARNINGS": "error::EncodingWarning"}
"variables by which Python 3.10 and newer raise an error if a text file is opened in the encoding of the system"


@pytest.fixture
def folder(tmp_path):
    """A folder with a name that command lines, lists of files and URLs could take apart."""
    found = tmp_path / "Grün & Söhne, 100% [a]; 卫星 'x'"
    found.mkdir()
    sample_files(found, 96)
    return found


def ssdiff(folder, *arguments, **variables) -> bytes:
    """Returns what a command prints; it runs in the folder."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "SSDIFF_OFFLINE": "1", **variables}
    command = [sys.executable, "-m", "ssdiff_core", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def test_no_file_is_opened_in_the_encoding_of_the_system(folder):
    out = folder / "größe.tif"
    method = ("--method", "gsa", "--progress", "json")
    ssdiff(folder, "pansharpen", folder / "pan.tif", folder / "ms.tif", out, *method, **STRICT)
    ssdiff(folder, "assess", out, "--report", "ü.html", "--csv", "ü.csv", "--png", "ü", **STRICT)
    ssdiff(folder, "weights", "list", **STRICT)
    assert read(out).shape == (4, 96, 96)
    assert "größe" in (folder / "ü.csv").read_text(encoding="utf-8")
    assert "größe" in (folder / "ü.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("code_page", ["cp437", "cp1252", "cp932", "utf-8"])
def test_tables_are_printed_in_every_code_page(folder, code_page):
    out = "größe.tif"
    ssdiff(folder, "pansharpen", "pan.tif", "ms.tif", out, "--method", "exp", PYTHONIOENCODING=code_page)
    said = ssdiff(folder, "assess", out, PYTHONIOENCODING=code_page).decode(code_page)
    assert "HQNR" in said
    assert ("größe" if code_page != "cp932" else "gr") in said
