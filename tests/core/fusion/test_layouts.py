"""The engine with a network on patches: the same pixels however a scene is divided, masks, noise and threads."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import patch_weights, smooth_scene

from ssdiff_core.domain.options import SamplingOptions
from ssdiff_core.domain.window import Window
from ssdiff_core.fusion.engine import Engine, Tiling, half_types
from ssdiff_core.fusion.layouts import TileLayout, WindowLayout, layout_of
from ssdiff_core.model import devices

SAME = 1e-6  # of full scale
windows = st.builds(Window, st.integers(-300, 300), st.integers(-300, 300), st.integers(1, 200), st.integers(1, 200))


def engine(weights=None, precision="float32", piece=None, **sampling) -> Engine:
    return Engine(
        weights or patch_weights(), SamplingOptions("cpu", **sampling), tiling=Tiling(piece=piece), precision=precision
    )


def differ(a, b, scene) -> float:
    assert np.array_equal(np.isnan(a), np.isnan(b))
    return float(np.nanmax(np.abs(a - b))) / scene.stats.scale


def with_hole(scene):
    """Returns the scene with a large hole in PAN and small ones in MS."""
    valid, ms = np.ones(scene.pan.shape, bool), scene.ms.copy()
    valid[30:120, 40:130] = False
    ms[1, 30:33, 3:9] = np.nan
    return replace(scene, valid=valid, ms=ms)


@pytest.mark.parametrize("origin", [(0, 0), (-37, 1003)])
@pytest.mark.parametrize("sampling", [{}, {"samples": 2}, {"steps": 2}])
def test_the_result_does_not_depend_on_blocks(origin, sampling):
    scene, worker = smooth_scene(210, 190, origin=origin), engine(**sampling)
    whole = worker.fuse(scene)
    for at in ((101, 77, 60, 90), (3, 150, 33, 40), (160, 0, 50, 64)):
        core = Window(origin[0] + at[0], origin[1] + at[1], *at[2:])
        part = worker.fuse(scene.crop(core, worker.reach, worker.ms_halo))
        assert differ(part, whole[(slice(None), *core.within(scene.core))], scene) < SAME


def test_the_result_around_masks_does_not_depend_on_blocks():
    scene, worker = with_hole(smooth_scene(200, 200)), engine()
    whole = worker.fuse(scene)
    assert np.isnan(whole).any()
    for core in (Window(100, 20, 60, 60), Window(20, 100, 30, 90), Window(110, 110, 50, 50)):
        part = worker.fuse(scene.crop(core, worker.reach, worker.ms_halo))
        assert differ(part, whole[(slice(None), *core.within(scene.core))], scene) < SAME


def test_a_margin_smaller_than_the_reach_changes_pixels():
    """So the other tests of blocks can fail."""
    scene, worker = smooth_scene(210, 190), engine()
    core = Window(100, 70, 40, 50)
    whole = worker.fuse(replace(scene, core=core))
    assert differ(worker.fuse(scene.crop(core, 10, worker.ms_halo)), whole, scene) > 10 * SAME


@pytest.mark.parametrize("piece", [32, 96, 480])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_result_does_not_depend_on_pieces_or_threads(piece, threads):
    scene, before = smooth_scene(200, 230), torch.get_num_threads()
    reference = engine().fuse(scene)
    try:
        torch.set_num_threads(threads)
        assert differ(engine(piece=piece).fuse(scene), reference, scene) < SAME
    finally:
        torch.set_num_threads(before)


def test_half_precision_gives_nearly_the_same_pixels_wherever_blocks_are_cut():
    """A rounding of half precision may differ in the last digit: rarely, and by less than its own error."""
    scene, worker = smooth_scene(210, 190), engine(precision="bfloat16")
    whole, exact = worker.fuse(scene), engine().fuse(scene)
    core = Window(101, 77, 60, 90)
    part = worker.fuse(scene.crop(core, worker.reach, worker.ms_halo))
    change = np.abs(part - whole[(slice(None), *core.within(scene.core))])
    error = np.sqrt(np.square(whole - exact).mean())
    assert error > 0
    assert (change > 1e-6 * scene.stats.scale).mean() < 0.001
    assert change.max() < 10 * error


def test_masked_pixels_have_no_influence():
    scene, worker = with_hole(smooth_scene(200, 200)), engine()
    pan = np.where(scene.valid, scene.pan, np.float32(60_000))
    assert differ(worker.fuse(replace(scene, pan=pan)), worker.fuse(scene), scene) == 0


def test_a_single_sample_has_no_noise_if_the_weights_can_do_without():
    scene = smooth_scene(80, 90)
    for quiet in (True, False):
        weights = patch_weights(quiet=quiet)
        one, other = (engine(weights, seed=seed).fuse(scene) for seed in (1, 2))
        assert np.array_equal(one, other) is quiet
        several = [engine(weights, seed=seed, samples=2).fuse(scene) for seed in (1, 2)]
        assert not np.array_equal(*several)


def test_the_uncertainty_comes_from_noise_and_orientation():
    mean, spread = engine(samples=3).fuse_with_spread(smooth_scene(60, 70))
    assert np.isfinite(mean).all()
    assert (spread > 0).mean() > 0.9


def test_consecutive_pieces_report_progress_up_to_one():
    shares = []
    engine(piece=64).fuse(smooth_scene(150, 150), shares.append)
    assert shares[-1] == 1
    assert shares == sorted(shares)
    assert len(shares) > 4


def test_networks_with_attention_get_tiles_and_convolutional_ones_windows():
    card = patch_weights().card
    assert isinstance(layout_of(card, None, 1), WindowLayout)
    assert isinstance(layout_of(replace(card, arch=replace(card.arch, blocks=0)), None, 1), TileLayout)


@settings(max_examples=60)
@given(windows, windows, st.integers(1, 3))
def test_a_canvas_holds_the_core_and_its_reach_in_whole_ms_pixels(core, scene, hops):
    core = core & scene
    if not core:
        return
    layout = layout_of(patch_weights().card, None, hops)
    window = layout.window(core, scene)
    assert core in window
    assert (core.grow(layout.reach - 4) & scene) in window
    assert all(n % 4 == 0 for n in (window.row, window.col, window.height, window.width))
    assert window.height <= core.height + 2 * layout.reach


@settings(max_examples=60)
@given(windows, st.integers(1, 64))
def test_a_snapped_window_is_the_smallest_at_multiples_of_the_step(window, step):
    snapped = window.snapped(step)
    assert window in snapped
    assert all(n % step == 0 for n in (snapped.row, snapped.col, snapped.height, snapped.width))
    assert snapped.height < window.height + 2 * step
    assert snapped.width < window.width + 2 * step


def test_half_precision_is_tried_where_it_is_faster():
    arch = patch_weights().card.arch
    assert half_types(arch, torch.device("cuda")) == (torch.float16, torch.bfloat16)
    fast = devices.fast_bfloat16(torch.device("cpu"))
    assert half_types(arch, torch.device("cpu")) == ((torch.bfloat16,) if fast else ())
    assert half_types(replace(arch, blocks=0), torch.device("cpu")) == ()
