"""Normalisation by the moments or the brightness of a scene."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scenes import scene_of, smooth_scene, stiff_weights, surveyed

from ssdiff_core.common.errors import BlockError
from ssdiff_core.domain.block import SceneStats
from ssdiff_core.domain.options import SamplingOptions
from ssdiff_core.fusion.engine import Engine
from ssdiff_core.model.normalisation import units
from ssdiff_core.model.ssnet import state_of


def engine(**kwargs) -> Engine:
    return Engine(stiff_weights(scale="moments", **kwargs), SamplingOptions("cpu"))


def test_moments_make_every_band_and_pan_alike():
    scene = smooth_scene(96, 96)
    own = units("moments", scene.stats, 4)
    ms = own.of_ms(torch.from_numpy(scene.ms))
    assert torch.allclose(ms.mean((1, 2)), torch.zeros(4), atol=1e-3)
    assert torch.allclose(ms.std((1, 2)), torch.ones(4), atol=1e-2)
    pan = own.of_pan(torch.from_numpy(scene.pan))
    assert abs(float(pan.mean())) < 1e-3
    assert abs(float(pan.std()) - 1) < 1e-2


def test_a_number_or_the_scenes_brightness_scales_all_bands():
    assert units(2047.0, SceneStats(), 3).ones.flatten().tolist() == [2047.0] * 3
    assert units("scene", SceneStats(scale=500.0), 2).pan_one == 500.0
    for scale, stats in (("scene", SceneStats()), ("moments", SceneStats(means=(1.0, 2.0), deviations=(1.0, 1.0)))):
        with pytest.raises(BlockError, match="the weights need"):
            units(scale, stats, 4)


def test_noise_in_a_flat_scene_is_not_amplified():
    own = units("moments", SceneStats(means=(100.0, 100.0), deviations=(0.0, 0.0)), 1)
    assert own.ones.item() == pytest.approx(0.1)


@pytest.mark.parametrize(("guides", "views"), [(1, ()), (2, ()), (2, ("bt-h",))])
def test_another_gain_and_haze_of_each_band_and_of_pan_change_nothing_but_that(guides, views):
    """A scene with rescaled counts gives the same image with rescaled counts, so weights fit sensors of any range."""
    scene = surveyed(smooth_scene(80, 100))
    gains, haze = np.array([0.2, 3, 1, 7], np.float32)[:, None, None], np.array([0, 500, 90, 20], np.float32)
    other = surveyed(scene_of(scene.pan * 2.5 + 300, scene.ms * gains + haze[:, None, None]))
    weights = engine_with(guides, views)
    one, two = weights.fuse(scene), weights.fuse(other)
    spread = one.std((1, 2), keepdims=True)
    assert np.abs((two - haze[:, None, None]) / gains - one).max() < 2e-3 * spread.max()
    assert np.abs(one - one.mean((1, 2), keepdims=True)).max() > 0.5 * spread.max()


def engine_with(guides: int, views=()) -> Engine:
    weights = stiff_weights(tile=32)
    config = replace(weights.card.arch, guides=guides, views=views, keys=8)
    torch.manual_seed(1)
    net = type(weights.net)(config).eval().requires_grad_(False)
    for tensor in state_of(net).values():
        if not tensor.any():  # an untrained network does not look at PAN
            tensor.normal_(std=0.1)
    return Engine(
        replace(weights, card=replace(weights.card, arch=config, scale="moments"), net=net), SamplingOptions("cpu")
    )


def test_the_second_guide_is_laid_out_the_same_in_every_block():
    scene, engine = smooth_scene(120, 150), engine_with(2)
    whole = engine.fuse(scene)
    part = scene.crop(replace(scene.core, row=40, col=30, height=50, width=60), engine.reach, engine.ms_halo)
    assert np.abs(engine.fuse(part) - whole[:, 40:90, 30:90]).max() < 1e-5 * scene.stats.scale
