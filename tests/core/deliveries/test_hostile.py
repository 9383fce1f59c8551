"""Metadata that is damaged or made to harm gives a doubt, or nothing, and never fails or takes long."""

import os
import random
import time

import pytest

from scripts import make_deliveries
from ssdiff_core.deliveries import Image, find_scenes
from ssdiff_core.deliveries.files import Files
from ssdiff_core.deliveries.layouts import dimap
from ssdiff_core.deliveries.parts import MS, PAN, Part, deliveries_of

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(20))
    + "]><x><MISSION>&u;</MISSION></x>"
)
TEXTS = {
    "empty": b"",
    "no text": bytes(range(256)) * 50,
    "entity bomb": BOMB.encode(),
    "open elements": b"<a>" * 200_000,
    "broken": b"<Dimap_Document><MISSION>PHR</Dimap",
    "long line": b"satId = " + b'"' * 2_000_000,
    "huge": b"a = b\n" * 1_000_000,
    "many groups": b"BEGIN_GROUP = x\n" * 100_000,
    "outside file": b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x><MISSION>&e;</MISSION></x>',
}
MAKERS = {"maxar": "*.IMD", "airbus": "DIM*.XML", "landsat": "*_MTL.txt"}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", MAKERS)
def test_damaged_metadata_are_a_doubt(name, text, scene, tmp_path):
    root = getattr(make_deliveries, name)(tmp_path, scene)
    for path in root.rglob(MAKERS[name]):
        path.write_bytes(TEXTS[text])
    for delivery in find_scenes([root]):
        assert delivery.layout in ("Maxar", "DIMAP", "Landsat")
        told = [doubt.kind for doubt in delivery.doubts]
        assert set(told) <= {"delivery_metadata_unreadable", "delivery_without_pan", "delivery_without_ms"}


@pytest.mark.parametrize(
    "name", ["../../secret.tif", "/etc/passwd", "/vsicurl/http://127.0.0.1:9/x.tif", "<VRTDataset/>"]
)
def test_metadata_cannot_name_files_elsewhere(name, scene, tmp_path):
    root = make_deliveries.airbus(tmp_path / "in", scene)
    scene.write(tmp_path / "secret.tif", scene.pan)
    (dim,) = root.rglob("DIM*_P_*.XML")
    tile = next(root.rglob("IMG*_P_*R1C1.TIF")).name
    dim.write_text(dim.read_text().replace(tile, name.replace("<", "&lt;")))
    (found,) = find_scenes([root])
    assert [doubt.kind for doubt in found.doubts] == ["delivery_tiles_missing"]
    assert all(path.startswith(str(root)) for path in found.files)


@pytest.mark.parametrize("name", ["a_pan.vrt", "a_pan.tif"])
def test_looking_at_a_folder_makes_no_requests(name, scene, tmp_path):
    address = "/vsicurl/http://127.0.0.1:9/x.tif"
    text = f'<VRTDataset rasterXSize="9" rasterYSize="9"><VRTRasterBand><SimpleSource><SourceFilename>{address}'
    (tmp_path / name).write_text(f"{text}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>")
    scene.write(tmp_path / "a_ms.tif", scene.ms, 4)
    (found,) = find_scenes([tmp_path])
    assert [doubt.kind for doubt in found.doubts] == ["delivery_remote"]
    assert address in str(found.doubts[0])


@pytest.mark.skipif(os.name == "nt", reason="names on Windows are always text")
def test_names_that_are_no_text_do_no_harm(scene, tmp_path):
    for name, image, ratio in ((b"\xff_pan.tif", scene.pan, 1), (b"\xff_ms.tif", scene.ms, 4)):
        os.rename(scene.write(tmp_path / "x.tif", image, ratio), os.path.join(os.fsencode(tmp_path), name))
    make_deliveries.airbus(tmp_path, scene)
    notices = []
    assert [delivery.layout for delivery in find_scenes([tmp_path], notices.append)] == ["DIMAP"]
    assert [str(notice).split(" in ")[0] for notice in notices] == ["2 file(s)"]


def test_numbers_of_tiles_beyond_all_measure_are_no_tiles(scene, tmp_path):
    root = make_deliveries.maxar(tmp_path, scene)
    for path in root.rglob("*.TIL"):
        path.unlink()
    (tile,) = root.rglob("*P2AS_R1C2*.TIF")
    tile.rename(tile.with_name(tile.name.replace("R1C2", "R9999C9999")))
    (found,) = find_scenes([root])
    assert "delivery_tiles_missing" in [doubt.kind for doubt in found.doubts]


def test_tiles_that_lie_far_apart_are_told(scene, tmp_path):
    root = make_deliveries.airbus(tmp_path, scene)
    (tile,) = root.rglob("IMG*_P_*R1C2.TIF")
    scene.write(tile, scene.pan, column=2**40)
    (found,) = find_scenes([root])
    assert not found.complete


def test_random_changes_of_metadata_never_fail(scene, tmp_path):
    rng = random.Random(1)
    roots = [getattr(make_deliveries, name)(tmp_path, scene) for name in MAKERS]
    paths = [path for root, name in zip(roots, MAKERS) for path in (*root.rglob(MAKERS[name]), *root.rglob("*.TIL"))]
    original = {path: path.read_bytes() for path in paths}
    for _ in range(60):
        for path, text in original.items():
            changed = bytearray(text)
            for _ in range(rng.choice([1, 3, 30])):
                at = rng.randrange(len(changed) + 1)
                changed[at : at + rng.choice([0, 1, 40])] = rng.randbytes(rng.choice([0, 1, 5]))
            path.write_bytes(changed)
        for delivery in find_scenes([tmp_path]):
            assert len(str(delivery.doubts)) < 100_000


def cpu_seconds(function) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def test_many_metadata_files_in_one_folder_take_linear_time():
    files = Files("x", (f"/none/DIM_PHR1A_P_{number:015}.XML" for number in range(8000)))
    assert cpu_seconds(lambda: list(dimap.find(files))) < 20


def test_many_images_of_one_scene_take_linear_time():
    parts = [Part("x", role, (Image((f"/a/{number}/{role}.tif",)),)) for role in (PAN, MS) for number in range(4000)]
    found = []
    assert cpu_seconds(lambda: found.extend(deliveries_of("x", "x", reversed(parts)))) < 20
    assert all(delivery.pan[0] == delivery.ms[0].files[0].replace(MS, PAN) for delivery in found)
    assert len(found) == 4000


def test_images_that_name_each_other_are_read_once(scene, tmp_path):
    sources = "".join(
        f'<SimpleSource><SourceFilename relativeToVRT="1">./{name}_pan.vrt</SourceFilename></SimpleSource>'
        for name in "abcd"
    )
    for name in "abcd":
        text = f'<VRTDataset rasterXSize="9" rasterYSize="9"><VRTRasterBand band="1">{sources}'
        (tmp_path / f"{name}_pan.vrt").write_text(f"{text}</VRTRasterBand></VRTDataset>")
    assert cpu_seconds(lambda: find_scenes([tmp_path])) < 20
