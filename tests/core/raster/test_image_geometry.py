"""RPCs, ground control points and metadata of images that are not orthorectified, in the output's grid."""

import numpy as np
import pytest
from command import ssdiff
from files import ramps, write
from osgeo import gdal, osr

from ssdiff_core.domain import sensors
from ssdiff_core.raster.image_geometry import rpc_of
from ssdiff_core.raster.reader import open_scene
from ssdiff_core.workflows.weights_ratio import brought

RATIO = 4
RPC = {
    "LINE_OFF": "80 pixels",
    "SAMP_OFF": "100",
    "LAT_OFF": "40.5",
    "LONG_OFF": "-120.25",
    "HEIGHT_OFF": "100",
    "LINE_SCALE": "80",
    "SAMP_SCALE": "100",
    "LAT_SCALE": "0.01",
    "LONG_SCALE": "0.02",
    "HEIGHT_SCALE": "500",
    "LINE_NUM_COEFF": "0.01 0.05 -1.02 0.03 0.001 0 0 0.002 0.0001" + " 0" * 11,
    "LINE_DEN_COEFF": "1 0.001 0.002" + " 0" * 17,
    "SAMP_NUM_COEFF": "-0.01 1.01 0.04 -0.02 0.001" + " 0" * 15,
    "SAMP_DEN_COEFF": "1 -0.001 0.001" + " 0" * 17,
    "ERR_BIAS": "3.5",
}
ON_MS = {**RPC, "LINE_OFF": "19.7", "SAMP_OFF": "24.6", "LINE_SCALE": "20", "SAMP_SCALE": "25"}
POINTS = [(-120.25, 40.5, 100.0), (-120.262, 40.494, 0.0), (-120.24, 40.508, 700.0)]
EXTENT = ("--extent", "20,40,120,140")
"columns 20 to 120 and rows 40 to 140 of a raster without georeference"
FORMATS = [(), EXTENT, ("--format", "gtiff"), (*EXTENT, "--format", "gtiff", "--co", "COMPRESS=NONE")]


@pytest.fixture
def pair(tmp_path):
    """PAN of 200 x 160 pixels and MS without georeference."""
    pan, ms, *_ = ramps()
    return write(tmp_path / "pan.tif", pan), write(tmp_path / "ms.tif", ms)


def describe(path, rpc=None, gcps=(), **metadata):
    file = gdal.Open(str(path), gdal.GA_Update)
    if rpc:
        file.SetMetadata(rpc, "RPC")
    if gcps:
        crs = osr.SpatialReference()
        crs.ImportFromEPSG(4326)
        file.SetGCPs(list(gcps), crs.ExportToWkt())
    for key, value in metadata.items():
        file.SetMetadataItem(key, value)


def fused(pair, *options):
    out = pair[0].with_name("out.tif")
    ssdiff("pansharpen", *pair, out, "--method", "exp", "--align", "none", *options)
    return gdal.Open(str(out))


def seen_at(raster, point):
    """Returns column and row at which a ground point is, counted from the corner of the first pixel."""
    _, (column, row, _) = gdal.Transformer(raster, None, ["METHOD=RPC"]).TransformPoint(True, *point)
    return np.array([column, row])


def corner_of(options):
    return (20, 40) if "--extent" in options else (0, 0)


@pytest.mark.parametrize("options", FORMATS)
def test_a_ground_point_is_where_the_rpc_of_pan_has_it(pair, options):
    describe(pair[0], RPC)
    describe(pair[1], ON_MS)
    out = fused(pair, *options)
    for point in POINTS:
        np.testing.assert_allclose(
            seen_at(out, point), seen_at(gdal.Open(str(pair[0])), point) - corner_of(options), atol=1e-6
        )
    assert float(out.GetMetadata("RPC")["ERR_BIAS"]) == 3.5


@pytest.mark.parametrize("options", FORMATS)
def test_the_rpc_of_ms_is_scaled_to_the_grid_of_pan(pair, options):
    describe(pair[1], ON_MS)
    out, ms = fused(pair, *options), gdal.Open(str(pair[1]))
    for point in POINTS:
        np.testing.assert_allclose(seen_at(out, point), RATIO * seen_at(ms, point) - corner_of(options), atol=1e-6)


