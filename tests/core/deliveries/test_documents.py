"""Lists of scenes: CSV files of pairs, and STAC items by their bands and resolution."""

import json
import os

import pytest

from ssdiff_core.common.errors import ConfigError
from ssdiff_core.deliveries import delivery_pair, find_scenes


@pytest.fixture
def files(scene, tmp_path):
    scene.write(tmp_path / "a" / "p.tif", scene.pan)
    scene.write(tmp_path / "a" / "m.tif", scene.ms, 4)
    for name, band in zip(("blue", "green", "red", "nir"), scene.ms):
        scene.write(tmp_path / "a" / f"{name}.tif", band, 4)
    scene.write(tmp_path / "a" / "coarse.tif", scene.ms[:, ::4, ::4], 16)
    return tmp_path


def listed(folder, text, name="list.csv"):
    (folder / name).write_text(text)
    return find_scenes([folder / name])


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_list_of_pairs_gives_the_scenes_in_its_order(files, separator):
    rows = ["Name,PAN,MS,Sensor", "z,a/p.tif,a/m.tif,qb", f"y,{files}/a/p.tif,a/blue.tif|a/red.tif,"]
    first, second = listed(files, "\n".join(rows).replace(",", separator))
    assert (first.name, first.sensor, second.name, second.sensor) == ("z", "qb", "y", None)
    assert delivery_pair(first, files).ms == f"{files}/a/m.tif"
    assert delivery_pair(second, files).ms == [f"{files}/a/blue.tif", f"{files}/a/red.tif"]


def test_a_list_with_a_missing_file_tells_it(files):
    (found,) = listed(files, "pan,ms\na/p.tif,a/none.tif\n")
    assert not found.complete
    assert "none.tif" in str(found.doubts[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "needs the columns pan and ms in its first line; it has a, b"),
        ("pan,ms,sensor\na,b,wv9\n", "line 2: unknown sensor 'wv9'"),
        ("pan,ms\n" + '"' + "x" * 200_000, "is no CSV file"),
        ('pan,ms,sensor\na,b,"w\nv"\n', r"line 2: unknown sensor 'w\\nv'; the"),
        ('pan,ms,sensor\na,b,"' + "w" * 100_000 + '"\n', "unknown sensor 'w{200}'; the"),
        ('"a\nb",c\n1,2\n', r"it has a\\nb, c$"),
    ],
)
def test_a_list_that_cannot_be_read_is_an_error(files, text, message):
    with pytest.raises(ConfigError, match=message):
        listed(files, text)


def test_a_list_that_is_no_file_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match=r"none.csv does not exist"):
        find_scenes([tmp_path / "none.csv"])
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ConfigError, match="is a folder and not a list"):
        find_scenes([tmp_path / "folder.csv"])


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes with names of files")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(ConfigError, match="is a pipe and not a list"):
        find_scenes([tmp_path / "pipe.json"])


def band(name, key="common_name"):
    return {"name": "B", key: name}


def item(assets, **properties):
    return {"type": "Feature", "stac_version": "1.1.0", "id": "one", "properties": properties, "assets": assets}


def asset(href, *names, gsd=None, key="eo:bands", **more):
    kind = "image/tiff; application=geotiff"
    inner = "eo:common_name" if key == "bands" else "common_name"
    return {"href": href, "type": kind, key: [band(n, inner) for n in names], **({"gsd": gsd} if gsd else {}), **more}


@pytest.mark.parametrize("key", ["eo:bands", "bands"])
def test_an_item_with_one_ms_asset_is_a_scene(files, key):
    assets = {
        "pan": asset("./a/p.tif", "pan", gsd=0.5, key=key),
        "ms": asset("a/m.tif", "blue", "green", "red", "nir", gsd=2, key=key),
        "overview": {"href": "a/m.png", "type": "image/png", "eo:bands": [band("red"), band("green"), band("blue")]},
    }
    told = {"platform": "worldview-2", "datetime": "2020-01-02T03:04:05Z", "eo:cloud_cover": 7.5}
    (found,) = listed(files, json.dumps(item(assets, **told)), "item.json")
    assert (found.name, found.sensor, found.cloud_cover) == ("one", "wv2", 7.5)
    assert found.acquired == "2020-01-02T03:04:05Z"
    assert found.complete
    assert found.ms[0].names == ("blue", "green", "red", "nir")
    assert found.ratio == 4


