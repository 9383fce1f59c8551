"""Made-up scenes: they must be what their sensor would deliver, or everything trained on them learns a lie."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssdiff_core.domain import sensors
from ssdiff_core.training import simulate
from ssdiff_core.training.simulate import Picture, degraded

NAIP = (650.0, 560.0, 470.0, 830.0)
PLAIN = {
    "bent": np.zeros(5),
    "gamma": 1.0,
    "origin": (0.0, 0.0),
    "turn": (0, False),
    "crisp": 0.0,
    "shift": (0.0, 0.0),
    "off": (0.0, 0.0),
    "shifts": np.zeros((4, 2)),
    "noise": (0.0, 0.0),
    "levels": 1e6,
    "haze": np.zeros(5),
    "saturates": np.inf,
}
"nothing but the sensor's optics"


def drawn(seed=0, coarsest=4.0, **changes) -> simulate.Draw:
    return replace(simulate.draw(sensors.get("qb"), NAIP, False, coarsest, np.random.default_rng(seed)), **changes)


def made(image: np.ndarray, draw: simulate.Draw, seed=0, side=16) -> simulate.Scene:
    return simulate.make([Picture(image, NAIP, 1.0)], draw, 4, np.random.default_rng(seed), side)[0]


def textured(side=128, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.1, 0.9, (4, side, side)).astype(np.float32)


@pytest.mark.parametrize("ratio", [2, 4])
@given(gain=st.floats(0.12, 0.42))
def test_ms_answers_its_nyquist_frequency_with_the_gain_of_its_mtf(ratio, gain):
    """A wave whose crests and troughs are where the MS samples are."""
    wave = np.cos(np.pi * (np.arange(64 * ratio) - (ratio - 1) / 2) / ratio)
    ms = degraded(np.broadcast_to(wave, (64 * ratio, 64 * ratio)), gain, ratio)
    middle = ms[16:-16, 16:-16]
    assert np.abs(middle).max() == pytest.approx(gain, abs=1e-3)
    assert np.abs(middle).min() == pytest.approx(gain, abs=1e-3)


@pytest.mark.parametrize("ratio", [2, 4])
def test_a_ramp_stays_a_ramp(ratio):
    """Half a pixel of error in the phase would show as an offset."""
    ramp = np.arange(64.0 * ratio)
    ms = degraded(np.add.outer(3 * ramp, ramp), 0.3, ratio)
    at = (np.arange(64) + 0.5) * ratio - 0.5
    assert np.abs(ms - np.add.outer(3 * at, at))[8:-8, 8:-8].max() < 1e-2


@pytest.fixture
def ramp():
    """A scene of nothing but a slope of 1/100 a pixel down and 1/200 to the right, under what draws it."""
    image = np.broadcast_to(np.add.outer(2 * np.arange(128.0), np.arange(128.0)) / 400, (4, 128, 128))
    plain = {**PLAIN, "factor": 2.0, "mix": np.eye(4), "share": np.full(4, 0.25), "truth_mtf": (0.3,) * 4}
    return lambda **changes: made(image, drawn(**{**plain, **changes}))


def test_pan_lies_off_by_the_shift_that_was_drawn(ramp):
    still, moved = ramp(), ramp(shift=(0.5, -1.0))
    rise = (moved.block.pan - still.block.pan)[8:-8, 8:-8] / 1e6
    assert np.allclose(rise, 0.5 / 100 - 1.0 / 200, atol=1e-4)
    assert np.allclose(still.block.pan[8:-8, 8:-8], still.truth[0, 8:-8, 8:-8], atol=1e6 * 1e-4)


def test_ms_lies_off_by_what_was_drawn_and_the_truth_is_where_pan_is(ramp):
    still, moved = ramp(), ramp(off=(0.8, -0.4))
    rise = (moved.block.ms - still.block.ms)[:, 4:-4, 4:-4] / 1e6
    assert np.allclose(rise, 0.8 / 100 - 0.4 / 200, atol=1e-4)
    assert np.array_equal(still.block.pan, moved.block.pan)
    assert np.array_equal(still.truth, moved.truth)


def test_a_truth_that_lies_far_off_ms_lies_where_pan_does():
    draws = [drawn(seed) for seed in range(400)]
    assert all(max(map(abs, draw.shift)) <= 0.5 for draw in draws)
    assert 0.15 < np.mean([any(draw.off) for draw in draws]) < 0.35
    assert max(max(map(abs, draw.off)) for draw in draws) > 0.9


def test_a_missing_band_is_made_of_its_neighbours():
    rng = np.random.default_rng(0)
    for _ in range(20):
        yellow, nir = simulate._mixture((605.0, 835.0), NAIP, rng)
        assert yellow[:2].sum() > 0.6  # red and green
        assert nir.argmax() == 3
        assert np.allclose([yellow.sum(), nir.sum()], 1)
    assert simulate._mixture((), NAIP, rng).shape == (4, 4)


def test_what_is_drawn_follows_from_the_seed_alone():
    image = textured()
    first, again, other = (made(image, drawn(seed), seed) for seed in (3, 3, 4))
    assert np.array_equal(first.block.pan, again.block.pan)
    assert np.array_equal(first.truth, again.truth)
    assert first.block.pan.shape != other.block.pan.shape or not np.allclose(first.block.pan, other.block.pan)


@given(seed=st.integers(0, 10**6), side=st.sampled_from([16, 32, 64]))
def test_any_draw_gives_a_whole_scene(seed, side):
    """Counts are whole, none negative, MS lies under PAN, and truth degraded is MS but for noise."""
    scene = made(
        textured(64), drawn(seed, coarsest=64 / side, noise=(0.0, 0.0), off=(0.0, 0.0), saturates=np.inf), seed, side
    )
    pan, ms = scene.block.pan, scene.block.ms
    assert pan.shape[0] % side == 0
    assert pan.shape[0] > 0
    assert ms.shape == (4, pan.shape[0] // 4, pan.shape[1] // 4)
    for counts in (pan, ms):
        assert np.isfinite(counts).all()
        assert np.array_equal(counts, np.rint(counts))
        assert counts.min() >= 0
    mtf = drawn(seed, coarsest=64 / side).mtf
    again = np.stack([degraded(band, gain, 4) for band, gain in zip(scene.truth, mtf)])
    assert np.abs(np.maximum(again, 0) - ms).max() <= 0.51 + 1e-3 * np.abs(ms).max()


def test_scenes_differ_as_sensors_and_skies_do():
    """Correlations of bands with PAN, haze, contrast and sharpness vary from draw to draw."""
    image = textured(128)
    scenes = [made(image, drawn(seed), seed) for seed in range(12)]
    contrast = [scene.block.pan.std() / scene.block.pan.mean() for scene in scenes]
    assert max(contrast) > 1.5 * min(contrast)
    assert len({scene.block.pan.shape for scene in scenes}) > 2
