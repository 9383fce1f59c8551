import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from ssdiff_core.classical.resample import blurrer, overlapping, reader, take_cols, take_rows
from ssdiff_core.domain.kernels import KERNELS, REACH, blur, interpolation, mtf_sigma, reflect

kernels = st.sampled_from(KERNELS)


@given(kernels, st.integers(1, 40), st.lists(st.floats(-30, 70), min_size=1, max_size=8))
def test_weights_of_a_position_sum_to_one(kernel, n, at):
    assert interpolation(np.array(at), n, kernel).sum(1) == pytest.approx(np.ones(len(at)), abs=1e-5)


@given(kernels, st.integers(1, 30))
def test_whole_positions_give_the_samples_back(kernel, n):
    assert np.array_equal(interpolation(np.arange(n), n, kernel), np.eye(n, dtype=np.float32))


@given(kernels, st.floats(15, 24), st.floats(-3, 3), st.floats(-100, 100))
def test_a_ramp_stays_a_ramp_at_every_phase(kernel, at, slope, start):
    ramp = start + slope * np.arange(40)
    read = interpolation(np.array([at]), 40, kernel).astype(np.float64) @ ramp
    assert read == pytest.approx(start + slope * at, abs=1e-3)


@given(kernels, st.floats(0, 39), st.integers(0, 39))
def test_reads_nothing_beyond_its_reach(kernel, at, sample):
    assume(abs(at - sample) >= REACH[kernel])
    assume(0 < sample < 39)  # the end samples stand for all that is beyond
    assert interpolation(np.array([at]), 40, kernel)[0, sample] == 0


def test_23_tap_filter_of_the_toolboxes_is_the_case_of_phase_4i_plus_2():
    """Two passes of the published half-band filter place sample i at 4i + 2, as this kernel does."""
    half = [0.305334091185, 0, -0.072698593239, 0, 0.021809577942, 0, -0.005192756653, 0, 0.000807762146, 0]
    half = [0.5, *half, -0.000060081482]
    taps = 2 * np.array([*half[:0:-1], *half])
    n, image = 40, np.random.default_rng(0).random(40)
    for start in (1, 0):  # the first round starts at the second sample
        spread = np.zeros(2 * len(image))
        spread[start::2] = image
        image = np.convolve(np.concatenate([spread[-11:], spread, spread[:11]]), taps, "valid")
    ours = interpolation((np.arange(4 * n) - 2) / 4, n, "23tap") @ np.random.default_rng(0).random(40)
    assert ours[50:-50] == pytest.approx(image[50:-50], abs=1e-6)


@given(st.floats(0.1, 0.4), st.sampled_from([2, 4]))
def test_blur_has_the_sensors_response_at_its_nyquist_frequency(gain, ratio):
    wave = np.cos(np.pi / ratio * np.arange(-200, 201))
    response = blur(np.array([200.0]), 401, mtf_sigma(gain, ratio), 5 * ratio) @ wave
    assert response == pytest.approx(gain, abs=1e-3)


@given(st.floats(60, 140), st.floats(0.85, 3))
def test_blur_has_no_phase_of_its_own(at, sigma):
    read = blur(np.array([at]), 200, sigma, 20).astype(np.float64) @ np.arange(200.0)
    assert read == pytest.approx(at, abs=2e-3)


@given(st.integers(-50, 50), st.integers(1, 30), st.integers(-200, 200))
def test_reflection_stays_inside_and_keeps_what_is_inside(lo, span, index):
    mirrored = reflect(np.array([index]), lo, lo + span)[0]
    assert lo <= mirrored <= lo + span - 1
    if lo <= index < lo + span:
        assert mirrored == index


@given(st.integers(-20, 20), st.integers(2, 30), st.floats(0, 1))
def test_reflection_mirrors_at_the_pixel_edge(lo, span, share):
    depth = share * (span - 1)
    assert reflect(np.array([lo - 1 - depth]), lo, lo + span)[0] == pytest.approx(lo + depth)
    assert reflect(np.array([lo + span + depth]), lo, lo + span)[0] == pytest.approx(lo + span - 1 - depth)


@pytest.mark.parametrize("ratio", [2, 4, 2.7])
@pytest.mark.parametrize("side", [None, 10_000])
def test_numpy_and_torch_give_the_same_in_many_small_strips_and_in_one(side, ratio):
    """A GPU uses a single strip for a whole axis."""
    image, n = np.random.default_rng(0).normal(size=(3, 70, 50)).astype(np.float32), round(60 * ratio)

    def answers(convert, side):
        sharp = take_rows(reader(1.3, n, ratio, "cubic", convert, side), convert(image))
        low = take_cols(blurrer(1.3, 20, (0.3, 0.2, 0.3), ratio, convert, side=side), sharp.swapaxes(1, 2))
        return sharp, low

    for one, other in zip(answers(np.asarray, None), answers(torch.from_numpy, side)):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@given(st.integers(1, 90), st.data())
def test_the_strips_of_a_part_give_its_pixels(n, data):
    start = data.draw(st.integers(0, n - 1))
    span = slice(start, data.draw(st.integers(start + 1, n)))
    image = np.random.default_rng(n).random((2, 12, 5)).astype(np.float32)
    along = reader(0.3, n, 4, "cubic")
    few, rows = overlapping(along, span)
    assert np.array_equal(take_rows(few, image)[:, rows], take_rows(along, image)[:, span])
    whole, rows = overlapping(along, slice(None))
    assert (whole, rows) == (along, slice(0, n))
