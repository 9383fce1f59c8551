"""Pixels without data that the files do not declare: recognised, or named by the user."""

import numpy as np
import pytest
from command import ssdiff
from files import read, write
from osgeo import gdal

from ssdiff_core.common.paths import RESOURCES
from ssdiff_core.raster import scene_sample
from ssdiff_core.raster.reader import read_header

PAN_AT = (400_000.0, 0.6, 0.0, 4_500_000.0, 0.0, -0.6)
MS_AT = (400_000.0, 2.4, 0.0, 4_500_000.0, 0.0, -2.4)
NAMES = ("blue", "green", "red", "nir")
HOLE = 8
"rows of MS at the lower edge that have no data"
METHODS = ["ssdiff", "gsa", "bt-h", "mtf-glp-fs"]


def images(value, dtype=np.uint16, pan_too=True):
    with np.load(RESOURCES / "sample" / "eureka.npz") as file:
        pan, ms = file["pan"][:256, :256].astype(dtype), file["ms"][:64, :64].transpose(2, 0, 1).astype(dtype)
    ms[:, -HOLE:] = value
    if pan_too:
        pan[-4 * HOLE :] = value
    return pan, ms


def fused(folder, pan, ms, *options, ms_at=MS_AT, **declared):
    write(folder / "pan.tif", pan, PAN_AT, **declared)
    write(folder / "ms.tif", ms, ms_at, names=NAMES, **declared)
    out = folder / "fused.tif"
    out.unlink(missing_ok=True)
    said = ssdiff("pansharpen", folder / "pan.tif", folder / "ms.tif", out, "--adapt", "none", *options).stderr
    file = gdal.Open(str(out))
    return read(out), file.GetRasterBand(1).GetNoDataValue(), said


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("value", "dtype"), [(0, np.uint16), (-9999, np.int16), (-9999, np.float32), (-3.4028234663852886e38, np.float32)]
)
def test_certain_fill_gives_the_pixels_of_a_declared_nodata_value(tmp_path, method, value, dtype):
    pair, options = images(value, dtype), ("--method", method, "--align", "none")
    expected, declared, silent = fused(tmp_path, *pair, *options, nodata=value)
    found, nodata, said = fused(tmp_path, *pair, *options)
    assert np.array_equal(found, expected)
    assert nodata == declared == np.float32(value)
    assert (found[:, -4 * HOLE :] == nodata).all()
    assert said.count(f"has the value {value:.8g}, which is taken for nodata") == 2  # PAN and MS
    assert "taken for nodata" not in silent


@pytest.mark.parametrize("align", ["auto", "warn"])
def test_the_shift_is_measured_without_fill(tmp_path, align):
    pair = images(0)
    expected, _, one = fused(tmp_path, *pair, "--method", "gsa", "--align", align, nodata=0)
    found, _, other = fused(tmp_path, *pair, "--method", "gsa", "--align", align)
    assert np.array_equal(found, expected)
    shifts = [[line for line in said.splitlines() if "shifted" in line] for said in (one, other)]
    assert shifts[0] == shifts[1]


@pytest.mark.parametrize("method", METHODS)
def test_input_nodata_gives_the_pixels_of_a_declared_nodata_value(tmp_path, method):
    """A white border may be data, so it is nodata only if the user says so."""
    pair, options = images(65535), ("--method", method, "--align", "none")
    expected, declared, _ = fused(tmp_path, *pair, *options, nodata=65535)
    found, nodata, said = fused(tmp_path, *pair, *options, "--nodata-in", "65535")
    assert np.array_equal(found, expected)
    assert nodata == declared == 65535
    assert "65535" not in said
    unlike, nodata, said = fused(tmp_path, *pair, *options)
    assert nodata is None
    assert not np.array_equal(unlike[:, :100], expected[:, :100])
    assert said.count("is a border or a block of the value 65535: if it is fill, give it as input nodata value") == 2


def test_input_nodata_counts_besides_that_of_the_files(tmp_path):
    pan, ms = images(0)
    ms[:, :4] = 7
    pan[:16] = 7
    found, nodata, _ = fused(tmp_path, pan, ms, "--method", "exp", "--nodata-in", "7", nodata=0)
    assert nodata == 0
    assert (found[:, :16] == 0).all()
    assert (found[:, -4 * HOLE :] == 0).all()


