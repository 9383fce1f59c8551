"""A scene cut out by polygons: what is wanted is as without them, all else is nodata."""

import numpy as np
import pytest
from files import ramps, read, sample_files, utm, write
from osgeo import gdal, ogr, osr

from ssdiff_core.cli.main import main
from ssdiff_core.common.errors import GeometryError, RasterError
from ssdiff_core.domain.grid import Grid
from ssdiff_core.raster import polygon_mask
from ssdiff_core.raster.reader import open_scene

WEDGE = "POLYGON ((400010 4499990,400120 4499980,400060 4499860,400010 4499990))"


def shapes(path, wkts, epsg=32632):
    source = ogr.GetDriverByName("GPKG").CreateDataSource(str(path))
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(epsg)
    crs.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    layer = source.CreateLayer("some", crs)
    for wkt in wkts:
        feature = ogr.Feature(layer.GetLayerDefn())
        feature.SetGeometry(ogr.CreateGeometryFromWkt(wkt))
        layer.CreateFeature(feature)
    return path


def test_pixels_are_inside_if_their_centres_are():
    grid = Grid(4, 5, (10.0, 2.0, 0.0, 20.0, 0.0, -2.0), utm())
    found = polygon_mask.inside(polygon_mask.as_layer("POLYGON ((12 20,16 20,16 15.5,12 15.5,12 20))", utm()), grid)
    expected = np.zeros((4, 5), bool)
    expected[:2, 1:3] = True
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("method", ["ssdiff", "exp"])
def test_pixels_inside_the_mask_are_those_of_the_extent_and_others_are_nodata(method, tmp_path):
    pan, ms, _ = sample_files(tmp_path)
    mask = shapes(tmp_path / "mask.gpkg", [WEDGE])
    common = ["pansharpen", str(pan), str(ms)]
    how = ["--method", method, "--align", "none", "--progress", "none", "--nodata", "0"]
    how += ["--samples", "1"] if method == "ssdiff" else []
    box = ["--extent", "400010,4499860,400120,4499990"]
    assert main([*common, str(tmp_path / "cut.tif"), *how, "--mask", str(mask)]) == 0
    assert main([*common, str(tmp_path / "box.tif"), *how, *box]) == 0
    cut, box = read(tmp_path / "cut.tif"), read(tmp_path / "box.tif")
    file = gdal.Open(str(tmp_path / "cut.tif"))
    inside = polygon_mask.inside(
        polygon_mask.as_layer(WEDGE, utm()), Grid(*cut.shape[1:], file.GetGeoTransform(), file.GetProjection())
    )
    assert 0.2 < inside.mean() < 0.8
    np.testing.assert_array_equal(cut[:, inside], box[:, inside])
    assert not cut[:, ~inside].any()
    assert file.GetRasterBand(1).GetMetadata()["STATISTICS_VALID_PERCENT"].startswith(f"{100 * inside.mean():.1f}"[:2])


def test_a_mask_may_be_in_another_crs(tmp_path):
    there = ogr.CreateGeometryFromWkt(WEDGE)
    utm32, degrees = osr.SpatialReference(), osr.SpatialReference()
    utm32.ImportFromEPSG(32632)
    degrees.ImportFromEPSG(4326)
    for crs in (utm32, degrees):
        crs.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    there.Transform(osr.CoordinateTransformation(utm32, degrees))
    path = shapes(tmp_path / "mask.gpkg", [there.ExportToWkt()], 4326)
    found = ogr.CreateGeometryFromWkt(polygon_mask.read(path, utm()))
    assert found.SymDifference(ogr.CreateGeometryFromWkt(WEDGE)).Area() < 0.1


@pytest.mark.parametrize(
    "crossed",
    [
        "POLYGON ((0 0,10 10,10 0,0 10,0 0))",
        "POLYGON ((0 0,10 0,10 5,20 5,10 5,0 5,0 0))",
    ],
    ids=["two triangles", "with a spike"],
)
def test_a_self_intersecting_polygon_selects_what_it_encloses(tmp_path, crossed):
    path = shapes(tmp_path / "mask.gpkg", [crossed, "POLYGON ((20 20,30 20,30 30,20 30,20 20))"])
    assert ogr.CreateGeometryFromWkt(polygon_mask.read(path, utm())).Area() == pytest.approx(150)


def test_a_mask_outside_the_crs_of_pan_is_an_error_in_one_sentence(tmp_path):
    path = shapes(tmp_path / "mask.gpkg", ["POLYGON ((200 100,300 100,300 200,200 100))"], 4326)
    with pytest.raises(GeometryError, match=r"mask\.gpkg cannot be used as a mask: "):
        polygon_mask.read(path, utm())


def test_polygons_that_touch_no_common_ground_are_one_sentence(tmp_path):
    pan, ms, *at = ramps()
    scene = open_scene(write(tmp_path / "pan.tif", pan, at[0]), write(tmp_path / "ms.tif", ms, at[1]))
    with pytest.raises(GeometryError, match="does not touch PAN"):
        polygon_mask.cut_out(scene, "POLYGON ((0 0,1 0,1 1,0 0))")
    with pytest.raises(GeometryError, match="the mask is not a valid WKT geometry: rubbish"):
        polygon_mask.cut_out(scene, "rubbish")


def test_a_raster_is_refused_as_mask(tmp_path):
    path = write(tmp_path / "pan.tif", np.zeros((4, 4), np.uint8))
    with pytest.raises(RasterError, match=r"pan\.tif cannot be opened as polygons"):
        polygon_mask.read(path, utm())


def test_lines_and_points_enclose_nothing(tmp_path):
    path = shapes(tmp_path / "mask.gpkg", ["LINESTRING (0 0,9 9)", "POINT (1 1)"])
    with pytest.raises(GeometryError, match="contains no polygon to use as a mask"):
        polygon_mask.read(path, utm())


def test_a_file_without_polygons_is_one_sentence(tmp_path, capfd):
    pan, ms, _ = sample_files(tmp_path)
    empty = shapes(tmp_path / "mask.gpkg", [])
    assert main(["pansharpen", *map(str, (pan, ms, tmp_path / "out.tif", "--mask", empty))]) == 1
    printed = capfd.readouterr().err  # that of GDAL too
    assert printed.strip().endswith("contains no polygon to use as a mask")
    assert "Traceback" not in printed


def test_thousands_of_polygons_are_united_as_one():
    """One after the other would take minutes."""
    corners = [(x, y) for x in range(100) for y in range(100)]
    squares = [f"POLYGON(({x} {y},{x + 2} {y},{x + 2} {y + 2},{x} {y + 2},{x} {y}))" for x, y in corners]
    assert ogr.CreateGeometryFromWkt(polygon_mask.united(squares)).GetArea() == pytest.approx(101**2)


def test_surfaces_curves_and_collections_are_polygons_too():
    shapes = [
        "TIN(((0 0,1 0,1 1,0 0)))",
        "GEOMETRYCOLLECTION(POLYGON((10 0,11 0,11 1,10 0)),LINESTRING(0 0,1 1))",
        "CURVEPOLYGON((20 0,21 0,21 1,20 0))",
        "POLYGON Z((30 0 5,31 0 5,31 1 5,30 0 5))",
    ]
    assert ogr.CreateGeometryFromWkt(polygon_mask.united(shapes)).GetArea() == pytest.approx(2)
