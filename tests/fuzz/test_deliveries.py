"""Fuzzers of deliveries: their metadata, archives and lists give scenes, doubts or one sentence."""

import json
import random
from itertools import cycle

import pytest
from fuzzing import Command, fault_in_words, mangled, seeds, sentence_of

from scripts import make_deliveries
from ssdiff_core.common.errors import ConfigError
from ssdiff_core.deliveries import find_scenes

METADATA = (".imd", ".til", ".xml", "_mtl.txt")
BANDS = [{"eo:common_name": name} for name in ("blue", "green", "red", "nir")]
ITEM = {
    "type": "Feature",
    "id": "scene",
    "properties": {"datetime": "2020-01-01T00:00:00Z", "eo:cloud_cover": 5, "platform": "pleiades-1a", "gsd": 0.5},
    "assets": {
        "pan": {"href": "file:///data/a_pan.tif", "gsd": 0.5, "bands": [{"eo:common_name": "pan"}]},
        "ms": {"href": "./a_ms.tif", "type": "image/tiff", "raster:spatial_resolution": 2.0, "eo:bands": BANDS},
    },
}
LISTS = {
    "list.csv": b"pan,ms,name,sensor\na_pan.tif,a_ms.tif,one,wv2\nfile:///x.tif,b_1.tif|b_2.tif,two,\n",
    "item.json": json.dumps({"features": [ITEM]}).encode(),
}


@pytest.fixture(scope="module")
def scene():
    return make_deliveries.make_scene(3, 16)


@pytest.fixture(scope="module")
def command():
    command = Command()
    yield command
    command.close()


def assert_scenes_or_sentence(place, seed: int) -> None:
    found = []
    said = sentence_of(lambda: found.extend(find_scenes([place])), ConfigError)
    assert "\n" not in said, f"seed {seed}"
    assert len(said) < 1000, f"seed {seed}"
    for delivery in found:
        assert len(delivery.name) + len(delivery.acquired) + len(str(delivery.doubts)) < 10_000, f"seed {seed}"


def test_changed_metadata_give_scenes_and_doubts(scene, tmp_path):
    for make in (make_deliveries.maxar, make_deliveries.airbus, make_deliveries.landsat):
        make(tmp_path, scene)
    valid = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.name.lower().endswith(METADATA)}
    assert len(valid) == 7
    for seed in seeds(12):
        for path, text in valid.items():
            path.write_bytes(mangled(text, random.Random(f"{seed} {path.name}").getrandbits(32)))
        assert_scenes_or_sentence(tmp_path, seed)


@pytest.mark.parametrize("name", LISTS)
def test_a_changed_list_gives_scenes_or_a_sentence(name, tmp_path):
    for seed in seeds(150):
        (tmp_path / name).write_bytes(mangled(LISTS[name], seed))
        assert_scenes_or_sentence(tmp_path / name, seed)


def values_of(document):
    """Yields the containers and keys of all values of a document."""
    for key, value in document.items() if isinstance(document, dict) else enumerate(document):
        yield document, key
        if isinstance(value, (dict, list)):
            yield from values_of(value)


def test_values_of_other_types_in_a_stac_file_do_no_harm(tmp_path):
    others = cycle([None, True, -1, 10**400, 1e-320, float("inf"), "", "file://[", "\ud800", [], [[1]], {}, {"a": {}}])
    for seed in seeds(150):
        document = {"features": [json.loads(json.dumps(ITEM))]}
        container, key = random.Random(seed).choice(list(values_of(document)))
        container[key] = next(others)
        (tmp_path / "item.json").write_text(json.dumps(document))
        assert_scenes_or_sentence(tmp_path / "item.json", seed)


@pytest.mark.parametrize("make", [make_deliveries.kompsat, make_deliveries.gaofen])
def test_a_changed_archive_gives_scenes_or_a_sentence(make, scene, command, tmp_path):
    archive = make(tmp_path, scene)
    valid = archive.read_bytes()
    for seed in seeds(12):
        archive.write_bytes(mangled(valid, seed))
        fault = fault_in_words(command("scenes", archive))
        assert not fault, f"seed {seed}: {fault}"
