"""Simulated scenes: they correspond to what the sensor would deliver."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssdiff_core.domain import sensors
from ssdiff_core.training import simulate
from ssdiff_core.training.simulate import Picture, degraded

NAIP = (650.0, 560.0, 470.0, 830.0)
OPTICS_ONLY = {
    "nonlinearity_strength": np.zeros(5),
    "gamma": 1.0,
    "origin": (0.0, 0.0),
    "rotation": (0, False),
    "sharpening": 0.0,
    "shift": (0.0, 0.0),
    "off": (0.0, 0.0),
    "shifts": np.zeros((4, 2)),
    "noise": (0.0, 0.0),
    "levels": 1e6,
    "haze": np.zeros(5),
    "saturation": np.inf,
}
"parameters with which only the sensor's MTF has an effect"


def drawn(seed=0, coarsest=4.0, **changes) -> simulate.Draw:
    return replace(simulate.draw(sensors.get("qb"), NAIP, False, coarsest, np.random.default_rng(seed)), **changes)


def scene_from(image: np.ndarray, draw: simulate.Draw, seed=0, side=16) -> simulate.Scene:
    return simulate.make([Picture(image, NAIP, 1.0)], draw, 4, np.random.default_rng(seed), side)[0]


def textured(side=128, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.1, 0.9, (4, side, side)).astype(np.float32)


@pytest.mark.parametrize("ratio", [2, 4])
@given(gain=st.floats(0.12, 0.42))
def test_the_amplitude_of_ms_at_nyquist_is_its_mtf(ratio, gain):
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
    """Makes scenes whose brightness rises by 1/100 per pixel downwards and 1/200 to the right."""
    image = np.broadcast_to(np.add.outer(2 * np.arange(128.0), np.arange(128.0)) / 400, (4, 128, 128))
    plain = {**OPTICS_ONLY, "factor": 2.0, "mix": np.eye(4), "share": np.full(4, 0.25), "truth_mtf": (0.3,) * 4}
    return lambda **changes: scene_from(image, drawn(**{**plain, **changes}))


def test_pan_is_offset_by_the_drawn_shift(ramp):
    still, moved = ramp(), ramp(shift=(0.5, -1.0))
    rise = (moved.block.pan - still.block.pan)[8:-8, 8:-8] / 1e6
    assert np.allclose(rise, 0.5 / 100 - 1.0 / 200, atol=1e-4)
    assert np.allclose(still.block.pan[8:-8, 8:-8], still.truth[0, 8:-8, 8:-8], atol=1e6 * 1e-4)


def test_ms_is_offset_by_the_drawn_shift_and_the_truth_is_aligned_with_pan(ramp):
    still, moved = ramp(), ramp(off=(0.8, -0.4))
    rise = (moved.block.ms - still.block.ms)[:, 4:-4, 4:-4] / 1e6
    assert np.allclose(rise, 0.8 / 100 - 0.4 / 200, atol=1e-4)
    assert np.array_equal(still.block.pan, moved.block.pan)
    assert np.array_equal(still.truth, moved.truth)


def test_pan_has_small_shifts_and_some_scenes_have_a_large_shift_of_ms():
    draws = [drawn(seed) for seed in range(400)]
    assert all(max(map(abs, draw.shift)) <= 0.5 for draw in draws)
    assert 0.15 < np.mean([any(draw.off) for draw in draws]) < 0.35
    assert max(max(map(abs, draw.off)) for draw in draws) > 0.9


def test_a_missing_band_is_a_mixture_of_its_neighbours():
    rng = np.random.default_rng(0)
    for _ in range(20):
        yellow, nir = simulate._mixture((605.0, 835.0), NAIP, rng)
        assert yellow[:2].sum() > 0.6  # red and green
        assert nir.argmax() == 3
        assert np.allclose([yellow.sum(), nir.sum()], 1)
    assert simulate._mixture((), NAIP, rng).shape == (4, 4)


def test_a_scene_is_determined_by_its_seed():
    image = textured()
    first, again, other = (scene_from(image, drawn(seed), seed) for seed in (3, 3, 4))
    assert np.array_equal(first.block.pan, again.block.pan)
    assert np.array_equal(first.truth, again.truth)
    assert first.block.pan.shape != other.block.pan.shape or not np.allclose(first.block.pan, other.block.pan)


@given(seed=st.integers(0, 10**6), side=st.sampled_from([16, 32, 64]))
def test_any_draw_gives_a_consistent_scene(seed, side):
    """Counts are non-negative integers, sizes match, and the degraded truth is MS except for noise."""
    scene = scene_from(
        textured(64), drawn(seed, coarsest=64 / side, noise=(0.0, 0.0), off=(0.0, 0.0), saturation=np.inf), seed, side
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


def test_scenes_differ_in_contrast_and_size():
    """Contrast and size vary from draw to draw."""
    image = textured(128)
    scenes = [scene_from(image, drawn(seed), seed) for seed in range(12)]
    contrast = [scene.block.pan.std() / scene.block.pan.mean() for scene in scenes]
    assert max(contrast) > 1.5 * min(contrast)
    assert len({scene.block.pan.shape for scene in scenes}) > 2


def test_pan_can_have_detail_that_no_band_shares():
    """Then the bands explain less of PAN; every second scene stays as it is."""
    sensor, explained = sensors.get("qb"), {}
    picture = Picture(materials(np.random.default_rng(5)), NAIP)
    for unshared in (0.0, 0.8):
        explained[unshared] = []
        for seed in range(12):
            drawn = simulate.draw(sensor, NAIP, False, 1.0, np.random.default_rng(seed), unshared)
            assert 0 <= drawn.unshared <= unshared
            calm = replace(drawn, noise=(0.0, 0.0), shift=(0.0, 0.0), off=(0.0, 0.0), saturation=np.inf, sharpening=0.0)
            calm = replace(calm, nonlinearity_strength=0 * drawn.nonlinearity_strength)
            (scene,) = simulate.make([picture], calm, 4, np.random.default_rng(seed))
            low = simulate.degraded(scene.block.pan, 0.3, 4)[3:-3, 3:-3].ravel()
            bands = np.stack([band[3:-3, 3:-3].ravel() for band in scene.block.ms] + [np.ones_like(low)])
            rest = low - np.linalg.lstsq(bands.T, low, rcond=None)[0] @ bands
            explained[unshared].append(1 - rest.var() / low.var())
    assert min(explained[0.0]) > 0.95
    assert sum(a == b for a, b in zip(*explained.values())) in range(3, 10)
    assert min(explained[0.8]) < 0.8


def materials(rng) -> np.ndarray:
    """Returns an image (4, 128, 128) of squares of eight materials."""
    colours = rng.uniform(30, 200, (8, 4))[rng.integers(0, 8, (32, 32))].transpose(2, 0, 1)
    return np.kron(colours, np.ones((4, 4))).astype(np.uint8)