def test_the_rpc_of_ms_does_not_depend_on_the_ratio_that_weights_take(pair):
    describe(pair[1], ON_MS)
    scene = open_scene(*pair)
    assert rpc_of(brought(scene, 2, (0.3,) * 3)) == rpc_of(scene)


def test_an_output_with_rpc_is_orthorectified_like_pan(pair):
    describe(pair[0], RPC)
    out = fused(pair)
    how = {"format": "MEM", "rpc": True, "dstSRS": "EPSG:4326", "transformerOptions": ["RPC_HEIGHT=100"]}
    ortho, of_pan = (gdal.Warp("", file, **how) for file in (out, gdal.Open(str(pair[0]))))
    assert ortho.GetGeoTransform() == pytest.approx(of_pan.GetGeoTransform(), abs=1e-9)
    shown, expected = ortho.GetRasterBand(1).ReadAsArray().astype(float), of_pan.ReadAsArray().astype(float)
    inner = (slice(30, -30),) * 2  # the ramp of PAN is that of MS; at the borders of the scene MS is continued
    assert np.median(np.abs(shown - expected)[inner]) < 2


@pytest.mark.parametrize("value", ["", "unknown"])
def test_a_damaged_rpc_is_left_out(pair, value):
    describe(pair[1], {**ON_MS, "LINE_OFF": value})
    assert fused(pair, "--format", "gtiff").RasterCount == 3


@pytest.mark.parametrize("options", FORMATS)
@pytest.mark.parametrize("source", ["pan", "ms"])
def test_ground_control_points_keep_their_place(pair, options, source):
    scale = 1 if source == "pan" else RATIO
    points = [gdal.GCP(x, y, z, 7.5 * i / scale, 11.25 * i / scale) for i, (x, y, z) in enumerate(POINTS)]
    describe(pair[source == "ms"], gcps=points)
    out = fused(pair, *options)
    column, row = corner_of(options)
    assert [(p.GCPX, p.GCPY) for p in out.GetGCPs()] == [point[:2] for point in POINTS]
    assert [(p.GCPPixel, p.GCPLine) for p in out.GetGCPs()] == [
        pytest.approx((7.5 * i - column, 11.25 * i - row)) for i in range(3)
    ]
    assert "WGS 84" in out.GetGCPProjection()


def test_metadata_of_the_acquisition_is_kept_and_that_of_the_file_is_not(pair):
    describe(pair[1], TIFFTAG_DATETIME="2020:05:04 10:11:12", SUN_ELEVATION="41.5", TIFFTAG_XRESOLUTION="72")
    found = fused(pair).GetMetadata()
    assert found["TIFFTAG_DATETIME"] == "2020:05:04 10:11:12"
    assert found["SUN_ELEVATION"] == "41.5"
    assert "TIFFTAG_XRESOLUTION" not in found


@pytest.mark.parametrize("format", ["cog", "gtiff"])
def test_the_metadata_of_the_vendor_is_kept_without_the_grid_of_ms(pair, format):
    pair[1].with_name("ms.IMD").write_text(
        'numRows = 40;\nnumColumns = 50;\nbandId = "Multi";\nBEGIN_GROUP = IMAGE_1\n\tsatId = "WV02";\n'
        "\tmeanSunEl = 41.5;\nEND_GROUP = IMAGE_1\nEND;\n"
    )
    found = fused(pair, "--format", format).GetMetadata()
    assert found["IMD.IMAGE_1.meanSunEl"] == "41.5"
    assert not any("numRows" in key for key in found)


@pytest.mark.parametrize("known", [True, False])
def test_bands_without_names_get_those_that_their_wavelengths_identify(tmp_path, known):
    sensor = sensors.get("wv3")
    pan, ms, *_ = ramps(bands=len(sensor.bands))
    files = write(tmp_path / "pan.tif", pan), write(tmp_path / "ms.tif", ms)
    file = gdal.Open(str(files[1]), gdal.GA_Update)
    for band, nm in enumerate(sensor.wavelengths[::-1], 1):
        centre = nm if known else nm + 30
        file.GetRasterBand(band).SetMetadata({"wavelength": str(centre), "wavelength_units": "nm"})
    del file
    out = fused(files, "--bands", "1,2,3")
    names = tuple(out.GetRasterBand(band).GetDescription() for band in (1, 2, 3))
    assert names == (sensor.bands[:-4:-1] if known else ("", "", ""))
