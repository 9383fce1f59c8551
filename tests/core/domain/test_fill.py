"""Recognition of fill values in samples of a raster."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssdiff_core.domain.fill import find_fill


def scene(dtype=np.uint16, bands=4, size=(64, 80), seed=0):
    random = np.random.default_rng(seed)
    return random.integers(1, 250, (bands, *size)).astype(dtype)


def with_collar(value, dtype=np.uint16, bands=4):
    """A scene turned by some degrees: triangles of one value at its four corners."""
    image = scene(dtype, bands)
    rows, columns = np.mgrid[:64, :80]
    across, along = columns - rows / 4, rows + columns / 4
    inside = (along > 20) & (along < 63) & (across > 4) & (across < 72)
    image[:, ~inside] = value
    return image, ~inside


@given(st.integers(0, 20))
def test_a_scene_without_fill_has_none(seed):
    for dtype in (np.uint8, np.uint16, np.int16, np.float32):
        assert find_fill(scene(dtype, seed=seed)) is None


@pytest.mark.parametrize("bands", [1, 4])
def test_a_black_collar_is_certain(bands):
    image, outside = with_collar(0, bands=bands)
    found = find_fill(image)
    assert found.certain
    assert found.value == 0
    assert found.share == pytest.approx(outside.mean())


@pytest.mark.parametrize("value", [255, 1, 65535])
def test_a_collar_of_another_value_is_only_suspected(value):
    found = find_fill(with_collar(value)[0])
    assert (found.value, found.certain) == (value, False)


def test_a_black_collar_is_only_suspected_if_zero_occurs_elsewhere():
    image, _ = with_collar(0)
    image[2, 25:35, 30:40] = 0  # shadows that are 0 in one band
    assert not find_fill(image).certain


@pytest.mark.parametrize("value", [-9999, -32768, -3.4028234663852886e38, 1e30, 1e20])
def test_codes_for_missing_data_are_certain_anywhere(value):
    dtype = np.int16 if abs(value) < 40_000 else np.float32
    image = scene(dtype)
    image[:, 30, 30:33] = value
    found = find_fill(image)
    assert found.certain
    assert found.value == np.float32(value)


def test_a_code_within_the_range_of_the_data_is_data():
    image = np.random.default_rng(0).integers(-20_000, 20_000, (4, 64, 80)).astype(np.int16)
    image[:, 30, 30:33] = -9999
    assert find_fill(image) is None


@pytest.mark.parametrize(("value", "dtype"), [(0, np.uint16), (255, np.uint8), (0, np.float32)])
def test_a_block_inside_is_suspected(value, dtype):
    image = scene(dtype)
    image[:, 20:40, 20:40] = value
    found = find_fill(image)
    assert (found.value, found.certain) == (value, False)


def test_an_image_of_one_value_has_no_fill():
    assert find_fill(np.zeros((4, 64, 80), np.uint16)) is None
