import functools
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import torch
from files import read, write
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import sample_scene, scene_of, smooth_scene

from ssdiff_core.classical.engine import ClassicalEngine
from ssdiff_core.classical.ms_samples import MsSamples
from ssdiff_core.classical.resample import take_rows
from ssdiff_core.classical.scene_statistics import Survey
from ssdiff_core.classical.scene_sums import Histogram, Moments, nonnegative
from ssdiff_core.common.errors import BlockError, ConfigError
from ssdiff_core.domain.block import SceneStats
from ssdiff_core.domain.fill import fill_masked
from ssdiff_core.domain.kernels import KERNELS, REACH, interpolation
from ssdiff_core.domain.methods import BASES
from ssdiff_core.domain.methods import CLASSICAL as METHODS
from ssdiff_core.domain.pixel_type import PixelType
from ssdiff_core.fusion import network_inputs
from ssdiff_core.fusion.tiles import Grid, Window


def base_of(block, name="mtf-glp-fs", kernel="cubic"):
    pan = torch.from_numpy(block.pan)
    lms = network_inputs.upsample(block, torch.from_numpy(block.ms), kernel)
    return network_inputs.base_image(name, block, pan, lms, kernel)


@pytest.mark.parametrize(("ratio", "ms_at"), [(4, (1.5, 1.5)), (4, (2.0, 2.0)), (2, (0.0, 0.5)), (4, (-0.83, 3.1))])
@pytest.mark.parametrize("base", BASES)
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
    low = network_inputs.pan_through_ms(
        scene_of(sharp, np.zeros((1, 50, 50), np.float32)), torch.from_numpy(sharp), (0.3,), "cubic"
    )[0]
    factors = np.array([0.5, 2.0], np.float32)
    ms = np.stack([f * low.numpy()[2::4, 2::4] for f in factors])  # sampled well enough for gains
    gains = scene_of(sharp, ms, ms_at=(2.0, 2.0)).stats.gains
    assert gains[1] / gains[0] == pytest.approx(4, rel=1e-4)


def test_a_base_does_not_depend_on_the_block():
    whole = smooth_scene(180, 200)
    fused = base_of(whole)
    reach = network_inputs.base_reach("mtf-glp-fs", 4, "cubic")
    core = Window(70, 90, 30, 41)
    part = whole.crop(core, reach, 4)
    assert part.window.shape != whole.window.shape
    there = base_of(part)[(slice(None), *core.within(part.window))]
    assert torch.allclose(there, fused[(slice(None), *core.within(whole.window))], atol=1e-2)


@pytest.mark.parametrize("kernel", KERNELS)
def test_interpolation_needs_its_reach_of_ms_around_a_block(kernel):
    whole, core = smooth_scene(200, 200), Window(90, 94, 20, 20)
    expected = network_inputs.upsample(whole, torch.from_numpy(whole.ms), kernel)[:, 90:110, 94:114]

    def error(halo):
        part = whole.crop(core, 0, halo)
        return (network_inputs.upsample(part, torch.from_numpy(part.ms), kernel) - expected).abs().max()

    assert error(REACH[kernel]) < 1e-3
    assert error(0) > 1


def test_statistics_of_a_scene_scale_with_its_counts():
    scene = smooth_scene()
    brighter = scene_of(scene.pan * 7, scene.ms * 7)
    assert brighter.stats.scale == pytest.approx(7 * scene.stats.scale, rel=3e-4)  # 13 binary digits
    assert brighter.stats.gains == pytest.approx(scene.stats.gains, rel=1e-4)


def test_a_flat_pan_adds_nothing():
    scene = smooth_scene()
    flat = scene_of(np.full_like(scene.pan, 300), scene.ms)
    assert torch.equal(base_of(flat, "lms"), base_of(flat)) or (base_of(flat) - base_of(flat, "lms")).abs().max() < 1e-2


