import numpy as np
import pytest
import torch
from scenes import scene_of, smooth_scene

from ssdiff_core import classical
from ssdiff_core.blocks import SceneStats
from ssdiff_core.resample import KERNELS, REACH
from ssdiff_core.tiles import Window


def base_of(block, name="mtf-glp-fs", kernel="cubic"):
    pan = torch.from_numpy(block.pan)
    lms = classical.upsample(block, torch.from_numpy(block.ms), kernel)
    return classical.base(name, block, pan, lms, kernel)


@pytest.mark.parametrize(("ratio", "ms_at"), [(4, (1.5, 1.5)), (4, (2.0, 2.0)), (2, (0.0, 0.5)), (4, (-0.83, 3.1))])
@pytest.mark.parametrize("base", classical.BASES)
def test_a_ramp_stays_a_ramp_at_the_phase_of_the_geometry(ratio, ms_at, base):
    """Half a pixel of error anywhere would show as half a count."""
    rows, cols = np.mgrid[:160, :160].astype(np.float32)
    m = np.arange(160 // ratio) * ratio
    ms = (m[:, None] + ms_at[0]) * 1.0 + (m + ms_at[1]) * 2.0
    block = scene_of((rows + 2 * cols), np.stack([ms, 3 * ms + 50]).astype(np.float32), ms_at=ms_at)
    fused = base_of(block, base).numpy()[:, 40:-40, 40:-40]
    ramp = (rows + 2 * cols)[40:-40, 40:-40]
    assert np.abs(fused - [ramp, 3 * ramp + 50]).max() < 0.05


def test_gains_follow_how_strongly_a_band_shows_what_pan_shows():
    rng = np.random.default_rng(0)
    sharp = 500 + 100 * rng.standard_normal((200, 200)).astype(np.float32)
    low = classical.as_ms_sees(
        scene_of(sharp, np.zeros((1, 50, 50), np.float32)), torch.from_numpy(sharp), 0.3, "cubic"
    )
    factors = np.array([0.5, 2.0], np.float32)
    ms = np.stack([f * low.numpy()[2::4, 2::4] for f in factors])  # sampled well enough for gains
    gains = scene_of(sharp, ms, ms_at=(2.0, 2.0)).stats.gains
    assert gains[1] / gains[0] == pytest.approx(4, rel=1e-4)


def test_a_base_does_not_depend_on_the_block():
    whole = smooth_scene(180, 200)
    fused = base_of(whole)
    reach = classical.base_reach("mtf-glp-fs", 4, 2)
    core = Window(70, 90, 30, 41)
    part = whole.crop(core, reach, 4)
    assert part.window.shape != whole.window.shape
    there = base_of(part)[(slice(None), *core.within(part.window))]
    assert torch.allclose(there, fused[(slice(None), *core.within(whole.window))], atol=1e-2)


@pytest.mark.parametrize("kernel", KERNELS)
def test_interpolation_needs_its_reach_of_ms_around_a_block(kernel):
    whole, core = smooth_scene(200, 200), Window(90, 94, 20, 20)
    expected = classical.upsample(whole, torch.from_numpy(whole.ms), kernel)[:, 90:110, 94:114]

    def error(halo):
        part = whole.crop(core, 0, halo)
        return (classical.upsample(part, torch.from_numpy(part.ms), kernel) - expected).abs().max()

    assert error(REACH[kernel]) < 1e-3
    assert error(0) > 1


def test_statistics_of_a_scene_scale_with_its_counts():
    scene = smooth_scene()
    brighter = scene_of(scene.pan * 7, scene.ms * 7)
    assert brighter.stats.scale == pytest.approx(7 * scene.stats.scale, rel=1e-5)
    assert brighter.stats.gains == pytest.approx(scene.stats.gains, rel=1e-4)


def test_a_flat_pan_adds_nothing():
    scene = smooth_scene()
    flat = scene_of(np.full_like(scene.pan, 300), scene.ms)
    assert torch.equal(base_of(flat, "lms"), base_of(flat)) or (base_of(flat) - base_of(flat, "lms")).abs().max() < 1e-2


def test_masked_pixels_have_no_say_in_the_statistics():
    whole = smooth_scene(160, 200)
    wide_pan = np.concatenate([whole.pan, np.zeros((160, 120), np.float32)], axis=1)
    wide_ms = np.concatenate([whole.ms, np.full((4, 40, 30), np.nan, np.float32)], axis=2)
    valid = np.ones(wide_pan.shape, bool)
    valid[:, 200:] = False
    half_empty = scene_of(wide_pan, wide_ms, valid=valid)
    assert half_empty.stats.scale == pytest.approx(whole.stats.scale)
    assert half_empty.stats.gains == pytest.approx(whole.stats.gains, rel=0.02)


def test_a_scene_without_a_valid_pixel_has_harmless_statistics():
    scene = smooth_scene(40, 40)
    empty = scene_of(scene.pan, np.full_like(scene.ms, np.nan))
    assert empty.stats == SceneStats(scale=1.0, gains=(0.0,) * 4, mtf=(0.3,) * 4)
