"""Pairs of PAN and MS layers, and the extent of a preview, in a real QGIS."""

import json

import numpy as np
import pytest
from files import write
from osgeo import gdal

CODE = """
import json
from qgis.core import *
import ssdiff
from ssdiff.ssdiff_qgis.services import tasks
from ssdiff.ssdiff_qgis.panel import layer_pairs, visible_extent
folder = sys.argv[1]
project = QgsProject.instance()
project.setCrs(QgsCoordinateReferenceSystem("EPSG:32632"))


def add(*names):
    project.clear()
    project.setCrs(QgsCoordinateReferenceSystem("EPSG:32632"))
    layers = [QgsRasterLayer(f"{folder}/{name}.tif", name) for name in names]
    project.addMapLayers(layers)
    return layers


def found_pair(*names):
    add(*names)
    pair = layer_pairs.pair_of_project()
    return pair and [project.mapLayer(id).name() for id in pair]


def problem(*names):
    layers = add(*names)
    return layer_pairs.problem(*(layer_pairs.info_of(layer, layers[0].crs()) for layer in layers))


def extent(view, crs, limit, pan="town_pan", ms="town_ms"):
    view = QgsReferencedRectangle(QgsRectangle(*view), QgsCoordinateReferenceSystem(crs))
    found = visible_extent.preview_extent(*add(pan, ms), view, limit)
    return found and [found.width, found.height, round(found.fraction, 3), found.crs.authid(),
                      [found.box.xMinimum(), found.box.yMinimum(), found.box.xMaximum(), found.box.yMaximum()]]


corner = QgsCoordinateTransform(
    QgsCoordinateReferenceSystem("EPSG:32632"), QgsCoordinateReferenceSystem("EPSG:4326"), project
).transformBoundingBox(QgsRectangle(400000, 4499988, 400012, 4500000))
working = {"cpu": {"works": True}, "cuda:0": {"works": True}, "mps": {"works": False}}
print(json.dumps({
    "pairs": [found_pair(*names) for names in (
        ("town_ms", "town_pan"), ("field_pan", "town_pan", "town_ms", "field_ms", "elsewhere"),
        ("town_pan", "elsewhere"), ("town_pan", "fused"), ("town_pan", "degrees"),
    )],
    "none": found_pair(),
    "fine": [problem("town_pan", "town_ms"), problem("town_pan", "degrees")],
    "swapped": problem("town_ms", "town_pan"),
    "apart": problem("town_pan", "elsewhere"),
    "same resolution": problem("town_pan", "fused"),
    "all": extent((0, 0, 1e6, 1e7), "EPSG:32632", 10**6),
    "middle": extent((0, 0, 1e6, 1e7), "EPSG:32632", 1600),
    "corner": extent((corner.xMinimum(), corner.yMinimum(), corner.xMaximum(), corner.yMaximum()), "EPSG:4326", 10**6),
    "warped": extent((0, 0, 1e6, 1e7), "EPSG:32632", 10**6, ms="degrees")[:3],
    "outside": [extent((0, 0, 1, 1), "EPSG:32632", 10**6),
                extent((0, 0, 1e6, 1e7), "EPSG:32632", 10**6, ms="elsewhere")],
    "gpu": [tasks.uses_gpu(working, device) for device in ("auto", "cuda", "cuda:0", "cpu", "mps")],
}))
"""


@pytest.fixture(scope="module")
def results(qgis_process, tmp_path_factory):
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


def test_the_layers_of_one_scene_are_found(results):
    towns, fields = ["town_pan", "town_ms"], ["field_pan", "field_ms"]
    assert results["pairs"][0] == towns
    assert results["pairs"][1] in (towns, fields)
    assert results["pairs"][2:4] == [None, None]
    assert results["pairs"][4] == ["town_pan", "degrees"]
    assert results["none"] is None


def test_a_problem_of_a_pair_is_one_sentence(results):
    assert results["fine"] == ["", ""]
    assert "swapped" in results["swapped"]
    assert "do not overlap" in results["apart"]
    assert "must be 1.5 to 8 times as large" in results["same resolution"]


def test_a_preview_covers_the_map_extent_up_to_a_maximum_size(results):
    assert results["all"] == [160, 160, 1.0, "EPSG:32632", [400_000, 4_499_904, 400_096, 4_500_000]]
    assert results["middle"][:3] == [40, 40, 0.062]
    assert results["middle"][4] == pytest.approx([400_036, 4_499_940, 400_060, 4_499_964])
    assert results["corner"][:2] == pytest.approx([20, 20], abs=2)
    assert results["corner"][4] == pytest.approx([400_000, 4_499_988, 400_012, 4_500_000], abs=0.6)
    assert results["warped"] == pytest.approx([160, 160, 1.0], abs=4)
    assert results["outside"] == [None, None]


def test_a_gpu_is_used_if_it_works_and_is_allowed(results):
    assert results["gpu"] == [True, True, True, False, False]