def test_masked_pixels_do_not_affect_the_statistics():
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
    empty = network_inputs.fitted(replace(scene, ms=np.full_like(scene.ms, np.nan)), (0.3,) * 4)
    nothing = (0.0,) * 5
    assert empty.stats == SceneStats(1.0, nothing, nothing, (0.0,) * 4, (0.3,) * 4, limits=((0.0, 0.0),) * 4)


# --- engines ---------------------------------------------------------------------------------------------------------

MTF = (0.34, 0.32, 0.30, 0.22) * 4


def pieces(block, side, engine):
    """Yields the block in cores of that size, each with the margin that the engine requires."""
    cores = Grid(side, side).cover(block.core, side)
    return [block.crop(core, engine.reach, engine.ms_halo) for core in cores]


def surveyed(block, engine, side=10_000):
    survey = engine.survey(MTF[: len(block.ms)])
    sums = functools.reduce(lambda a, b: a + b, (survey.gather(part) for part in pieces(block, side, survey)))
    return replace(block, stats=survey.stats(sums))


def fused(block, method, **how):
    engine = ClassicalEngine(method, block.ratio, **how)
    return engine.fuse(surveyed(block, engine))


def with_holes(block):
    valid = np.ones(block.pan.shape, bool)
    valid[40:75, 60:64] = valid[:9, :] = False
    ms = block.ms.copy()
    ms[1, 20:24, 8:15] = np.nan
    return replace(block, valid=valid, ms=ms)


def at_a_ratio(ratio, seed=3):
    """A scene whose ratio is odd or not a whole number, and whose MS begins outside PAN."""
    rng = np.random.default_rng(seed)
    pan = 500 + np.cumsum(rng.normal(0, 10, (120, 130)), axis=1).astype(np.float32)
    ms = (500 + np.cumsum(rng.normal(0, 20, (3, 60, 65)), axis=2)).astype(np.float32)
    return scene_of(pan, ms, ms_at=(-1.3, 0.4), ratio=ratio)


@pytest.mark.parametrize(
    ("scene", "kernel"),
    [
        (smooth_scene(150, 170), "cubic"),
        (smooth_scene(150, 170, origin=(1001, 2003)), "23tap"),
        (with_holes(smooth_scene(150, 170)), "cubic"),
        (at_a_ratio(3), "cubic"),
        (at_a_ratio(2.5), "cubic"),
    ],
    ids=["plain", "23tap", "holes", "ratio 3", "ratio 2.5"],
)
@pytest.mark.parametrize("method", METHODS)
def test_the_division_into_blocks_does_not_matter(method, scene, kernel):
    engine = ClassicalEngine(method, scene.ratio, kernel)
    whole = engine.fuse(surveyed(scene, engine))
    cut = surveyed(scene, engine, side=61)
    answer = np.full_like(whole, -1)
    for part in pieces(cut, 53, engine):
        answer[(slice(None), *part.core.within(scene.window))] = engine.fuse(part)
    np.testing.assert_allclose(answer, whole, rtol=1e-4, atol=0.02)


@pytest.mark.parametrize("method", METHODS)
def test_each_pixel_and_sample_is_counted_once(method):
    scene = with_holes(smooth_scene(150, 170, origin=(7, 9)))
    survey = ClassicalEngine(method).survey(MTF[:4])
    whole = survey.gather(scene)
    parts = [survey.gather(part) for part in pieces(scene, 47, survey)]
    added = functools.reduce(lambda a, b: a + b, parts)
    backwards = functools.reduce(lambda a, b: b + a, parts)
    for one, other in ((added, whole), (backwards, whole)):
        for a, b in ((one.fine, other.fine), (one.coarse, other.coarse)):
            assert a.count == b.count
            np.testing.assert_allclose(a.left, b.left, rtol=1e-6)
            np.testing.assert_allclose(a.co, b.co, rtol=1e-4, atol=1e-5 * np.abs(b.co).max(initial=0))
        for a, b in zip(one.values, other.values):
            assert np.array_equal(a.keys, b.keys)
            assert np.array_equal(a.counts, b.counts)
    assert whole.coarse.count < 38 * 43


