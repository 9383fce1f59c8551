"""The sample scene."""

from osgeo import gdal

from ssdiff_core.raster import reader, sample


def test_the_sample_is_a_pair_at_ratio_4_with_a_reference_on_the_grid_of_pan(tmp_path):
    files = sample.unpack(tmp_path / "new")
    scene = reader.open_scene(files["pan"], files["ms"])
    assert scene.placement.ratio == sample.RATIO
    assert tuple(band.name for band in scene.ms) == sample.NAMES
    truth, pan = gdal.Open(str(files["truth"])), gdal.Open(str(files["pan"]))
    assert truth.GetGeoTransform() == pan.GetGeoTransform()
