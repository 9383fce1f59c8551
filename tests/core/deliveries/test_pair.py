"""The two rasters of a delivery: whole files as they are, virtual rasters of tiles, known to all checks of inputs."""

import os
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal

from scripts import make_deliveries
from ssdiff_core.common.errors import ConfigError
from ssdiff_core.deliveries import Delivery, Image, delivery_pair, find_scenes
from ssdiff_core.raster.input_files import files_read

RPC = {
    **{f"{axis}_{kind}": "1" for axis in ("LINE", "SAMP", "LAT", "LONG", "HEIGHT") for kind in ("OFF", "SCALE")},
    **{f"{axis}_{kind}_COEFF": "1 " * 20 for axis in ("LINE", "SAMP") for kind in ("NUM", "DEN")},
}


def pan_only(*files):
    return Delivery("x", "", "", tuple(map(str, files)), (Image((str(files[0]),)),))


def tile(path, image, transform=None, nodata=None):
    file = gdal.GetDriverByName("GTiff").Create(str(path), image.shape[1], image.shape[0], 1, gdal.GDT_UInt16)
    if transform:
        file.SetGeoTransform(transform)
    if nodata is not None:
        file.GetRasterBand(1).SetNoDataValue(nodata)
    file.GetRasterBand(1).WriteArray(image)
    return path


def test_whole_files_stay_what_they_are(scene, tmp_path):
    (found,) = find_scenes([make_deliveries.landsat(tmp_path, scene)])
    pair = delivery_pair(found, tmp_path / "work")
    assert not (tmp_path / "work").exists()
    assert [Path(path).name[-6:] for path in (pair.pan, *pair.ms)] == [f"B{i}.TIF" for i in (8, 2, 3, 4, 5, 6, 7)]


def test_tiles_without_georeferencing_are_placed_by_their_names(tmp_path):
    image = np.arange(7 * 11, dtype=np.uint16).reshape(7, 11)
    files = [
        tile(tmp_path / f"a_R{row + 1}C{column + 1}.tif", image[row * 4 : row * 4 + 4, column * 6 : column * 6 + 6])
        for row in (1, 0)
        for column in (1, 0)
    ]
    assert np.array_equal(gdal.Open(delivery_pair(pan_only(*files), tmp_path).pan).ReadAsArray(), image)


def test_tiles_may_overlap_where_they_have_no_data(tmp_path):
    left, right = np.full((4, 6), 5, np.uint16), np.full((4, 6), 7, np.uint16)
    left[:, 4:], right[:, :1] = 0, 0
    files = (
        tile(tmp_path / "a.tif", left, (100, 1, 0, 50, 0, -1), 0),
        tile(tmp_path / "b.tif", right, (104, 1, 0, 50, 0, -1), 0),
    )
    mosaic = gdal.Open(delivery_pair(pan_only(*files), tmp_path).pan)
    assert mosaic.ReadAsArray()[0].tolist() == [5, 5, 5, 5, 0, 7, 7, 7, 7, 7]
    assert mosaic.GetRasterBand(1).GetNoDataValue() == 0


def test_rational_polynomials_are_kept(tmp_path):
    files = [tile(tmp_path / f"a_R1C{column}.tif", np.ones((4, 4), np.uint16)) for column in (1, 2)]
    for file in files:
        gdal.Open(str(file), gdal.GA_Update).SetMetadata(RPC, "RPC")
    mosaic = gdal.Open(delivery_pair(pan_only(*files), tmp_path).pan)
    assert set(mosaic.GetMetadata("RPC")) >= set(RPC)


@pytest.mark.parametrize("name", ["a & b", "a<b>", "größe", "it's"])
def test_folders_of_any_name_can_be_read(name, scene, tmp_path):
    root = make_deliveries.maxar(tmp_path / name, scene)
    (found,) = find_scenes([root])
    pair = delivery_pair(found, tmp_path / "work")
    assert np.array_equal(gdal.Open(pair.pan).ReadAsArray(), scene.pan)