@pytest.mark.parametrize("method", METHODS)
def test_masked_pixels_affect_no_others_and_become_nan(method):
    scene = with_holes(smooth_scene(150, 170))
    pan = np.where(scene.valid, scene.pan, np.float32(1e6))
    other = replace(scene, pan=pan)
    one, two = fused(scene, method), fused(other, method)
    assert np.array_equal(one, two, equal_nan=True)
    pan_ok, ms_ok = scene.masks()
    ok = pan_ok & scene.nearest_on_ms(ms_ok)
    assert np.array_equal(np.isfinite(one), np.broadcast_to(ok, one.shape))


@pytest.mark.parametrize("method", METHODS)
def test_a_scene_without_a_valid_pixel_is_all_nan(method):
    scene = smooth_scene(40, 60)
    assert np.isnan(fused(replace(scene, valid=np.zeros(scene.pan.shape, bool)), method)).all()
    assert np.isnan(fused(replace(scene, ms=np.full_like(scene.ms, np.nan)), method)).all()


def ordinary(bands=4, samples=40, seed=0):
    """PAN and MS of the same ground, in counts of 11 bits."""
    rng = np.random.default_rng(seed)
    coarse = rng.gamma(2, 200, (bands, samples, samples)).clip(20, 2047)
    fine = np.kron(coarse.mean(0), np.ones((4, 4))) + rng.normal(0, 60, (4 * samples, 4 * samples))
    return fine.clip(1, 2047), coarse


def dark(bands):
    """Bands without haze are near 0 in shadow, and below 0 where cubic interpolation overshoots."""
    rng = np.random.default_rng(bands)
    ms = rng.gamma(0.2, 30, (bands, 40, 40))
    ms[:, 5:15, 5:15] = rng.normal(0, 1e-4, (bands, 10, 10))
    ms[0, 20:, :] = 0
    return np.kron(ms.mean(0), np.ones((4, 4))) + rng.gamma(1, 1, (160, 160)), ms


def haze_corrected():
    """Zeros, and values below zero."""
    pan, ms = ordinary()
    return pan - np.quantile(pan, 0.05), ms - np.quantile(ms, 0.05, axis=(1, 2), keepdims=True)


def with_a_constant_band():
    pan, ms = ordinary()
    ms[2] = 500
    return pan, ms


def saturated():
    pan, ms = ordinary()
    pan[40:100, 40:100], ms[:, 10:25, 10:25] = 2047, 2047
    return pan, ms


def unrelated():
    return np.random.default_rng(9).gamma(2, 200, (160, 160)), ordinary()[1]


HARD = {
    **{f"dark, {bands} bands": functools.partial(dark, bands) for bands in (1, 4, 8, 16)},
    **{f"{bands} bands": functools.partial(ordinary, bands) for bands in (1, 16)},
    **{f"{samples} samples": functools.partial(ordinary, 4, samples) for samples in (2, 8)},
    "haze-corrected": haze_corrected,
    "constant PAN": lambda: (np.full((160, 160), 300.0), ordinary()[1]),
    "a constant band": with_a_constant_band,
    "saturated": saturated,
    "PAN unrelated to MS": unrelated,
}


@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize("method", METHODS)
def test_results_stay_near_the_range_of_the_inputs(method, name):
    """The result is finite wherever the inputs are valid, and exceeds their range by little more than its width."""
    pan, ms = (image.astype(np.float32) for image in HARD[name]())
    answer = fused(scene_of(pan, ms), method)
    low, high = min(pan.min(), ms.min()), max(pan.max(), ms.max())
    room = 1.01 * (high - low)
    assert np.isfinite(answer).all()
    assert low - room < answer.min() <= answer.max() < high + room


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0, 300])
def test_a_scene_without_detail_stays_as_it_is(method, value):
    scene = scene_of(np.full((64, 64), value, np.float32), np.full((4, 16, 16), value, np.float32))
    np.testing.assert_allclose(fused(scene, method), np.full((4, 64, 64), value), atol=0.01)


