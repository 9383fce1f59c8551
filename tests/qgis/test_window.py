"""The panel and the dialogs in QGIS's main window, used by clicks.py on a virtual screen."""

from __future__ import annotations

import re
from pathlib import Path

import desktop
import numpy as np
import pytest
from adapting import base_weights
from files import read, sample_files, write

from scripts import make_deliveries
from ssdiff_core.domain.options import PRESETS
from ssdiff_core.weights import catalogue

LARGE = 12
"copies of the sample in each direction, for a layer that takes long"


def scenes(folder: Path) -> Path:
    """Writes a small scene, an MS layer in another place, a scene that takes long, and weights of low quality."""
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
    make_deliveries.airbus(folder, make_deliveries.make_scene(1, 256)).rename(folder / "delivery")
    write(folder / "large_pan.tif", np.tile(pan, (LARGE, LARGE)), places[""][0])
    write(folder / "large_ms.tif", np.tile(ms, (1, LARGE, LARGE)), places[""][1])
    return folder


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Returns what clicks.py has recorded, by step."""
    if desktop.missing():
        pytest.skip(desktop.missing())
    folder = tmp_path_factory.mktemp("window")
    with desktop.screen() as display:
        script = Path(__file__).parents[1] / "support" / "clicks.py"
        results = desktop.run_inside(script, folder, display, SCENES=scenes(folder / "scenes"))
    assert "failed" not in results, results["failed"]
    return results


def test_the_panel_is_created_on_first_use_and_asks_for_layers(results):
    seen = results["empty_panel"]
    assert not seen["created before"]
    assert "Add a panchromatic and a multispectral layer" in seen["message"]
    assert not seen["preview"]
    assert seen["welcome"] == [True, True]


def test_the_sample_can_be_loaded_from_the_first_page(results):
    assert results["empty_panel"]["sample"] == ["Sample PAN", "Sample MS", False, True]


def test_layers_are_compared_on_the_map_until_another_tool_is_selected(results):
    seen = results["swiped_on_the_map"]
    assert seen["divider"] == pytest.approx(0.25, abs=0.02)
    assert seen["off"] == [False, False]


def test_pan_and_ms_are_selected_and_problems_are_explained(results):
    seen = results["layers_chosen"]
    assert "Select two different layers" in seen["alone"]
    assert seen["selected"] == ["town PAN", "town MS"]
    assert seen["apart"] == ["The layers do not overlap.", False]
    assert "The layers are outside the map extent" in seen["outside"]
    assert "covers the map extent, 160 × 160 pixels" in seen["zoomed"]
    assert seen["ready"]


def test_a_preview_runs_in_the_background_and_is_added_to_the_map(results):
    seen = results["previewed"]
    assert (seen["workers"], seen["framed"], seen["choices"]) == (1, True, False)
    assert seen["unresponsive"] < 0.5, "QGIS did not respond"
    assert seen["message"].startswith("general-4-patches: 1")
    assert (seen["top"], seen["temporary"]) == ("town MS preview (SSDiff)", True)
    assert not seen["framed after"]
    assert seen["still selected"] == ["town PAN", "town MS"]


def test_the_swipe_shows_more_detail_than_ms_and_the_line_can_be_dragged(results):
    details = results["previewed"]["details"]
    assert list(details) == ["MS", "Interpolated MS", "Brovey", "MTF-GLP-FS", "PAN", "SSDiff"]
    assert details["SSDiff"] > 1.5 * max(details["MS"], details["Interpolated MS"])
    assert len(set(details.values())) == 6
    assert results["previewed"]["divider"] == pytest.approx(0.25, abs=0.01)


def test_layers_added_after_the_preview_is_removed_can_be_chosen(results):
    seen = results["preview_removed"]
    assert seen["before"] == [["town MS preview (SSDiff)"]] * 2
    assert seen["after"] == [[], []]


def test_the_whole_layer_is_fused_by_the_algorithm_and_can_be_assessed(results):
    seen = results["whole_layer"]
    assert (seen["given"], seen["weights"]) == (["town PAN", "town MS"], "auto")
    assert (seen["name"], seen["size"], seen["bands"]) == ("town MS pansharpened (SSDiff)", [160, 160], [3, 2, 1])
    assert seen["assessed"] == "town MS pansharpened (SSDiff)"
    ((name, page),) = seen["viewer"]  # the results viewer of Processing
    assert name == "Report"
    assert "HQNR rewards interpolation" in page
    assert seen["history"] == 1


def test_the_panel_tells_the_time_of_each_preset_and_passes_the_selected_one_on(results):
    seen = results["whole_layer"]
    assert [re.sub(r" \(\d+ (s|min|h)\)", "", text) for text in seen["presets"]] == list(PRESETS)
    assert all("(" in text for text in seen["presets"])
    assert all(text.startswith("Estimated time: ") for text in seen["estimates"])
    assert seen["preset"] == "fast"


def test_weights_are_adapted_to_the_layers_and_selected(results):
    seen = results["adapted"]
    assert seen["given"] == ["whole pan", "whole ms"]
    assert seen["base"].endswith("base.safetensors")
    assert seen["listed"] == "my-town (4 bands, ratio 4, installed)"


def test_another_scene_resets_the_panel_and_another_pair_is_selected_when_layers_go(results):
    seen = results["adapted"]
    weights, message, image = seen["changed"]
    assert (weights, image) == ("auto", False)
    assert message == "The weights my-town do not belong to this scene: auto is selected instead."
    assert seen["left"] == ["town PAN", "whole ms"]


def test_a_batch_process_loads_its_results_without_errors_and_keeps_qgis_responsive(results):
    seen = results["batch"]
    assert seen["preselected"] == ["whole ms", "town PAN"]
    assert seen["added"] == ["ms pansharpened (SSDiff)"]
    assert "correctly executed" in seen["log"]
    assert "not correctly generated" not in seen["log"]
    assert seen["unresponsive"] < 0.5


def test_weights_are_selected_from_the_list_or_as_a_file(results):
    seen = results["weights_offered"]
    assert seen["listed"] == ["auto", *(entry.id for entry in catalogue.published()), "my-town"]
    assert seen["described"][:2] == ["auto (best)", "general-4-patches (4 bands, ratio 4, installed)"]
    assert seen["described"][-1] == "my-town (4 bands, ratio 4, installed)"
    assert seen["values"] == ["auto", "general-4-patches", r"C:\my weights\own.safetensors", "my-town"]
    assert (seen["batch"], seen["model"]) == ("my-town", "which")


def test_a_delivery_that_is_dropped_onto_the_panel_is_opened_and_selected(results):
    seen = results["delivery_dropped"]
    name = "PHR1A_202006021030010"
    assert seen["selected"] == [f"{name} PAN", f"{name} MS", 4]
    assert seen["message"] == f"{name}: PAN and MS are selected."
    assert "Looking for deliveries…" in seen["searching"]
    assert "Looking for deliveries…" not in seen["searching after"]
    assert (seen["sensor"], Path(seen["delivery"]).name) == ("qb", "delivery")


def test_without_a_runtime_the_panel_says_so_and_offers_to_install_it(results):
    seen = results["no_runtime"]
    if not seen["message"]:
        pytest.skip("the Python of this QGIS has PyTorch, so a runtime is never missing")
    assert "The runtime for the network SSDiff is not installed" in seen["message"]
    assert (seen["before"], seen["button"], seen["preview"]) == (False, True, True)
    assert (seen["after"], seen["preview again"]) == ("", True)
    assert seen["previewed"].startswith("MTF-GLP-FS: ")
    assert seen["compared with"] == ["MS", "Interpolated MS", "Brovey", "MTF-GLP-FS", "PAN"]
    assert seen["dialog"] == "mtf-glp-fs"


def test_cancelling_ends_the_worker_process(results):
    seen = results["cancelled"]
    assert "covers the centre of the map" in seen["limited"]
    assert "a CPU processes within seconds" in seen["limited"]
    assert (seen["workers"], seen["message"], seen["preview"]) == (1, "Cancelled.", True)


def test_the_plugin_is_unloaded_completely_and_loaded_again(results):
    seen = results["reloaded"]
    whole = {"entries": 3, "buttons": 1, "actions": 1, "docks": 1, "providers": 1}
    assert seen["before"] == seen["again"][0] == whole
    assert seen["after"] == {**whole, "docks": 0}
    assert seen["unloaded"] == dict.fromkeys(whole, 0)
    assert not seen["torch"]
    assert results["exit"] == 0, results["log"][-9000:]
    assert "Traceback" not in results["log"]
    own = [
        text for text in results["python errors"] if not text.startswith("warning:/usr/share/qgis/python/plugins/pro")
    ]
    assert own == []  # Processing itself may use what newer Pythons warn about
