"""Which layers belong together, and what a preview fuses of them; in a real QGIS."""

import json

import numpy as np
import pytest
from files import write
from osgeo import gdal

CODE = """
import json
from qgis.core import *
import ssdiff
from ssdiff.ssdiff_qgis.services import tasks as background
from ssdiff.ssdiff_qgis.panel import layer_pairs as pairs, visible_extent as part
folder = sys.argv[1]
project = QgsProject.instance()
project.setCrs(QgsCoordinateReferenceSystem("EPSG:32632"))


def put(*names):
    project.clear()
    project.setCrs(QgsCoordinateReferenceSystem("EPSG:32632"))
    layers = [QgsRasterLayer(f"{folder}/{name}.tif", name) for name in names]
    project.addMapLayers(layers)
    return layers


def guessed(*names):
    put(*names)
    pair = pairs.pair_of_project()
    return pair and [project.mapLayer(id).name() for id in pair]


def obstacle(*names):
    layers = put(*names)
    return pairs.obstacle(*(pairs.image_of(layer, layers[0].crs()) for layer in layers))


def seen(view, crs, limit, pan="town_pan", ms="town_ms"):
    view = QgsReferencedRectangle(QgsRectangle(*view), QgsCoordinateReferenceSystem(crs))
    found = part.in_view(*put(pan, ms), view, limit)
    return found and [found.width, found.height, round(found.share, 3), found.crs.authid(),
                      [found.box.xMinimum(), found.box.yMinimum(), found.box.xMaximum(), found.box.yMaximum()]]


there = QgsCoordinateTransform(
    QgsCoordinateReferenceSystem("EPSG:32632"), QgsCoordinateReferenceSystem("EPSG:4326"), project
).transformBoundingBox(QgsRectangle(400000, 4499988, 400012, 4500000))
working = {"cpu": {"works": True}, "cuda:0": {"works": True}, "mps": {"works": False}}
print(json.dumps({
    "guesses": [guessed("town_ms", "town_pan"), guessed("field_pan", "town_pan", "town_ms", "field_ms", "elsewhere"),
                guessed("town_pan", "elsewhere"), guessed("town_pan", "fused"), guessed("town_pan", "degrees")],
    "none": guessed(),
    "fine": [obstacle("town_pan", "town_ms"), obstacle("town_pan", "degrees")],
    "swapped": obstacle("town_ms", "town_pan"),
    "far": obstacle("town_pan", "elsewhere"),
    "even": obstacle("town_pan", "fused"),
    "all": seen((0, 0, 1e6, 1e7), "EPSG:32632", 10**6),
    "middle": seen((0, 0, 1e6, 1e7), "EPSG:32632", 1600),
    "corner": seen((there.xMinimum(), there.yMinimum(), there.xMaximum(), there.yMaximum()), "EPSG:4326", 10**6),
    "warped": seen((0, 0, 1e6, 1e7), "EPSG:32632", 10**6, ms="degrees")[:3],
    "nothing": [seen((0, 0, 1, 1), "EPSG:32632", 10**6), seen((0, 0, 1e6, 1e7), "EPSG:32632", 10**6, ms="elsewhere")],
    "gpu": [background.has_gpu(working, wish) for wish in ("auto", "cuda", "cuda:0", "cpu", "mps")],
}))
"""


@pytest.fixture(scope="module")
def told(qgis_process, tmp_path_factory):
    folder = tmp_path_factory.mktemp("layers")
    for name, east, bands, pixel in (
        ("town_pan", 400_000.0, 1, 0.6),
        ("town_ms", 400_000.0, 4, 2.4),
        ("fused", 400_000.0, 4, 0.6),
        ("field_pan", 400_048.0, 1, 0.6),
        ("field_ms", 400_048.0, 4, 2.4),
        ("elsewhere", 500_000.0, 4, 2.4),
    ):
        side = round(96 / pixel)
        image = np.ones((bands, side, side), np.uint16)
        write(folder / f"{name}.tif", image, (east, pixel, 0.0, 4_500_000.0, 0.0, -pixel))
    gdal.Warp(str(folder / "degrees.tif"), str(folder / "town_ms.tif"), dstSRS="EPSG:4326")
    done = qgis_process.python(CODE, folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_layers_that_belong_together_are_found(told):
    towns, fields = ["town_pan", "town_ms"], ["field_pan", "field_ms"]
    assert told["guesses"][0] == towns
    assert told["guesses"][1] in (towns, fields)
    assert told["guesses"][2:4] == [None, None]
    assert told["guesses"][4] == ["town_pan", "degrees"]
    assert told["none"] is None


def test_what_is_in_the_way_of_a_pair_is_one_sentence(told):
    assert told["fine"] == ["", ""]
    assert "swapped" in told["swapped"]
    assert "different places" in told["far"]
    assert "must be 1.5 to 8 times as fine" in told["even"]


def test_a_preview_is_of_what_the_map_shows_and_not_too_large(told):
    assert told["all"] == [160, 160, 1.0, "EPSG:32632", [400_000, 4_499_904, 400_096, 4_500_000]]
    assert told["middle"][:3] == [40, 40, 0.062]
    assert told["middle"][4] == pytest.approx([400_036, 4_499_940, 400_060, 4_499_964])
    assert told["corner"][:2] == pytest.approx([20, 20], abs=2)
    assert told["corner"][4] == pytest.approx([400_000, 4_499_988, 400_012, 4_500_000], abs=0.6)
    assert told["warped"] == pytest.approx([160, 160, 1.0], abs=4)
    assert told["nothing"] == [None, None]


def test_a_gpu_counts_if_it_works_and_is_not_declined(told):
    assert told["gpu"] == [True, True, True, False, False]
