"""Scenes of a project and of a folder as rows of Processing's batch dialog, in a real QGIS with windows off screen."""

import json
from pathlib import Path

import numpy as np
import pytest
from files import write

from scripts import make_deliveries

CODE = """
import inspect, json, sys, threading
from qgis.core import QgsApplication, QgsProcessingContext, QgsProject, QgsRasterLayer
app = QgsApplication([], True)
app.initQgis()
from processing.core.Processing import Processing
Processing.initialize()
from qgis.gui import QgsMessageBar
from qgis.PyQt.QtCore import QElapsedTimer, QTimer
from qgis.PyQt.QtWidgets import QApplication, QDialogButtonBox
import ssdiff
from ssdiff.ssdiff_qgis.panel import several_scenes
from ssdiff.ssdiff_qgis.services import dialogs, tasks
plugin = ssdiff.classFactory(None)
plugin.initProcessing()
folder = sys.argv[1]
project = QgsProject.instance()
NAMES = "SPECTRAL", "PANCHROMATIC", "DELIVERY", "SENSOR"


def wait(condition):
    # Processes events until the condition is true, or 30 s are over.
    watch = QElapsedTimer()
    watch.start()
    while not condition() and watch.elapsed() < 30_000:
        app.processEvents()
    return condition()


def start(scenes, place=""):
    # Chooses as a user would; returns what the chooser offered.
    seen = {}

    def choose():
        chooser = QApplication.activeModalWidget()
        seen["project first"] = chooser.project.isChecked()
        ok = chooser.buttons.button(QDialogButtonBox.StandardButton.Ok)
        seen["usable"] = [ok.isEnabled()]
        if place:
            chooser.deliveries.setChecked(True)
            chooser.folder.setFilePath(place)
        chooser.results.setFilePath(f"{folder}/results")
        seen["usable"].append(ok.isEnabled())
        ok.click()

    QTimer.singleShot(0, choose)
    scenes.open()
    return seen


def opened(place=""):
    # Returns what the chooser offered, the rows of the batch dialog and the message.
    bar = QgsMessageBar()
    seen = start(several_scenes.SeveralScenes(bar), place)
    assert wait(lambda: not tasks._running)
    seen["message"] = bar.currentItem().text() if bar.currentItem() else ""
    seen["rows"] = [rows_of(dialog.mainWidget()) for dialog in dialogs._open]
    dialogs.close_all()
    dialogs._open.clear()
    return seen


def cancelled(place, end):
    # Ends a search that stands still while the main thread goes on; `end` takes the message bar and the scenes.
    searching, released, raised = threading.Event(), threading.Event(), []
    listed, bar = several_scenes.find_scenes, QgsMessageBar()

    def stuck(places, watch):
        searching.set()
        released.wait(30)
        try:
            return listed(places, watch=watch)
        except Exception as error:
            raised.append(type(error).__name__)
            raise

    several_scenes.find_scenes = stuck
    scenes = several_scenes.SeveralScenes(bar)
    start(scenes, place)
    seen = {"searching": wait(searching.is_set), "told": bar.currentItem().text(), "listed": bool(tasks._running)}
    end(bar, scenes)
    app.processEvents()
    seen["told after"] = [item.text() for item in bar.items()]
    released.set()
    seen["ended"] = wait(lambda: not tasks._running)
    several_scenes.find_scenes = listed
    seen.update(raised=raised, dialogs=len(dialogs._open), messages=[item.text() for item in bar.items()])
    dialogs.close_all()
    dialogs._open.clear()
    return seen


def rows_of(panel):
    # Those that Processing would run.
    rows, context = [], QgsProcessingContext()
    context.setProject(project)
    more = [context] if "context" in inspect.signature(panel.parametersForRow).parameters else []  # since QGIS 3.40
    for number in range(panel.batchRowCount()):
        values, valid = panel.parametersForRow(number, *more)
        if not valid:
            continue
        layers = [project.mapLayer(values[name] or "") for name in NAMES[:2]]
        given = {name: layer.name() if layer else values[name] for name, layer in zip(NAMES, layers)}
        rows.append({**given, **{name: values[name] for name in NAMES[2:]},
                     "OUTPUT": values["OUTPUT"].sink.staticValue()})
    return rows


layers = [QgsRasterLayer(f"{folder}/{name}.tif", name) for name in ("b_ms", "a_pan", "alone_ms", "b_pan", "a_ms")]
results = {"folder": opened(f"{folder}/deliveries"), "shared": opened(f"{folder}/shared")}
results["nothing"] = opened(f"{folder}/results")
results["nowhere"] = opened(f"{folder}/missing")
place = f"{folder}/deliveries"
results["cancelled"] = cancelled(place, lambda bar, scenes: bar.currentItem().cancel.click())
results["unloaded"] = cancelled(place, lambda bar, scenes: scenes.stop())
results["closed"] = cancelled(place, lambda bar, scenes: bar.popWidget())
project.addMapLayers(layers)
project.setCrs(layers[0].crs())
results["project"] = opened()
dialogs.BATCH_PARTS = ("missing",)
results["other version"] = opened()
plugin.unload()
print("ANSWER", json.dumps(results), flush=True)
app.exitQgis()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Returns a folder with layers, two deliveries in folders of their own, and two scenes that share a folder."""
    folder = tmp_path_factory.mktemp("several")
    for part in ("results", "deliveries", "shared"):
        (folder / part).mkdir()
    (folder / "results" / "a_ms_pansharpened.tif").touch()
    for name, east in (("a", 400_000.0), ("b", 400_060.0), ("alone", 500_000.0)):
        for kind, bands, pixel in (("pan", 1, 0.6), ("ms", 4, 2.4)):
            if (name, kind) != ("alone", "pan"):
                image = np.ones((bands, round(96 / pixel), round(96 / pixel)), np.uint16)
                places = [folder] if name == "alone" else [folder, folder / "shared"]
                for place in places:
                    write(place / f"{name}_{kind}.tif", image, (east, pixel, 0.0, 4_500_000.0, 0.0, -pixel))
    for number, make in enumerate((make_deliveries.airbus, make_deliveries.gaofen)):
        make(folder / "deliveries", make_deliveries.make_scene(number, 64))
    (folder / "shared" / "c_pan.tif").symlink_to(folder / "a_pan.tif")
    return folder


