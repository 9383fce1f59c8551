"""PNG files are read back unchanged by GDAL, and the colour ramp is monotonic."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from osgeo import gdal

from ssdiff_core.assessment.png import LEVELS, heat, png, ramp, stretched


def decoded(file: bytes) -> gdal.Dataset:
    gdal.FileFromMemBuffer("/vsimem/p.png", file)
    return gdal.Open("/vsimem/p.png")


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_greyscale_images_are_read_back_unchanged(image):
    assert np.array_equal(decoded(png(image)).ReadAsArray(), image)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 99))
def test_rgb_images_are_read_back_unchanged(height, width, seed):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    assert np.array_equal(decoded(png(image)).ReadAsArray().transpose(1, 2, 0), image)


def test_smooth_images_are_compressed():
    r, c = np.mgrid[:200, :200]
    assert len(png((r // 2 + c // 3).astype(np.uint8))) < 200 * 200 / 20


def test_a_map_is_transparent_at_nan_and_bright_at_large_values():
    field = np.array([[0.0, 0.5, 1.0, 9.0, np.nan]])
    picture = decoded(heat(field, 1.0))
    table = picture.GetRasterBand(1).GetColorTable()
    shown = [table.GetColorEntry(int(i)) for i in picture.ReadAsArray()[0]]
    assert shown[0][:3] == ramp(0)
    assert shown[2][:3] == shown[3][:3] == ramp(1)
    assert [colour[3] for colour in shown] == [255, 255, 255, 255, 0]


def test_the_ramp_is_monotonic_in_greyscale():
    grey = [np.dot(ramp(i / (LEVELS - 1)), (0.299, 0.587, 0.114)) for i in range(LEVELS)]
    assert np.all(np.diff(grey) > 0)


def test_stretching_preserves_order_and_shows_masked_pixels_black():
    image = np.array([[[1.0, 2.0, 3.0, np.nan]]])
    assert stretched(image, [(1.0, 3.0)])[0].tolist() == pytest.approx([0, round(255 * 0.5**0.9), 255, 0])
    assert stretched(np.repeat(image, 3, 0), [(1.0, 3.0)] * 3).shape == (1, 4, 3)