def test_all_files_of_a_pair_are_known_as_inputs(archive_folder, tmp_path):
    for number, delivery in enumerate(find_scenes([archive_folder])):
        pair = delivery_pair(delivery, tmp_path / str(number))
        read = files_read([pair.pan, *([pair.ms] if isinstance(pair.ms, str) else pair.ms)])
        for path in delivery.files:
            assert any(path == each or each in path for each in read), path


def test_the_same_delivery_gives_the_same_files(scene, tmp_path):
    (found,) = find_scenes([make_deliveries.airbus(tmp_path, scene)])
    pair = delivery_pair(found, tmp_path / "work")
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in (tmp_path / "work").iterdir()}
    assert delivery_pair(found, tmp_path / "work") == pair
    assert before == {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in (tmp_path / "work").iterdir()}


def test_files_of_bands_can_be_put_into_one(scene, tmp_path):
    for make, names in ((make_deliveries.landsat, "B2 B3 B4 B5 B6 B7"), (make_deliveries.kompsat, "B G R N")):
        (found,) = find_scenes([make(tmp_path, scene)])
        several, one = (delivery_pair(found, tmp_path / make.__name__, one_file) for one_file in (False, True))
        image = gdal.Open(one.ms)
        assert np.array_equal(image.ReadAsArray(), [gdal.Open(path).ReadAsArray() for path in several.ms])
        described = [image.GetRasterBand(number).GetDescription() for number in range(1, image.RasterCount + 1)]
        assert [name.rpartition("_")[2] for name in described] == names.split()


def test_bands_have_the_names_that_the_metadata_tell(scene, tmp_path):
    pairs = [
        delivery_pair(find_scenes([make(tmp_path, scene)])[0], tmp_path / make.__name__)
        for make in (make_deliveries.maxar, make_deliveries.airbus)
    ]
    bands = [gdal.Open(pair.ms) for pair in pairs]
    names = [[file.GetRasterBand(number).GetDescription() for number in range(1, 5)] for file in bands]
    assert names == [["B", "G", "R", "N"], ["B2", "B1", "B0", "B3"]]


def test_an_incomplete_delivery_has_no_pair(scene, tmp_path):
    root = make_deliveries.maxar(tmp_path, scene)
    next(root.rglob("*M2AS_R1C1*.TIF")).unlink()
    (found,) = find_scenes([root])
    with pytest.raises(ConfigError, match=r"cannot be fused: 1 of 2 tiles are missing: 20JUN"):
        delivery_pair(found, tmp_path)


@pytest.mark.parametrize(
    ("transform", "reason"),
    [((100.5, 1, 0, 50, 0, -1), "not on the pixel grid"), ((104, 2, 0, 50, 0, -2), "not on the pixel grid")],
)
def test_tiles_of_different_grids_are_an_error(tmp_path, transform, reason):
    ones = np.ones((4, 4), np.uint16)
    files = tile(tmp_path / "a.tif", ones, (100, 1, 0, 50, 0, -1)), tile(tmp_path / "b.tif", ones, transform)
    from ssdiff_core.common.errors import GeometryError

    with pytest.raises(GeometryError, match=reason):
        delivery_pair(pan_only(*files), tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="pipes and links")
@pytest.mark.parametrize("kind", ["pipe", "link", "bytes"])
def test_what_lies_in_place_of_a_virtual_raster_is_replaced(kind, scene, tmp_path):
    (found,) = find_scenes([make_deliveries.airbus(tmp_path, scene)])
    path = Path(delivery_pair(found, tmp_path / "work").pan)
    text = path.read_bytes()
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        (tmp_path / "other").write_bytes(text)
        path.symlink_to(tmp_path / "other")
    else:
        path.write_bytes(b"\xff\xfe")
    assert delivery_pair(found, tmp_path / "work").pan == str(path)
    assert path.lstat().st_size == len(text)
    assert path.read_bytes() == text