@pytest.fixture(scope="module")
def results(qgis_process, folder):
    done = qgis_process.run_alone(CODE, folder)
    answers = [line for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
    assert answers, done.stderr
    return json.loads(answers[0][len("ANSWER ") :])


def test_a_project_with_two_pairs_gives_two_filled_rows_and_overwrites_nothing(results, folder):
    seen = results["project"]
    assert (seen["project first"], seen["usable"], seen["message"]) == (True, [False, True], "")
    (rows,) = seen["rows"]
    assert [(row["SPECTRAL"], row["PANCHROMATIC"], row["DELIVERY"]) for row in rows] == [
        ("a_ms", "a_pan", ""),
        ("b_ms", "b_pan", ""),
    ]
    names = ["a_ms_pansharpened_2.tif", "b_ms_pansharpened.tif"]
    assert [row["OUTPUT"] for row in rows] == [str(folder / "results" / name) for name in names]


def test_each_delivery_of_a_folder_gives_a_row_with_its_folder_or_archive(results):
    seen = results["folder"]
    assert (seen["project first"], seen["message"]) == (False, "")
    (rows,) = seen["rows"]
    assert sorted(Path(row["DELIVERY"]).name for row in rows) == [
        "GF2_PMS1_E113.6_N23.1_20200602_L1A0000000001.tar",
        "PHR_ORDER_000",
    ]
    assert [(row["SPECTRAL"], row["PANCHROMATIC"]) for row in rows] == [(None, None)] * 2
    assert len({row["OUTPUT"] for row in rows}) == 2


def test_scenes_that_share_a_folder_are_given_by_their_files(results, folder):
    (rows,) = results["shared"]["rows"]
    assert results["shared"]["message"].startswith("Scenes left out because they are incomplete or damaged: 1.")
    shared = folder / "shared"
    assert [(row["SPECTRAL"], row["PANCHROMATIC"], row["DELIVERY"]) for row in rows] == [
        (str(shared / f"{name}_ms.tif"), str(shared / f"{name}_pan.tif"), "") for name in "ab"
    ]


@pytest.mark.parametrize("end", ["cancelled", "unloaded"])
def test_a_search_runs_in_the_background_and_can_be_cancelled(results, end):
    seen = results[end]
    assert (seen["searching"], seen["listed"], seen["told"]) == (True, True, "Looking for deliveries…")
    assert (seen["ended"], seen["raised"]) == (True, ["Cancelled"])
    assert (seen["told after"], seen["messages"], seen["dialogs"]) == ([], [], 0)


def test_a_search_goes_on_after_its_message_is_closed(results):
    seen = results["closed"]
    assert (seen["told after"], seen["raised"], seen["dialogs"]) == ([], [], 1)


def test_what_is_not_possible_is_told_in_one_sentence(results):
    for name, start in (("nothing", "No scenes with PAN and MS"), ("nowhere", "/")):
        assert results[name]["message"].startswith(start)
        assert results[name]["rows"] == []
    assert "does not exist" in results["nowhere"]["message"]
    other = results["other version"]
    assert "does not let plugins fill in the batch dialog" in other["message"]
    assert other["rows"] == [[]]