def test_nan_keeps_every_value_as_data(tmp_path):
    found, nodata, said = fused(tmp_path, *images(0), "--method", "exp", "--nodata-in", "nan")
    assert nodata is None
    assert (found[:, -16:] == 0).all()
    assert "taken for nodata" not in said


@pytest.mark.parametrize("value", ["-3.4e38", "-9999", "-1.5", "nan"])
def test_any_number_can_be_given(tmp_path, value):
    fused(tmp_path, *images(0), "--method", "exp", "--nodata-in", value)


def test_a_value_that_an_integer_type_cannot_hold_is_no_pixel(tmp_path):
    whole, nodata, _ = fused(tmp_path, *images(100), "--method", "exp", "--nodata-in", "-9999")
    assert nodata is None
    assert np.array_equal(whole, fused(tmp_path, *images(100), "--method", "exp", "--nodata-in", "nan")[0])


def test_absurd_values_between_the_sampled_rows_ruin_no_pixel_elsewhere(tmp_path):
    """The search reads a part of a raster; a finite value beyond 1e15 is invalid wherever it is."""
    pan, ms = images(100, np.float32)
    options = ("--method", "gsa", "--align", "none", "--nodata-in", "nan")
    expected, _, _ = fused(tmp_path, pan, ms, *options)
    ms[:, 20, 30] = -3.4028234663852886e38
    found, _, _ = fused(tmp_path, pan, ms, *options)
    assert np.isnan(found[:, 80:84, 120:124]).all()
    assert np.abs(found - expected)[:, 100:].max() < 2


def test_fill_is_left_out_when_ms_is_warped(tmp_path):
    pair, options = images(0), ("--method", "mtf-glp-fs", "--align", "none")
    turned = (400_000.0, 2.4, 0.02, 4_500_000.0, -0.02, -2.4)
    expected, _, _ = fused(tmp_path, *pair, *options, ms_at=turned, nodata=0)
    found, nodata, said = fused(tmp_path, *pair, *options, ms_at=turned)
    assert "MS is not parallel" in said
    assert nodata == 0
    assert np.array_equal(found, expected)


def test_ms_in_files_of_different_overviews_is_searched(tmp_path):
    pan, ms = images(0)
    write(tmp_path / "pan.tif", pan, PAN_AT)
    for number, band in enumerate(np.tile(ms, (1, 4, 4))):
        write(tmp_path / f"b{number}.tif", band, (400_000.0, 0.6, 0.0, 4_500_000.0, 0.0, -0.6))
    gdal.Open(str(tmp_path / "b1.tif"), gdal.GA_Update).BuildOverviews("AVERAGE", [2])
    bands = [read_header(str(tmp_path / f"b{number}.tif"))[0][0] for number in range(4)]
    assert scene_sample.sampled(bands).shape == (4, 96, 256)


def test_at_most_an_eighth_of_a_large_raster_is_read(tmp_path, monkeypatch):
    rows = []
    read_rows = gdal.Band.ReadAsArray
    monkeypatch.setattr(gdal.Band, "ReadAsArray", lambda *where: rows.append(where[2]) or read_rows(*where))
    options = ["TILED=YES", "BLOCKXSIZE=16", "BLOCKYSIZE=16", "SPARSE_OK=TRUE"]
    file = gdal.GetDriverByName("GTiff").Create(str(tmp_path / "large.tif"), 64, 16 * 400, 1, gdal.GDT_Byte, options)
    del file
    samples = scene_sample.sampled(read_header(str(tmp_path / "large.tif"))[0])
    assert len(rows) == samples.shape[1] == 50
    assert {rows[0], rows[-1]} == {0, 16 * 400 - 1}


def test_overviews_are_used(tmp_path, monkeypatch):
    path = write(tmp_path / "large.tif", np.ones((800, 800), np.uint8))
    gdal.Open(str(path), gdal.GA_Update).BuildOverviews("NEAREST", [2, 4, 16])
    assert scene_sample.sampled(read_header(str(path))[0]).shape == (1, 96, 200)
