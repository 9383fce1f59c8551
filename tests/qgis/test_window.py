"""The panel and the dialog in QGIS's own window, clicked through (clicks.py) on a screen that nobody sees."""

from __future__ import annotations

from pathlib import Path

import desktop
import numpy as np
import pytest
from adapting import base_weights
from files import read, sample_files, write

from ssdiff_core.weights import catalogue

LARGE = 12
"copies of the sample in each direction that make a layer which takes long"


def scenes(folder: Path) -> Path:
    """A small scene, one of the same size elsewhere, and one that takes long; weights that answer badly."""
    folder.mkdir()
    whole = folder / "whole"
    whole.mkdir()
    pan, ms, _ = (read(path) for path in sample_files(whole))
    corners = {"": (400_000.0, 4_500_000.0), "elsewhere": (500_000.0, 4_500_000.0)}
    places = {name: [(x, pixel, 0.0, y, 0.0, -pixel) for pixel in (0.6, 2.4)] for name, (x, y) in corners.items()}
    write(folder / "pan.tif", pan[:160, :160], places[""][0])
    write(folder / "ms.tif", ms[:, :40, :40], places[""][1])
    write(folder / "elsewhere.tif", ms[:, :40, :40], places["elsewhere"][1])
    base_weights(folder)
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
        script = Path(__file__).parents[1] / "support" / "clicks.py"
        told = desktop.run_inside(script, folder, display, SCENES=scenes(folder / "scenes"))
    assert "failed" not in told, told["failed"]
    return told


def test_the_panel_is_made_when_it_is_wanted_and_says_what_it_needs(told):
    seen = told["empty_panel"]
    assert not seen["made before"]
    assert "Add a panchromatic and a multispectral layer" in seen["says"]
    assert not seen["preview"]


def test_pan_and_ms_are_guessed_and_what_does_not_fit_is_said(told):
    seen = told["layers_chosen"]
    assert "Choose two layers" in seen["alone"]
    assert seen["guessed"] == ["town PAN", "town MS"]
    assert seen["far"] == ["These layers lie in different places.", False]
    assert "The map shows nothing of these layers" in seen["away"]
    assert "fuses what the map shows, 160 × 160 pixels" in seen["back"]
    assert seen["ready"]


def test_a_preview_is_made_meanwhile_and_lies_on_the_map(told):
    seen = told["previewed"]
    assert (seen["at work"], seen["framed"], seen["choices"]) == (1, True, False)
    assert seen["unanswered"] < 0.5, "QGIS stood still"
    assert seen["says"].startswith("general-4: 1")
    assert (seen["top"], seen["temporary"]) == ("town MS pansharpened (preview)", True)
    assert not seen["framed after"]
    assert seen["still chosen"] == ["town PAN", "town MS"]


def test_the_swipe_shows_what_ms_has_not_and_the_line_can_be_dragged(told):
    details = told["previewed"]["details"]
    assert list(details) == ["MS", "MS, interpolated", "Brovey", "PAN", "SSDiff"]
    assert details["SSDiff"] > 1.5 * max(details["MS"], details["MS, interpolated"])
    assert len(set(details.values())) == 5
    assert told["previewed"]["divider"] == 0.25


def test_the_whole_layer_is_fused_by_the_algorithm_and_can_be_assessed(told):
    seen = told["whole_layer"]
    assert (seen["given"], seen["weights"]) == (["town PAN", "town MS"], "auto")
    assert (seen["name"], seen["size"], seen["bands"]) == ("town MS pansharpened", [160, 160], [3, 2, 1])
    assert seen["assessed"] == "town MS pansharpened"
    ((name, page),) = seen["viewer"]  # where Processing shows what algorithms have to say
    assert name == "Report"
    assert "HQNR rewards interpolation" in page
    assert seen["history"] == 1


def test_weights_are_adapted_to_the_layers_and_are_those_that_are_used_next(told):
    seen = told["adapted"]
    assert seen["given"] == ["whole pan", "whole ms"]
    assert seen["base"].endswith("base.safetensors")
    assert seen["listed"] == "my-town (4 bands, ratio 4, here)"


def test_weights_are_chosen_among_those_that_are_there_or_are_a_file(told):
    seen = told["weights_offered"]
    assert seen["listed"] == ["auto", *(entry.id for entry in catalogue.published()), "my-town"]
    assert seen["told"][:2] == ["auto (best)", "general-4 (4 bands, ratio 4, here)"]
    assert seen["told"][-1] == "my-town (4 bands, ratio 4, here)"
    assert seen["values"] == ["auto", "general-4", r"C:\my weights\own.safetensors", "my-town"]
    assert (seen["batch"], seen["model"]) == ("my-town", "which")


def test_without_a_runtime_the_panel_says_so_and_offers_to_install_it(told):
    seen = told["no_runtime"]
    if not seen["says"]:
        pytest.skip("QGIS's own Python has PyTorch here: it is never without a runtime")
    assert "There is no Python with PyTorch yet" in seen["says"]
    assert (seen["before"], seen["button"], seen["preview"]) == (False, True, False)
    assert (seen["after"], seen["preview again"]) == ("", True)


def test_what_is_cancelled_leaves_no_process_behind(told):
    seen = told["cancelled"]
    assert "the middle of the map" in seen["limited"]
    assert "a processor does so in seconds" in seen["limited"]
    assert (seen["at work"], seen["says"], seen["preview"]) == (1, "Cancelled.", True)


def test_the_plugin_goes_without_a_trace_and_comes_back(told):
    seen = told["reloaded"]
    whole = {"entries": 2, "buttons": 1, "actions": 1, "docks": 1, "providers": 1}
    assert seen["before"] == seen["again"][0] == whole
    assert seen["after"] == {**whole, "docks": 0}
    assert seen["unloaded"] == dict.fromkeys(whole, 0)
    assert not seen["torch"]
    assert told["exit"] == 0, told["log"][-9000:]
    assert "Traceback" not in told["log"]
    assert told["wrong"] == []