@pytest.mark.parametrize("method", ["gsa", "mtf-glp-fs", "mtf-glp-hpm", "bt-h"])
def test_a_constant_pan_adds_no_detail(method):
    scene = smooth_scene()
    flat = replace(scene, pan=np.full_like(scene.pan, 300))
    np.testing.assert_allclose(fused(flat, method), fused(flat, "exp"), atol=0.05)


@pytest.mark.parametrize(
    ("ratio", "ms_at"), [(4, (1.5, 1.5)), (4, (2.0, 2.0)), (2, (0.0, 0.5)), (4, (-0.83, 3.1)), (3, (1.0, 1.0))]
)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_keeps_a_ramp(method, ratio, ms_at):
    """All bands are one ramp, up to a factor: half a pixel of error would show as half a count or more."""
    rows, cols = np.mgrid[:240, :240].astype(np.float32)
    m = np.arange(240 // ratio) * ratio
    ms = 900 + (m[:, None] + ms_at[0]) * 1.0 + (m + ms_at[1]) * 2.0
    ramp = 900 + rows + 2 * cols
    factors = [1, 1] if method == "brovey" else [1, 2]
    block = scene_of(ramp, np.stack([f * ms for f in factors]).astype(np.float32), ms_at=ms_at)
    error = fused(block, method) - np.stack([f * ramp for f in factors])
    assert np.abs(error[:, 60:-60, 60:-60]).max() < 0.25


@pytest.mark.parametrize("method", [m for m in METHODS if m not in ("exp", "brovey")])
def test_every_method_is_better_than_interpolation_on_a_real_scene(method):
    """The scene is degraded by averaging, so that MS is the reference."""
    scene = sample_scene()
    bands, h, w = scene.ms.shape
    h, w = h // 4 * 4, w // 4 * 4
    truth = scene.ms[:, :h, :w]
    pan = scene.pan[: 4 * h, : 4 * w].reshape(h, 4, w, 4).mean((1, 3))
    reduced = scene_of(pan, truth.reshape(bands, h // 4, 4, w // 4, 4).mean((2, 4)))

    def error(name):
        return np.sqrt(((fused(reduced, name) - truth) ** 2).mean())

    assert error(method) < 0.95 * error("exp")


def test_the_engine_and_the_base_of_a_network_agree():
    scene, survey = smooth_scene(160, 160), Survey("lms", MTF[:4])
    np.testing.assert_allclose(ClassicalEngine("mtf-glp-fs").fuse(scene), base_of(scene).numpy(), atol=0.02)
    assert survey.stats(survey.gather(scene)).scale == pytest.approx(scene.stats.scale, rel=3e-4)


VIEWING = Survey("mtf-glp-fs", MTF[:4], views=("bt-h",))


@pytest.mark.parametrize("holes", [False, True])
def test_one_pass_fits_base_and_views_like_separate_passes(holes):
    scene = with_holes(smooth_scene(150, 170)) if holes else smooth_scene(150, 170)
    of_base, of_view = (ClassicalEngine(method).survey(MTF[:4]) for method in ("mtf-glp-fs", "bt-h"))
    both, base, view = (survey.stats(survey.gather(scene)) for survey in (VIEWING, of_base, of_view))
    assert (both.haze, both.limits, both.mtf) == (view.haze, base.limits, base.mtf)
    near = 0.01 if holes else 1e-6  # a sample counts if all who look at it know it
    for stats, names in ((view, ("weights", "match", "caps")), (base, ("gains", "means", "deviations"))):
        for name in names:
            np.testing.assert_allclose(getattr(both, name), getattr(stats, name), rtol=near)


def test_network_inputs_do_not_depend_on_the_blocks_of_the_pass():
    scene = with_holes(smooth_scene(150, 170))
    whole = VIEWING.stats(VIEWING.gather(scene))
    cut = VIEWING.stats(functools.reduce(lambda a, b: a + b, map(VIEWING.gather, pieces(scene, 61, VIEWING))))
    for name in ("gains", "means", "deviations", "haze", "weights", "match", "caps"):
        np.testing.assert_allclose(getattr(cut, name), getattr(whole, name), rtol=1e-5)


@pytest.mark.parametrize("scene", [smooth_scene(150, 170), with_holes(smooth_scene(150, 170)), at_a_ratio(2.5)])
def test_the_engine_and_the_view_of_a_network_agree(scene):
    engine = ClassicalEngine("bt-h", scene.ratio)
    scene = surveyed(scene, engine)
    scene = replace(scene, stats=replace(scene.stats, limits=()))  # a view is not held to them
    pan_ok, ms_ok = scene.masks()
    ms = torch.from_numpy(fill_masked(scene.ms, ms_ok, REACH["cubic"]))
    seen = network_inputs.bt_h(scene, torch.from_numpy(np.where(pan_ok, scene.pan, 0)), ms, "cubic").numpy()
    expected = engine.fuse(scene)
    np.testing.assert_allclose(np.where(np.isnan(expected), np.nan, seen), expected, atol=0.02)


def test_a_view_is_black_where_ms_is_black():
    scene = smooth_scene(150, 170)
    darkest = scene.ms.min((1, 2)) - 0.3
    scene.ms[:, 10:25, 10:25] = darkest[:, None, None]
    scene = surveyed(scene, ClassicalEngine("bt-h"))
    stats = replace(scene.stats, haze=tuple(map(float, darkest)))  # to the last bit
    seen = network_inputs.bt_h(replace(scene, stats=stats), *map(torch.from_numpy, (scene.pan, scene.ms)), "cubic")
    assert (seen[:, 48:92, 48:92] == torch.from_numpy(darkest)[:, None, None]).all()


def test_the_error_of_an_unknown_method_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"unknown method 'no-such-method'; .* are exp, brovey, gsa"):
        ClassicalEngine("no-such-method")


def test_a_method_without_its_statistics_is_an_error():
    scene = replace(smooth_scene(40, 40), stats=SceneStats())
    for method in METHODS:
        if ClassicalEngine(method).needs_survey:
            with pytest.raises(BlockError, match="statistics"):
                ClassicalEngine(method).fuse(scene)
        else:
            assert ClassicalEngine(method).fuse(scene).shape == (4, 40, 40)
    with pytest.raises(BlockError, match="weights"):
        ClassicalEngine("brovey", weights=(1.0, 2.0)).fuse(scene)
    with pytest.raises(ConfigError, match="MTF"):
        Survey("gsa", (0.3, 1.2))


def test_progress_reaches_the_end_and_integers_are_taken_as_they_are():
    scene, heard = smooth_scene(300, 60), []
    counts = replace(scene, pan=scene.pan.astype(np.uint16), ms=scene.ms.astype(np.uint16))
    answer = ClassicalEngine("exp").fuse(counts, heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 1
    np.testing.assert_allclose(answer, ClassicalEngine("exp").fuse(scene), atol=2)


@pytest.mark.parametrize("weights", [(), (0.2, 0.5, 0.3)])
def test_brovey_agrees_with_gdal(tmp_path, weights):
    """Without the border, which the two extend differently."""
    rng = np.random.default_rng(5)
    r, c = np.mgrid[:200, :240]
    pan = (500 + 200 * np.sin(r / 3) * np.cos(c / 5) + rng.normal(0, 20, (200, 240))).astype(np.uint16)
    ms = np.stack([pan.reshape(50, 4, 60, 4).mean((1, 3)) * f for f in (0.7, 1.0, 1.4)])
    ms = (ms + rng.normal(0, 20, ms.shape)).clip(1).astype(np.uint16)
    at = 500_000.0, 0.5, 0.0, 4_000_000.0, 0.0, -0.5
    files = [write(tmp_path / "pan.tif", pan, at), write(tmp_path / "ms.tif", ms, (at[0], 2.0, 0.0, at[3], 0.0, -2.0))]
    options = [word for weight in weights for word in ("-w", str(weight))]
    command = ["gdal_pansharpen.py", "-q", *options, *map(str, files), str(tmp_path / "out.tif")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    theirs = read(tmp_path / "out.tif").astype(float)
    ours = np.rint(fused(scene_of(pan, ms), "brovey", weights=weights))
    assert np.abs(ours - theirs)[:, 8:-8, 8:-8].max() <= 1


def test_brovey_with_a_zero_weight_is_bounded():
    ms = np.zeros((4, 10, 10), np.float32)
    ms[3] = 1000
    scene = scene_of(np.full((40, 40), 5, np.float32), ms)
    answer = fused(scene, "brovey", weights=(1, 1, 1, 0))
    assert 0 <= answer.min() <= answer.max() < 2000


# --- what they are made of -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("ratio", [2, 3, 4, 2.7])
def test_strips_give_the_result_of_the_whole_matrix(kernel, ratio):
    scene = replace(at_a_ratio(ratio), core=Window(11, 5, 100, 120))
    ground = MsSamples(scene, kernel)
    rows = np.arange(11, 111)
    expected = interpolation(scene.on_ms(rows, 0), 60, kernel) @ scene.ms
    read_at = take_rows(ground.up[0], ground.ms)
    here = ground.cols.tolist().index(5)
    np.testing.assert_allclose(read_at[:, :, here], expected[:, :, 5], rtol=1e-5)


def test_transposed_resampling_is_the_transpose():
    scene = replace(smooth_scene(), core=Window(20, 31, 97, 101))
    ground = MsSamples(scene, "cubic")
    image = np.random.default_rng(0).normal(size=(97, 101)).astype(np.float32)
    lms = network_inputs.upsample(scene, torch.from_numpy(scene.ms), "cubic").numpy()[:, 20:117, 31:132]
    read_sum = (lms * image).sum((1, 2), np.float64)
    given_sum = (ground.ms * ground.contributions(image)).sum((1, 2), np.float64)
    assert given_sum == pytest.approx(read_sum, rel=1e-4, abs=1)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9), st.integers(0, 2**32 - 1), st.booleans())
def test_the_nonnegative_fit_is_the_best_there_is(n, seed, alike):
    """Karush-Kuhn-Tucker conditions: the gradient is 0 where x > 0, and not negative where x is 0."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(40, n)) * rng.uniform(0.1, 100, n) + rng.uniform(0, 3)
    if alike and n > 1:
        values[:, -1] = values[:, 0]
    target = rng.normal(size=40) * 10
    x = nonnegative(values.T @ values, values.T @ target)
    pull = values.T @ (target - values @ x) / np.linalg.norm(values, axis=0) / np.linalg.norm(target)
    assert (x >= 0).all()
    assert pull.max() < 1e-7
    assert np.abs(pull[x > 0]).max(initial=0) < 1e-7


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-8191, 8191), min_size=1, max_size=50), st.floats(0, 1), st.integers(0, 50))
def test_quantiles_are_numpys_however_the_values_come(values, share, cut):
    values = np.array(values)
    added = Histogram.of(values[:cut]) + Histogram.of(values[cut:])
    assert added.quantile(share) == pytest.approx(np.quantile(values, share), abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 30), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_moments_add_up_far_from_zero(first, second, seed):
    values = np.random.default_rng(seed).normal(size=(3, first + second)) + 1e6
    added, whole = Moments.of(values[:, :first]) + Moments.of(values[:, first:]), Moments.of(values)
    assert added.count == whole.count
    np.testing.assert_allclose(added.left, whole.left, rtol=1e-15)
    np.testing.assert_allclose(added.co, whole.co, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_threads_do_not_change_a_pixel(method):
    scene = with_holes(smooth_scene(150, 170))
    block, kind = surveyed(scene, ClassicalEngine(method)), PixelType("uint16", 0)
    ((one, sums),) = ClassicalEngine(method).fuse_counts(block, [kind])
    ((other, their_sums),) = ClassicalEngine(method, threads=3).fuse_counts(block, [kind])
    assert np.array_equal(one, other)
    assert sums == their_sums
