"""What the measured shift promises: its sign, its accuracy on real scenes, silence where nothing can be seen."""

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import SAMPLE

from ssdiff_core.common.errors import BlockError
from ssdiff_core.domain import registration
from ssdiff_core.domain.kernels import interpolation

CORNER = (1.5, 1.5)
EVAL = ("wv3_1", "gf2_1", "gf2_2", "gf2_3", "qb_1", "spot6_1", "wv2_4band_1", "pleiades_1")


@cache
def sample():
    with np.load(SAMPLE) as file:
        return file["pan"].astype(np.float32), file["ms"].astype(np.float32).transpose(2, 0, 1)


@cache
def of_sample():
    return registration.shift(*sample(), CORNER, 4)


def rough(height, width, seed=0):
    """Ground with detail at all scales."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft2(rng.standard_normal((height, width)))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    return 500 + 9 * np.fft.irfft2(spectrum / (frequency + 0.01), (height, width))


def means(ground, ratio):
    return ground.reshape(ground.shape[0] // ratio, ratio, -1, ratio).mean((1, 3))[None]


def moved(pan, rows, cols):
    """PAN whose content lies further down and right, and which of its pixels are real."""
    down, across = (interpolation(np.arange(n) - by, n, "23tap") for n, by in zip(pan.shape, (rows, cols)))
    real = np.zeros(pan.shape, bool)
    real[12:-12, 12:-12] = True
    return down @ pan @ across.T, real


def off(found, rows, cols):
    return max(abs(found.rows - rows), abs(found.cols - cols))


@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_positive_where_ms_shows_the_ground_further_down_or_right(ratio):
    ground = rough(240, 240)
    found = registration.shift(ground, means(np.roll(ground, (3, -2), (0, 1)), ratio), ((ratio - 1) / 2,) * 2, ratio)
    assert off(found, 3, -2) < 0.1
    assert found.confidence > 0.8


def test_an_aligned_pair_has_no_shift():
    assert off(of_sample(), 0, 0) < 0.1
    assert of_sample().confidence > 0.8
    assert len(of_sample().bands) == 4


@pytest.mark.parametrize("by", [(6, -6), (-5.75, 0.33), (0.5, 4.4), (-0.25, -0.1)])
def test_a_known_shift_of_the_sample_is_found_to_a_tenth_of_a_pixel(by):
    pan, real = moved(sample()[0], *by)
    found = registration.shift(pan, sample()[1], CORNER, 4, real)
    for now, before in zip((found, *found.bands), (of_sample(), *of_sample().bands)):
        assert off(now, before.rows - by[0], before.cols - by[1]) < 0.1


@settings(max_examples=8)
@given(st.floats(-6, 6), st.floats(-6, 6))
def test_the_measured_shift_is_the_error_of_the_geometry(rows, cols):
    pan, ms = sample()
    found = registration.shift(pan, ms, (CORNER[0] + rows, CORNER[1] + cols), 4)
    assert off(found, of_sample().rows + rows, of_sample().cols + cols) < 0.1


@settings(max_examples=4)
@given(st.sampled_from([1e-4, 0.01, 30]), st.floats(-500, 500))
def test_units_do_not_matter(factor, offset):
    pan, ms = sample()
    found = registration.shift(pan * factor + offset * factor, ms, CORNER, 4)
    assert off(found, of_sample().rows, of_sample().cols) < 0.02


def test_a_band_that_is_dark_where_pan_is_bright_is_as_informative():
    pan, ms = sample()
    inverted = registration.shift(pan, 2000 - ms, CORNER, 4)
    assert off(inverted, of_sample().rows, of_sample().cols) < 1e-3
    assert off(inverted.bands[3], of_sample().bands[3].rows, of_sample().bands[3].cols) < 1e-3


def test_each_band_has_a_shift_of_its_own():
    ground = rough(240, 240)
    own = [(0, 0), (2, -1), (-3, 4)]
    found = registration.shift(ground, np.concatenate([means(np.roll(ground, by, (0, 1)), 4) for by in own]), CORNER, 4)
    assert max(off(band, *by) for band, by in zip(found.bands, own)) < 0.1


def test_only_clearly_shifted_bands_get_their_own_shift():
    here, there = registration.Shift(1, 1, confidence=0.9), registration.Shift(1, 2, confidence=0.9)
    near, doubtful = registration.Shift(1.1, 0.8, confidence=0.9), registration.Shift(5, 5, confidence=0.4)
    found = registration.Shift(1, 1, 0.9, bands=(here, there, near, doubtful))
    assert registration.band_offsets(found) == ((0, 0), (0, 1), (0, 0), (0, 0))


@given(st.floats(-3, 3), st.floats(-3, 3), st.integers(6, 10), st.integers(6, 10))
def test_shifting_a_linear_slope_is_exact_and_local(down, across, top, left):
    r, c = np.mgrid[:24, :24]
    image = (10 * r + 3 * c).astype(np.float32)
    here = slice(top, top + 6), slice(left, left + 7)
    assert np.allclose(
        registration.resample_shifted(image, here, (down, across)), image[here] + 10 * down + 3 * across, atol=1e-3
    )
    reach = math.ceil(max(abs(down), abs(across))) + registration.SHIFT_REACH
    small = image[top - reach : top + 6 + reach, left - reach : left + 7 + reach]
    again = registration.resample_shifted(small, (slice(reach, reach + 6), slice(reach, reach + 7)), (down, across))
    assert np.array_equal(again, registration.resample_shifted(image, here, (down, across)))


@pytest.mark.parametrize("hole", [np.nan, 0, 60000])
def test_masked_pixels_have_no_influence(hole):
    pan, ms = (image.copy() for image in sample())
    pan[60:150, 80:100] = hole
    valid = np.ones(pan.shape, bool)
    valid[60:150, 80:100] = False
    ms[:, 50:, 50:] = np.nan
    assert off(registration.shift(pan, ms, CORNER, 4, valid), of_sample().rows, of_sample().cols) < 0.1


def test_a_few_broken_windows_do_not_change_the_shift():
    pan, ms = sample()
    ms = ms.copy()
    ms[:, :24, :24] = np.random.default_rng(0).uniform(0, 2000, (4, 24, 24))
    assert off(registration.shift(pan, ms, CORNER, 4), of_sample().rows, of_sample().cols) < 0.15


@pytest.mark.parametrize(
    ("pan", "ms"),
    [
        (np.full((256, 256), 300.0), sample()[1]),
        (sample()[0], np.full((4, 64, 64), 300.0)),
        (np.full((256, 256), np.nan), sample()[1]),
        (sample()[0][:40, :60], sample()[1][:, :10, :15]),
        (sample()[0][:4, :4], sample()[1][:, :1, :1]),
    ],
    ids=["flat PAN", "flat MS", "masked", "small", "tiny"],
)
def test_a_scene_without_detail_gives_no_shift(pan, ms):
    assert registration.shift(pan, ms, CORNER, 4) == registration.Shift(bands=(registration.Shift(),) * len(ms))


def test_unrelated_images_and_too_large_shifts_have_no_confidence():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((300, 300)), rng.standard_normal((4, 75, 75))
    assert registration.shift(*noise, CORNER, 4).confidence < 0.3
    pan, ms = sample()
    assert registration.shift(pan, ms, (CORNER[0] + registration.MAXIMUM_SHIFT + 4, CORNER[1]), 4).confidence < 0.3


def test_arrays_of_another_shape_are_refused():
    with pytest.raises(BlockError, match="are needed"):
        registration.shift(sample()[0], sample()[1][0], CORNER, 4)


@given(st.tuples(st.integers(1, 40000), st.integers(1, 40000)), st.floats(1.5, 8), st.integers(1, 40))
def test_windows_are_few_and_lie_within_the_scene(shape, ratio, most):
    found = registration.windows(shape, ratio, most)
    assert 1 <= len(found) <= most
    assert len(set(found)) == len(found)
    for row, col, height, width in found:
        assert min(row, col) >= 0
        assert row + height <= shape[0]
        assert col + width <= shape[1]


def test_a_large_scene_is_read_in_windows_only():
    """Ground of 30,000 x 30,000 pixels that repeats itself, so that it can be made up where it is read."""
    ground = rough(256, 256)
    ms = means(np.roll(ground, (2, -1), (0, 1)), 4)
    read_pixels = 0

    def read(window):
        nonlocal read_pixels
        row, col, height, width = window
        read_pixels += height * width
        rows, cols = (np.arange(-(-a // 4), (a + n) // 4) for a, n in ((row, height), (col, width)))
        pan = ground[np.ix_(np.arange(row, row + height) % 256, np.arange(col, col + width) % 256)]
        at = (1.5 + 4 * rows[0] - row, 1.5 + 4 * cols[0] - col)
        return pan, ms[:, rows[:, None] % 64, cols % 64], at, None

    found = registration.estimate_shift((30000, 30000), 4, read)
    assert off(found, 2, -1) < 0.1
    assert found.windows == 36
    assert read_pixels < 2e6


@pytest.mark.parametrize("name", EVAL)
def test_known_shifts_of_real_scenes_are_found_to_a_tenth_of_a_pixel(eval_data, name):
    gdal = pytest.importorskip("osgeo.gdal")
    pan, ms = (
        gdal.Open(str(eval_data / f"{name}_{kind}.tif")).ReadAsArray()[..., :320, :320] for kind in ("pan", "ms")
    )
    pan, ms = pan.astype(np.float32), ms[:, :80, :80].astype(np.float32)
    before = registration.shift(pan, ms, CORNER, 4)
    assert before.confidence > 0.8
    shifted, real = moved(pan, 5.6, -4.3)
    found = registration.shift(shifted, ms, CORNER, 4, real)
    assert off(found, before.rows - 5.6, before.cols + 4.3) < 0.1


def test_a_negligible_shift_is_printed_without_a_minus_sign():
    assert str(registration.Shift(-0.004, 0.004)) == "+0.00 rows, +0.00 columns"
    assert str(registration.Shift(-0.006, 1.5)) == "-0.01 rows, +1.50 columns"
