"""The command ssdiff scenes, and deliveries as input of ssdiff pansharpen."""

import csv
import io
import json

import numpy as np
import pytest
from command import ssdiff
from osgeo import gdal

from scripts import make_deliveries


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SSDIFF_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """The deliveries of five vendors, of which one lacks its PAN."""
    folder = tmp_path_factory.mktemp("archive")
    roots = make_deliveries.make(folder, 5, 64)
    for path in roots[3].glob("*_B8.TIF"):
        path.unlink()
    return folder, roots


def test_scenes_are_listed_with_what_is_missing(places):
    done = ssdiff("scenes", places[0])
    lines = done.stdout.splitlines()
    assert lines[0].startswith("  20JUN01-056789010000_01_P001: WorldView-2, 64 x 64 pixels, ratio 4, 0 % cloud, 2020-")
    assert lines[3].startswith("! LC08")
    assert lines[4].strip() == "no PAN file is there"
    assert "5 scene(s), of which 4 can be fused" in done.stderr


def test_json_and_csv_tell_the_same(places):
    found = json.loads(ssdiff("scenes", places[0], "--json").stdout)
    rows = list(csv.DictReader(io.StringIO(ssdiff("scenes", places[0], "--csv").stdout)))
    assert [one["name"] for one in found] == [row["name"] for row in rows]
    assert [str(one["complete"]) for one in found] == [row["complete"] for row in rows]
    assert found[1]["sensor_name"] == "Pléiades 1A and 1B"
    assert found[3]["doubts"] == ["no PAN file is there"]
    assert rows[4]["ms"].count("|") == 3


def test_a_folder_without_scenes_gives_an_empty_list(tmp_path):
    assert json.loads(ssdiff("scenes", tmp_path, "--json").stdout) == []


@pytest.mark.parametrize("number", [0, 1, 2, 4])
def test_a_delivery_is_fused_like_its_files(places, number, tmp_path):
    root = places[1][number]
    done = ssdiff("pansharpen", root, tmp_path / "out.tif", "--method", "exp", "--align", "none")
    assert "Delivery " in done.stderr
    image = gdal.Open(str(tmp_path / "out.tif"))
    assert (image.RasterXSize, image.RasterYSize, image.RasterCount) == (64, 64, 4)
    assert image.GetMetadataItem("SSDIFF_SENSOR") == ("wv2", "pleiades", "gf2", "", "kompsat3")[number]
    scene = make_deliveries.make_scene(number, 64)
    pan, ms = scene.write(tmp_path / "p.tif", scene.pan), scene.write(tmp_path / "m.tif", scene.ms, 4)
    ssdiff("pansharpen", pan, ms, tmp_path / "same.tif", "--method", "exp", "--align", "none")
    expected = gdal.Open(str(tmp_path / "same.tif")).ReadAsArray()
    assert np.array_equal(image.ReadAsArray(), expected[[2, 1, 0, 3]] if number == 1 else expected)


def test_a_metadata_file_stands_for_its_delivery(places, tmp_path):
    (imd,) = places[1][0].rglob("*M2AS*.IMD")
    done = ssdiff("pansharpen", imd, tmp_path / "out.tif", "--method", "exp")
    assert "Delivery 20JUN01" in done.stderr


def test_the_report_is_made_with_the_files_of_the_delivery(places, tmp_path):
    ssdiff("pansharpen", places[1][0], tmp_path / "out.tif", "--method", "exp", "--report", tmp_path / "r.html")
    assert (tmp_path / "r.html").stat().st_size > 1000


def test_of_several_scenes_none_is_fused(places, tmp_path):
    done = ssdiff("pansharpen", places[0], tmp_path / "out.tif", expect=1)
    assert "contains 4 scenes: 20JUN01-056789010000_01_P001, PHR1A_" in done.stderr
    assert not (tmp_path / "out.tif").exists()


def test_a_scene_of_several_is_chosen_by_its_name(places, tmp_path):
    done = ssdiff("pansharpen", places[0], tmp_path / "o.tif", "--scene", "PHR1A_202006021030010", "--method", "exp")
    assert "Delivery PHR1A_202006021030010 (" in done.stderr
    other = ssdiff("pansharpen", places[0], tmp_path / "o.tif", "--scene", "PHR1A", expect=1)
    assert "no PAN and MS of PHR1A were found" in other.stderr


def test_a_place_without_a_scene_is_an_error(places, tmp_path):
    assert "no PAN and MS were found" in ssdiff("pansharpen", tmp_path, tmp_path / "o.tif", expect=1).stderr
    incomplete = ssdiff("pansharpen", places[1][3], tmp_path / "o.tif", expect=1).stderr
    assert "cannot be fused: no PAN file is there" in incomplete


def test_the_files_of_a_delivery_are_not_overwritten(places):
    tile = next(places[1][0].rglob("*P2AS_R1C1*.TIF"))
    done = ssdiff("pansharpen", places[1][0], tile, "--method", "exp", expect=1)
    assert "is one of the inputs" in done.stderr


def test_a_single_raster_is_no_delivery(places, tmp_path):
    tile = next(places[1][0].rglob("*P2AS_R1C1*.TIF"))
    assert "give MS once" in ssdiff("pansharpen", tile, tmp_path / "o.tif", expect=2).stderr
