"""Rounding, nodata and statistics."""

import functools
import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssdiff_core.classical.quantise import counted
from ssdiff_core.domain.pixel_type import PixelType

KINDS = ["uint8", "int16", "uint16", "uint32", "int32"]


@given(st.lists(st.floats(-70000, 70000, width=32), min_size=1, max_size=20), st.sampled_from([0, 7, 65535, None]))
def test_counts_stay_in_the_type_and_clear_of_nodata(values, nodata):
    pixels = np.array([[values]], np.float32)
    counts = counted(pixels, PixelType("uint16", nodata))[0].astype(int)
    expected = np.rint(pixels.clip(0, 65535))
    assert (counts != nodata).all()
    assert (np.abs(counts - expected) <= (1 if nodata is not None else 0)).all()
    assert (counts == expected)[expected != nodata].all()


@pytest.mark.parametrize("kind", KINDS)
def test_values_beyond_a_type_are_clipped(kind):
    info = np.iinfo(kind)
    counts, _ = counted(
        np.array([[[-1e20, 1e20, -np.inf, np.inf, 3.5]]], np.float32), PixelType(np.dtype(kind).name, None)
    )
    assert counts.ravel().tolist() == [info.min, info.max, info.min, info.max, 4]


@pytest.mark.parametrize(
    ("kind", "nodata"), [("uint16", 0), ("int16", -32768), ("float32", -9999.0), ("float32", np.nan)]
)
def test_nan_becomes_nodata_and_nothing_else_does(kind, nodata):
    pixels = np.array([[[1.0, np.nan, nodata, 2.0]]], np.float32)
    counts, (sums,) = counted(pixels, PixelType(np.dtype(kind).name, nodata))
    masked = np.isnan(pixels)
    assert np.array_equal(np.isnan(counts) if np.isnan(nodata) else counts == nodata, masked)
    assert sums.count == (~masked).sum()


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "float32"])
def test_sums_of_blocks_give_the_statistics_of_the_image(kind):
    rng = np.random.default_rng(1)
    pixels = rng.normal(120, 9, (2, 301, 997)).astype(np.float32)
    pixels[:, rng.random((301, 997)) < 0.1] = np.nan
    nodata = -9999 if kind in ("int16", "float32") else 0
    parts = [
        counted(pixels[:, rows], PixelType(np.dtype(kind).name, nodata)) for rows in (slice(0, 100), slice(100, 301))
    ]
    image = np.concatenate([counts for counts, _ in parts], axis=1)
    for band, sums in zip(image, zip(*(sums for _, sums in parts))):
        whole, valid = functools.reduce(operator.add, sums), band[band != nodata].astype(float)
        found = (whole.count, whole.minimum, whole.maximum, whole.mean, whole.deviation)
        assert found == pytest.approx((valid.size, valid.min(), valid.max(), valid.mean(), valid.std()), rel=1e-9)


def test_a_small_deviation_from_a_large_mean_is_not_lost():
    pixels = np.full((1, 1000, 1000), 65000, np.float32)
    pixels[0, 0, 0] = 65001
    _, (sums,) = counted(pixels, PixelType("uint16", None))
    assert sums.deviation == pytest.approx(1e-3, rel=1e-6)


@pytest.mark.parametrize(("kind", "nodata"), [("float32", None), ("float64", -9999.0), ("int16", -32768), ("int16", 0)])
def test_valid_values_are_not_below_the_minimum(kind, nodata):
    pixels = np.array([[[-5.8, np.nan, 0.4, -9999.0, 7.0]]], np.float32)
    counts, (sums,) = counted(pixels, PixelType(kind, nodata, 0.0))
    least = 1 if nodata == 0 else 0
    assert sums.minimum == least
    assert counts.ravel()[[0, 3]].tolist() == [least, least]
    assert counts.ravel()[4] == 7
