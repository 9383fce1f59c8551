"""The panel and the dialog in QGIS's own window, clicked through (clicks.py) on a screen that nobody sees."""

from __future__ import annotations

from pathlib import Path

import desktop
import numpy as np
import pytest
from files import read, sample_files, write

LARGE = 12
"copies of the sample in each direction that make a layer which takes long"


def scenes(folder: Path) -> Path:
    """A small scene, one of the same size elsewhere, and one that takes long."""
    folder.mkdir()
    whole = folder / "whole"
    whole.mkdir()
    pan, ms, _ = (read(path) for path in sample_files(whole))
    corners = {"": (400_000.0, 4_500_000.0), "elsewhere": (500_000.0, 4_500_000.0)}
    places = {
        name: [(x, pixel, 0.0, y, 0.0, -pixel) for pixel in (0.6, 2.4)] for name, (x, y) in corners.items()
    }
    write(folder / "pan.tif", pan[:160, :160], places[""][0])
    write(folder / "ms.tif", ms[:, :40, :40], places[""][1])
    write(folder / "elsewhere.tif", ms[:, :40, :40], places["elsewhere"][1])
    write(folder / "large_pan.tif", np.tile(pan, (LARGE, LARGE)), places[""][0])
    write(folder / "large_ms.tif", np.tile(ms, (1, LARGE, LARGE)), places[""][1])
    return folder


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What was seen."""
    if desktop.missing():
        pytest.skip(desktop.missing())
    folder = tmp_path_factory.mktemp("window")
    with desktop.screen() as display:
        script = Path(__file__).parent / "clicks.py"
        told = desktop.run_inside(script, folder, display, SCENES=scenes(folder / "scenes"))
    assert "failed" not in told, told["failed"]
    return told


def test_print(told):
    print(told)
    assert 0
