"""PAN and MS are found in the layouts of vendors, also where files are missing or have other names."""

import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal

from scripts import make_deliveries
from ssdiff_core.deliveries import delivery_pair, find_scenes


def only(*places):
    (found,) = find_scenes(places)
    return found


def doubts(delivery):
    return [doubt.kind for doubt in delivery.doubts]


def values(path, *bands):
    image = gdal.Open(str(path))
    return np.stack([image.GetRasterBand(band).ReadAsArray() for band in bands or range(1, image.RasterCount + 1)])


def ms_of(pair):
    return np.concatenate([values(path) for path in ([pair.ms] if isinstance(pair.ms, str) else pair.ms)])


EXPECTED = {
    "maxar": ("Maxar", "wv2", 4, 3.0, 2, 1),
    "airbus": ("DIMAP", "pleiades", 4, 3.0, 2, 1),
    "gaofen": ("GaoFen", "gf2", 4, 3.0, 1, 1),
    "landsat": ("Landsat", "landsat89", 2, 3.0, 1, 6),
    "kompsat": ("KOMPSAT", "kompsat3", 4, None, 1, 4),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_delivery_is_found_with_what_its_metadata_tell(name, scene, tmp_path):
    found = only(getattr(make_deliveries, name)(tmp_path, scene))
    layout, sensor, ratio, cloud, tiles, images = EXPECTED[name]
    assert (found.layout, found.sensor, found.ratio) == (layout, sensor, ratio)
    assert (found.size, found.cloud_cover) == ((64, 64), cloud)
    assert (len(found.pan), len(found.ms)) == (tiles, images)
    assert found.acquired.startswith("2020-06-04T10:30:03")
    assert found.complete
    assert not found.doubts


@pytest.mark.parametrize("name", EXPECTED)
def test_the_pair_of_a_delivery_has_the_pixels_of_the_scene(name, scene, tmp_path):
    pair = delivery_pair(only(getattr(make_deliveries, name)(tmp_path, scene)), tmp_path / "work")
    assert np.array_equal(values(pair.pan)[0], scene.pan)
    assert gdal.Open(pair.pan).GetGeoTransform()[0] == 550_000
    if name == "landsat":
        expected = scene.truth.reshape(4, 32, 2, 32, 2).mean((2, 4)).astype(np.uint16)[[0, 1, 2, 3, 3, 2]]
    else:
        expected = scene.ms[[2, 1, 0, 3]] if name == "airbus" else scene.ms
    assert np.array_equal(ms_of(pair), expected)


def test_deliveries_in_one_folder_are_told_apart(archive_folder):
    found = find_scenes([archive_folder])
    assert len(found) == 5
    assert all(delivery.complete for delivery in found)
    assert len({delivery.layout for delivery in found}) == 5


def test_a_place_that_is_given_twice_counts_once(archive_folder):
    assert len(find_scenes([archive_folder, archive_folder / "PHR_ORDER_001"])) == 5


@pytest.mark.parametrize("name", ["maxar", "airbus", "landsat"])
@pytest.mark.parametrize("change", [str.lower, str.upper])
def test_names_in_other_cases_are_found(name, change, scene, tmp_path):
    root = getattr(make_deliveries, name)(tmp_path, scene)
    for path in [path for path in root.rglob("*") if path.is_file()]:
        path.rename(path.with_name(change(path.name)))
    found = only(root)
    assert found.complete
    assert found.sensor == EXPECTED[name][1]


@pytest.mark.parametrize(("name", "pattern"), [("maxar", "*M2AS_R1C2*.TIF"), ("airbus", "IMG*_P_*_R1C2.TIF")])
def test_a_missing_tile_is_named(name, pattern, scene, tmp_path):
    root = getattr(make_deliveries, name)(tmp_path, scene)
    (tile,) = root.rglob(pattern)
    tile.unlink()
    found = only(root)
    assert doubts(found) == ["delivery_tiles_missing"]
    assert tile.name in str(found.doubts[0])
    assert not found.complete


def test_without_lists_of_tiles_gaps_are_noticed(scene, tmp_path):
    root = make_deliveries.maxar(tmp_path, scene)
    for path in [*root.rglob("*.TIL"), *root.rglob("*P2AS_R1C1*.TIF")]:
        path.unlink()
    (doubt,) = only(root).doubts
    assert str(doubt) == "1 of 2 tiles are missing: R1C1"


@pytest.mark.parametrize(
    ("name", "pattern", "doubt"),
    [
        ("maxar", "*_PAN/*", "delivery_without_pan"),
        ("maxar", "*_MUL/*", "delivery_without_ms"),
        ("airbus", "IMG_PHR1A_P*/*", "delivery_without_pan"),
        ("landsat", "*_B8.TIF", "delivery_without_pan"),
        ("landsat", "*_B4.TIF", "delivery_bands_missing"),
    ],
)
def test_a_missing_part_is_told(name, pattern, doubt, scene, tmp_path):
    root = getattr(make_deliveries, name)(tmp_path, scene)
    for path in root.glob(pattern):
        path.unlink()
    assert doubts(only(root)) == [doubt]


def test_deliveries_without_metadata_are_found_by_their_names(scene, tmp_path):
    for name in ("maxar", "landsat"):
        root = getattr(make_deliveries, name)(tmp_path, scene)
        for path in [path for path in root.rglob("*") if path.suffix.upper() in (".IMD", ".TIL", ".TXT")]:
            path.unlink()
        assert only(root).complete


def test_two_scenes_in_one_folder_keep_their_files(tmp_path):
    """All files of both scenes lie in one folder, as after unpacking them to the same place."""
    for number in (1, 2):
        root = make_deliveries.maxar(tmp_path / "in", make_deliveries.make_scene(number, 64))
        for path in [path for path in root.rglob("*") if path.is_file()]:
            (tmp_path / "flat").mkdir(exist_ok=True)
            path.rename(tmp_path / "flat" / path.name)
    found = find_scenes([tmp_path / "flat"])
    assert [delivery.complete for delivery in found] == [True, True]
    orders = [{name.rpartition("-")[2] for name in map(str, delivery.files)} for delivery in found]
    assert orders == [{"056789010001_01_P001.TIF"}, {"056789010002_01_P001.TIF"}]


def test_a_delivery_and_its_unpacked_copy_are_two_scenes(scene, tmp_path):
    archive = make_deliveries.gaofen(tmp_path, scene)
    with tarfile.open(archive) as file:
        file.extractall(tmp_path)
    found = find_scenes([tmp_path])
    assert [delivery.complete for delivery in found] == [True, True]
    for delivery in found:
        assert len({path.startswith("/vsitar/") for path in delivery.files}) == 1


def test_zy3_and_gaofen_7_take_the_camera_of_ms(scene, tmp_path):
    for name, pans in (("ZY302_TMS_E122_L1A01", ("FWD", "NAD", "BWD")), ("GF7_DLC_E1_L1A02", ("FWDPAN", "BWDPAN"))):
        for kind in pans:
            scene.write(tmp_path / f"{name}-{kind}.tiff", scene.pan)
    scene.write(tmp_path / "ZY302_TMS_E122_L1A01-MUX.tiff", scene.ms, 4)
    scene.write(tmp_path / "GF7_DLC_E1_L1A02-BWDMUX.tiff", scene.ms, 4)
    found = {delivery.sensor: Path(delivery.pan[0]).name for delivery in find_scenes([tmp_path])}
    assert found == {"zy3": "ZY302_TMS_E122_L1A01-NAD.tiff", "gf7": "GF7_DLC_E1_L1A02-BWDPAN.tiff"}


def test_pleiades_neo_has_two_ms_files_whose_bands_follow_each_other(scene, tmp_path):
    stem = "PNEO3_202204031105489_{}_ORT_PWOI_1_F_1"
    scene.write(tmp_path / f"IMG_{stem.format('PAN')}_P_R1C1.TIF", scene.pan)
    scene.write(tmp_path / f"IMG_{stem.format('MS-FS')}_RGB_R1C1.TIF", scene.ms[[2, 1, 0]], 4)
    scene.write(tmp_path / f"IMG_{stem.format('MS-FS')}_NED_R1C1.TIF", scene.ms[[3, 2, 0]], 4)
    scene.write(tmp_path / f"IMG_{stem.format('PMS-FS')}_RGB_R1C1.TIF", scene.truth)
    for kind in ("PAN", "MS-FS", "PMS-FS"):
        (tmp_path / f"DIM_{stem.format(kind)}.XML").write_text(
            "<Dimap_Document><MISSION>PNEO</MISSION></Dimap_Document>"
        )
    found = only(tmp_path)
    assert found.sensor == "pneo"
    assert [image.names for image in found.ms] == [("red", "green", "blue"), ("nir", "rededge", "coastal")]
    assert len(ms_of(delivery_pair(found, tmp_path / "work"))) == 6


@pytest.mark.parametrize(
    ("pan", "ms"),
    [
        ("a_pan.tif", "a_ms.tif"),
        ("a_P.tif", "a_M.TIF"),
        ("A-PAN.tif", "a-mul.tif"),
        ("pan.tif", "ms.tif"),
        ("PAN/a.tif", "MS/a.tif"),
        ("a/PAN_001/x_pan.tif", "a/MS_001/x_ms.tif"),
        ("area.panchromatic.tif", "area.multispectral.tif"),
    ],
)
def test_plain_pairs_are_found_by_the_word_in_their_names(pan, ms, scene, tmp_path):
    scene.write(tmp_path / pan, scene.pan)
    scene.write(tmp_path / ms, scene.ms, 4)
    found = only(tmp_path)
    assert found.complete
    assert (Path(found.pan[0]), Path(found.ms[0].files[0])) == (tmp_path / pan, tmp_path / ms)


def test_other_files_are_no_pairs(scene, tmp_path):
    for name in ("map_p.tif", "panorama.tif", "a_pansharpened.tif", "msc.tif"):
        scene.write(tmp_path / name, scene.pan)
    (tmp_path / "pan.txt").write_text("")
    assert find_scenes([tmp_path]) == []


def test_a_partner_that_is_missing_is_told(scene, tmp_path):
    scene.write(tmp_path / "a_ms.tif", scene.ms, 4)
    assert doubts(only(tmp_path)) == ["delivery_without_pan"]


def test_of_several_files_for_one_part_the_first_is_taken(scene, tmp_path):
    scene.write(tmp_path / "a_ms.tif", scene.ms, 4)
    for name in ("a_pan.tif", "a_pan.tiff"):
        scene.write(tmp_path / name, scene.pan)
    found = only(tmp_path)
    assert found.complete
    assert str(found.doubts[0]) == "there are several PAN files: a_pan.tif is used, and not a_pan.tiff"


def test_a_pair_that_does_not_fit_is_told_with_the_reason(scene, tmp_path):
    scene.write(tmp_path / "a_pan.tif", scene.pan)
    make_deliveries.make_scene(4, 64).write(tmp_path / "a_ms.tif", scene.ms, 4)
    found = only(tmp_path)
    assert not found.complete
    assert str(found.doubts[0]).startswith("PAN and MS do not overlap")


def test_a_damaged_image_is_told(scene, tmp_path):
    root = make_deliveries.airbus(tmp_path, scene)
    (tile,) = root.rglob("IMG*_MS_*R1C1.TIF")
    tile.write_bytes(b"no TIFF")
    found = only(root)
    assert doubts(found) == ["delivery_unusable"]
    assert str(tile) in str(found.doubts[0])


def test_archives_in_archives_and_other_files_are_left_out(scene, tmp_path):
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as file:
        file.write(make_deliveries.kompsat(tmp_path, scene), "inner.zip")
    shutil.copy(tmp_path / "outer.zip", tmp_path / "notes.doc")
    assert len(find_scenes([tmp_path])) == 1
