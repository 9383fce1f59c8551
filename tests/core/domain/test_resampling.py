"""MS of another ratio: the ratio of weights that it is brought to, and its samples there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssdiff_core.domain.grid import Grid, Placement
from ssdiff_core.domain.kernels import blurred_taps, interpolation, mtf_sigma
from ssdiff_core.domain.resampling import Resampling, blur_between, gain_at, nearest_ratio
from ssdiff_core.domain.window import Window


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [(1.5, 2), (2, 2), (2.1, 2), (2.25, 2), (2.5, 4), (2.76, 4), (3, 4), (4, 4), (4.2, 4), (5, 4), (8, 4)],
)
def test_ms_is_brought_to_the_nearest_ratio_that_leaves_it_enough_resolution(ratio, expected):
    assert nearest_ratio(ratio, (4, 2)) == expected


@given(st.floats(0.1, 0.5), st.floats(1.5, 8), st.sampled_from([2, 4]))
def test_the_blur_of_the_sensor_and_of_resampling_make_up_that_of_the_new_ratio(gain, ratio, target):
    own, added = mtf_sigma(gain, ratio), blur_between(gain, ratio, target) * ratio
    assert np.hypot(own, added) == pytest.approx(mtf_sigma(gain_at(gain, ratio, target), target))


def test_without_a_blur_the_taps_are_those_of_interpolation():
    at = np.array([11.0, 12.25, 13.7])
    first, weights = blurred_taps(at)
    for start, row, whole in zip(first, weights, interpolation(at, 40, "23tap")):
        np.testing.assert_allclose(whole[start : start + len(row)], row, atol=2e-3)
        assert row.sum() == pytest.approx(1)


BLURS = 0.7, 0.0


def resampling(ratio, at, shape):
    return Resampling(Placement(at, ratio), Grid(*shape))


@settings(max_examples=20)
@given(st.floats(1.5, 8), st.floats(-3, 3), st.floats(-3, 3), st.sampled_from([2, 4]))
def test_a_plane_stays_at_its_position(ratio, row, col, target):
    """Rows and columns of PAN, sampled at one ratio, are those of PAN at the samples of the other."""
    rows, cols = np.meshgrid(row + ratio * np.arange(80), col + ratio * np.arange(80), indexing="ij")
    how, placement = resampling(ratio, (row, col), (80, 80)), Placement(((target - 1) / 2,) * 2, target)
    middle = int(40 * ratio / target)
    window = Window(middle, middle - 1, 3, 4)
    have = how.samples(window, placement, BLURS)
    images = np.stack([rows, cols])[(slice(None), *have.within(Window(0, 0, 80, 80)))].astype(np.float32)
    found, valid = how.resample(images, None, window, placement, BLURS)
    expected = np.meshgrid(
        placement.at[0] + target * np.arange(middle, middle + 3),
        placement.at[1] + target * np.arange(middle - 1, middle + 3),
        indexing="ij",
    )
    np.testing.assert_allclose(found, expected, atol=0.02)
    assert valid is None


def test_samples_do_not_depend_on_the_window_that_they_are_read_with():
    rng = np.random.default_rng(0)
    image, seen = rng.uniform(100, 900, (2, 60, 70)).astype(np.float32), rng.uniform(size=(60, 70)) > 0.02
    how, placement = resampling(2.76, (0.9, 1.3), (60, 70)), Placement((1.5, 1.5), 4.0)

    def read(window):
        have = how.samples(window, placement, BLURS)
        part = have.within(Window(0, 0, 60, 70))
        return how.resample(image[(slice(None), *part)], seen[part], window, placement, BLURS)

    whole, valid = read(Window(0, 0, 41, 48))
    part, some = read(Window(5, 30, 9, 18))
    assert np.array_equal(part, whole[:, 5:14, 30:48])
    assert np.array_equal(some, valid[5:14, 30:48])
    assert 0.5 < valid.mean() < 1


def test_samples_beside_masked_ones_are_invalid_and_finite():
    image, seen = np.full((2, 40, 40), 500, np.float32), np.ones((40, 40), bool)
    image[:, 20, 20], seen[20, 20] = np.nan, False
    how, placement = resampling(3, (1.0, 1.0), (40, 40)), Placement((1.5, 1.5), 4.0)
    window = Window(0, 0, 29, 29)
    found, valid = how.resample(image, seen, window, placement, BLURS)
    np.testing.assert_allclose(found, 500, rtol=1e-5)
    assert not valid[14:16, 14:16].all()
    assert (~valid).sum() <= 4