def test_single_band_assets_are_put_in_order_and_other_resolutions_are_left_out(files):
    names = ("nir", "red", "green", "blue")
    assets = {name: asset(f"a/{name}.tif", name, gsd=2) for name in names}
    assets |= {"p": asset("a/p.tif", "pan", gsd=0.5), "swir": asset("a/coarse.tif", "swir16", gsd=8)}
    document = {"type": "FeatureCollection", "features": [item(assets), item({})]}
    first, second = listed(files, json.dumps(document), "items.geojson")
    assert [image.names for image in first.ms] == [("blue",), ("green",), ("red",), ("nir",)]
    assert first.complete
    assert [doubt.kind for doubt in second.doubts] == ["delivery_without_pan", "delivery_without_ms"]


def test_addresses_become_names_of_gdal(monkeypatch, files):
    monkeypatch.setenv("SSDIFF_OFFLINE", "1")
    assets = {"pan": asset("https://example.com/p.tif", "pan"), "ms": asset("s3://b/m.tif", "red", "green")}
    (found,) = listed(files, json.dumps(item(assets)), "item.json")
    assert found.pan == ("/vsicurl/https://example.com/p.tif",)
    assert found.ms[0].files == ("/vsis3/b/m.tif",)
    assert "SSDIFF_OFFLINE" in str(found.doubts[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON file"),
        ("[" * 100_000, "is no JSON file"),
        ("[]", "is no STAC Item"),
        ('{"features": [1]}', "is no STAC Item"),
        ('{"type": "Feature"}', "is no STAC Item"),
    ],
)
def test_a_file_that_is_no_stac_is_an_error(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        listed(tmp_path, text, "x.json")


@pytest.mark.parametrize(
    "assets",
    [
        {"a": 1, "b": {"href": 3}, "c": {"href": "x.tif", "eo:bands": "pan"}, "d": {"href": "y", "bands": [1, None]}},
        {"a": asset("<VRTDataset/>", "pan", gsd="x"), "b": asset("\0", "red", "blue", gsd=-1)},
        {"a": asset("p" * 100_000, "pan"), "b": asset("../" * 1000, "red", "blue")},
        [],
    ],
)
def test_an_item_with_values_of_other_types_is_no_scene_that_can_be_fused(tmp_path, assets):
    (found,) = listed(tmp_path, json.dumps(item(assets)), "x.json")
    assert not found.complete


def test_cells_without_a_column_are_ignored(files):
    (found,) = listed(files, "pan,ms\na/p.tif,a/m.tif,more,cells\n")
    assert found.complete


@pytest.mark.parametrize("address", ["file://[x/p.tif", "file:///x/p.tif?a", "file://host/x/p.tif#a"])
def test_addresses_of_files_are_paths(files, address):
    (found,) = listed(files, f"pan,ms\n{address},a/m.tif\n")
    assert found.pan == ("/p.tif" if "[" in address else "/x/p.tif",)


@pytest.mark.parametrize(
    "values", [{"bands": 5}, {"bands": True}, {"gsd": 10**400}, {"gsd": [1]}, {"gsd": float("inf")}]
)
def test_values_of_other_types_count_as_missing(files, values):
    pan = {"href": "a/p.tif", "bands": [{"eo:common_name": "pan"}]}
    ms = {"href": "a/m.tif", "bands": [{"eo:common_name": name} for name in ("blue", "green", "red", "nir")]}
    item = {
        "id": "x" * 100_000,
        "properties": {"gsd": 10**400},
        "assets": {"pan": pan, "ms": ms, "x": {**pan, **values}},
    }
    (found,) = listed(files, json.dumps(item), "item.json")
    assert found.complete
    assert len(found.name) < 1000
