"""Pansharpening with the network at ratios that no weights are trained for."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from command import ssdiff
from osgeo import gdal
from ratios import pair_at_ratio

from ssdiff_core.domain.window import Window
from ssdiff_core.raster.reader import Reader, alignment, open_scene
from ssdiff_core.worker.serialization import decode, encode
from ssdiff_core.workflows.weights_ratio import brought

GAINS = (0.34, 0.32, 0.30, 0.22)


def fuse(pan, ms, out, *options):
    return ssdiff("pansharpen", pan, ms, out, "--sensor", "qb", "--adapt", "none", *options).stderr


@pytest.fixture(scope="module", params=[2.76, 5.0])
def case(request, tmp_path_factory):
    """A pair at a ratio between, and what the network makes of it."""
    folder = tmp_path_factory.mktemp("ratio")
    pan, ms, truth = pair_at_ratio(folder, request.param)
    log = fuse(pan, ms, folder / "out.tif")
    return SimpleNamespace(ratio=request.param, pan=pan, ms=ms, truth=truth, out=folder / "out.tif", log=log)


def error(path, truth):
    """Returns the root mean square error as a share of the mean, without the border."""
    image = gdal.Open(str(path))
    transform, values = image.GetGeoTransform(), image.ReadAsArray().astype(float)
    row, col = round((4_000_000 - transform[3]) / 0.5), round((transform[0] - 500_000) / 0.5)
    part = truth[:, row : row + values.shape[1], col : col + values.shape[2]]
    inner = (slice(None), slice(16, -16), slice(16, -16))
    return np.sqrt(((values - part)[inner] ** 2).mean()) / part[inner].mean()


def test_the_network_is_better_than_classical_fusion_and_interpolation(case, tmp_path):
    methods = ("mtf-glp-fs", "exp")
    for method in methods:
        fuse(case.pan, case.ms, tmp_path / f"{method}.tif", "--method", method)
    classical, interpolated = (error(tmp_path / f"{method}.tif", case.truth) for method in methods)
    network = error(case.out, case.truth)
    assert network < 0.9 * classical
    assert network < 0.5 * interpolated


def test_the_log_says_that_ms_is_resampled(case):
    expected = f"PAN is {case.ratio:.3g} times finer than MS, and weights are for 4: MS is resampled"
    assert expected in case.log


def test_an_extent_has_the_pixels_of_the_whole_scene(case, tmp_path):
    fuse(case.pan, case.ms, tmp_path / "part.tif", "--extent", "500020,3999940,500070,3999990")
    whole, part = gdal.Open(str(case.out)), gdal.Open(str(tmp_path / "part.tif"))
    places = [image.GetGeoTransform() for image in (whole, part)]
    row, col = round((places[0][3] - places[1][3]) / 0.5), round((places[1][0] - places[0][0]) / 0.5)
    expected = whole.ReadAsArray(col, row, part.RasterXSize, part.RasterYSize)
    assert np.array_equal(part.ReadAsArray(), expected)


def test_resampled_ms_is_not_shifted(case):
    scene = open_scene(case.pan, case.ms)
    own, there = alignment(scene), alignment(brought(scene, 4, GAINS))
    assert there.confidence > 0.5
    assert (there.rows, there.cols) == pytest.approx((own.rows, own.cols), abs=0.12)


def test_a_resampled_scene_can_be_sent_to_the_computing_process(case):
    scene = brought(open_scene(case.pan, case.ms), 4, GAINS)
    assert decode(json.loads(json.dumps(encode(scene)))) == scene


def test_a_fused_image_is_not_shifted(case):
    found = alignment(open_scene(case.out, case.ms))
    assert found.confidence > 0.5
    assert np.hypot(found.rows, found.cols) < 0.15


def test_bands_keep_their_blur_in_another_order(case):
    scene = brought(open_scene(case.pan, case.ms), 4, GAINS)
    turned = replace(scene, ms=scene.ms[::-1])
    window = Window(40, 40, 64, 64)
    plain, reversed_ = (Reader(each).read(window).ms for each in (scene, turned))
    assert np.array_equal(plain, reversed_[::-1])
