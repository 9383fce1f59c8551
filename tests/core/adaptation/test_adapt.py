"""The parts of adaptation: the split, degraded pairs, masks, samples, the native check and the transfer of bands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from adapting import TINY, base_weights, pair_of_files
from files import ramps, write
from scenes import stiff_weights, with_views
from torch.nn.functional import avg_pool2d

from ssdiff_core.adaptation import adapt, native_check, quality_mask, scene_source, window_selection
from ssdiff_core.adaptation.native_check import NativeCheck
from ssdiff_core.adaptation.scene_source import SceneSource, padded_to_tile, randomly_rotated
from ssdiff_core.adaptation.split import split_scenes
from ssdiff_core.adaptation.wald_pair import Optics, make_pair, read_piece
from ssdiff_core.domain import registration, sensors
from ssdiff_core.domain.adaptation_job import Job
from ssdiff_core.domain.window import Window
from ssdiff_core.fusion import network_inputs
from ssdiff_core.metrics.degradation import layout_of
from ssdiff_core.model import band_transfer, checkpoint
from ssdiff_core.model.ssnet import state_of
from ssdiff_core.raster.open_pair import align_pair
from ssdiff_core.raster.reader import Reader, open_scene
from ssdiff_core.training.recipe import Recipe, Stage
from ssdiff_core.training.trainer import Trainer

SENSOR = sensors.get("gf2")


def job_for(**more) -> Job:
    return Job("tiny", SENSOR, **more)


RECIPE = Recipe("own", ("gf2",), SENSOR.bands, SENSOR.wavelengths, stages=(Stage(16, 16, 4),), net=TINY)


def source_of(folder, recipe=None, **scene) -> SceneSource:
    opened = open_scene(*pair_of_files(folder, **scene))
    train, held = split_scenes([opened], [Reader(opened)], job_for(), lambda text: None)
    return SceneSource(train, held, SENSOR, recipe or RECIPE)


def pool_of(source: SceneSource) -> dict:
    return next(source.pools(0, 16))


def same(one: dict, other: dict) -> bool:
    return all(torch.equal(one[key].nan_to_num(7), other[key].nan_to_num(7)) for key in one)


# --- what is held out ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(64, 64), (80, 100), (300, 90), (1000, 700), (5000, 3000)])
def test_the_held_out_strip_is_separated_from_the_training_windows(shape):
    part = Window(3, 5, *shape)
    for strip in window_selection.candidate_strips(part):
        assert strip in Window(0, 0, *shape)
        assert max(strip.shape) == min(shape) or strip.height * strip.width >= 0.19 * shape[0] * shape[1]
        beside = [
            window
            for left in window_selection.remaining_parts(part, strip)
            for window in window_selection.windows(left)
        ]
        assert sum(window.height * window.width for window in beside) > 0.5 * shape[0] * shape[1]
        for window in beside:
            assert window in Window(0, 0, *shape)
            assert not window.grow(window_selection.GAP) & strip


def test_a_pair_does_not_depend_on_pixels_outside_its_piece(tmp_path):
    window, rest = Window(20, 24, 40, 48), slice(None)

    def other_surroundings(pan, ms):
        kept = pan[80:240, 96:288].copy(), ms[:, 20:60, 24:72].copy()
        pan[:], ms[:] = 777, 333
        pan[80:240, 96:288], ms[:, 20:60, 24:72] = kept

    made = []
    for name, change in (("a", None), ("b", other_surroundings)):
        scene = open_scene(*pair_of_files(tmp_path / name, 320, 400, change=change))
        piece = read_piece(Reader(scene), scene, layout_of(scene), window)
        made.append(make_pair(piece, Optics(SENSOR.mtf, SENSOR.pan_mtf)))
    np.testing.assert_array_equal(made[0].block.pan, made[1].block.pan)
    np.testing.assert_array_equal(made[0].block.ms, made[1].block.ms)
    np.testing.assert_array_equal(made[0].truth, made[1].truth)
    assert np.isfinite(made[0].truth[rest, 4:-4, 4:-4]).all()
    assert np.isnan(made[0].truth[rest, :4]).all()


def test_training_samples_do_not_depend_on_the_held_out_pieces(tmp_path):
    source = source_of(tmp_path / "a")
    strange = [replace(piece, ms=piece.ms[:, ::-1] + 50, pan=piece.pan[::-1] * 2) for piece in source._held_out]
    other = SceneSource(source._pieces, strange, SENSOR, RECIPE)
    assert same(pool_of(source), pool_of(other))
    assert not np.array_equal(source._held_out_pairs[0].truth, other._held_out_pairs[0].truth)


# --- pairs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [(1.5, 1.5), (2.0, 2.0), (0.25, 3.0)])
def test_a_pair_has_the_phase_of_its_scene(tmp_path, at):
    """On a ramp, an error of the phase changes the counts."""
    pan, ms, pan_at, ms_at = ramps(320, 400, at=at)
    tmp_path.joinpath("ramps").mkdir()
    scene = open_scene(write(tmp_path / "pan.tif", pan, pan_at), write(tmp_path / "ms.tif", ms, ms_at))
    made = make_pair(read_piece(Reader(scene), scene, layout_of(scene), Window(4, 8, 60, 64)), Optics((0.3,) * 3, 0.15))
    assert made.block.ms_at == pytest.approx(at)
    inner = (slice(None), slice(16, -16), slice(16, -16))
    lms = network_inputs.upsample(made.block, torch.from_numpy(made.block.ms), "cubic").numpy()
    np.testing.assert_allclose(lms[inner], made.truth[inner], atol=0.02)
    np.testing.assert_allclose(made.block.pan[inner[1:]], made.truth[0][inner[1:]], atol=0.02)


def test_after_alignment_a_pair_has_no_shift(tmp_path):
    files = pair_of_files(tmp_path / "scene", 640, 640, at=1.0)  # two PAN pixels
    as_is = open_scene(*files)
    found = []
    for scene in (as_is, align_pair(as_is, "auto", lambda text: None)):
        made = make_pair(
            read_piece(Reader(scene), scene, layout_of(scene), Window(0, 0, 150, 150)), Optics(SENSOR.mtf, 0.15)
        )
        found.append(registration.shift(made.block.pan, made.block.ms, made.block.ms_at, 4))
    assert found[0].cols == pytest.approx(2 / 4, abs=0.1)
    assert (found[1].rows, found[1].cols) == pytest.approx((0, 0), abs=0.1)


def test_saturated_cloudy_and_missing_pixels_are_excluded_from_training(tmp_path):
    def change(pan, ms):
        ms[:, 8:40, 60:92] = 9000 + np.arange(32)  # a cloud
        pan[40:60, 40:60] = 0
        ms[2, 50:54, 20:24] = 8000
        ms[2, 70, 30] = 60000
        pan[300:310, 200:210] = 65535

    opened = open_scene(*pair_of_files(tmp_path / "scene", 400, 400, change=change))
    cells = window_selection.survey_cells(Reader(opened), opened, layout_of(opened), SENSOR.wavelengths)
    assert 0 < cells.cloud.mean() < 0.3
    whole = read_piece(Reader(opened), opened, layout_of(opened), Window(0, 0, 100, 100))
    (piece,) = quality_mask.with_quality_masks([whole], SENSOR, cells.limits)
    truth = make_pair(piece, Optics(SENSOR.mtf, SENSOR.pan_mtf)).truth[0]
    learnt = np.isfinite(truth)
    assert not learnt[16:32, 64:80].any()
    assert not learnt[10:15, 10:15].any()
    assert not learnt[75:77, 50:52].any()
    assert learnt[50:54, 20:24].all()
    assert 0.5 < learnt.mean() < 0.84


def test_a_scene_that_is_bright_everywhere_is_not_cloud():
    means = np.random.default_rng(0).uniform(200, 300, (40, 4))
    means[5:] += 5000
    assert not quality_mask.cloud_mask(means.T, quality_mask.cloud_limits(means)).any()
    means[5:] -= 5000
    means[:3] += 5000
    assert quality_mask.cloud_mask(means.T, quality_mask.cloud_limits(means)).tolist() == [True] * 3 + [False] * 37


def test_no_window_is_chosen_where_no_cell_is_usable():
    """As in an archive's scene of which only a corner has content."""
    positions = np.argwhere(np.ones((40, 40))) * 32
    empty = window_selection.Cells(positions, np.full((1600, 4), np.nan), np.zeros(1600), np.full(4, np.inf))
    candidates = window_selection.windows(Window(0, 0, 1280, 1280))
    assert window_selection.choose_windows(candidates, empty, 3) == []


def test_the_chosen_windows_represent_all_kinds_of_content():
    kinds = np.repeat([[0.0, 0.0], [5.0, 5.0], [9.0, 0.0]], [30, 5, 2], axis=0)
    points = kinds + np.random.default_rng(1).normal(0, 0.1, kinds.shape)
    found = window_selection.representatives(points, 6)
    assert {0 if i < 30 else 1 if i < 35 else 2 for i in found} == {0, 1, 2}


def test_all_images_of_a_tile_are_rotated_together():
    rows, cols = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    fine = torch.stack([rows, cols]).expand(20, -1, -1, -1).clone()
    tiles = {"pan": fine, "lms": fine + 1, "residual": fine + 2, "ms": torch.nn.functional.avg_pool2d(fine, 4)}
    out = randomly_rotated(tiles, np.random.default_rng(0))
    assert torch.equal(out["lms"], out["pan"] + 1)
    assert torch.equal(out["residual"], out["pan"] + 2)
    assert torch.equal(out["ms"], torch.nn.functional.avg_pool2d(out["pan"], 4))
    assert len({tuple(tile.flatten().tolist()) for tile in out["pan"]}) == 8


def test_a_piece_smaller_than_a_tile_is_padded_with_pixels_that_are_not_trained_on():
    image = torch.arange(60.0).view(1, 6, 10).repeat_interleave(2, 1)[:, :12]
    seen = {key: image.clone() for key in ("pan", "lms", "residual")} | {"ms": image[:, ::4, :8:4]}
    out = padded_to_tile(seen, 16, 4)
    assert out["pan"].shape == (1, 20, 16)
    assert torch.equal(out["pan"][0, 4:16, 4:12], image[0, :, :8])
    assert torch.equal(out["pan"][0, :4], out["pan"][0, 4:8].flip(0))
    assert out["ms"].shape == (1, 5, 4)
    assert out["residual"].isfinite().sum() == 12 * 8


# --- at native resolution --------------------------------------------------------------------------------------------


def test_some_samples_are_at_native_resolution_with_the_initial_fusion_as_target(tmp_path):
    source = source_of(tmp_path / "scene")
    count = len(pool_of(source)["pan"])
    (block,) = native_check.blocks_of(source._pieces, source.survey)
    source.add_anchors([np.full((4, *block.pan.shape), 1e6, np.float32)], [block])
    pool = pool_of(source)
    strange = (pool["residual"].nan_to_num(0).abs() > 1000).flatten(1).any(1)
    assert strange.sum() == np.ceil(scene_source.ANCHOR_SHARES[1] * count)
    assert len(strange) == count + strange.sum()


def test_the_centre_of_a_piece_keeps_its_position(tmp_path, monkeypatch):
    """On a ramp, an error of the phase changes the counts."""
    monkeypatch.setattr(native_check, "BLOCK_SIDE", 30)
    pan, ms, pan_at, ms_at = ramps(320, 400, at=(0.25, 3.0))
    scene = open_scene(write(tmp_path / "pan.tif", pan, pan_at), write(tmp_path / "ms.tif", ms, ms_at))
    piece = read_piece(Reader(scene), scene, layout_of(scene), Window(4, 8, 60, 64))
    block = native_check.whole_block(native_check.centre_crop(piece))
    assert block.ms.shape == (3, 30, 30)
    assert block.pan.shape == (120, 120)
    lms = network_inputs.upsample(block, torch.from_numpy(block.ms), "cubic").numpy()
    np.testing.assert_allclose(lms[0, 16:-16, 16:-16], block.pan[16:-16, 16:-16], atol=0.02)


@pytest.mark.parametrize(
    ("after", "accepted"),
    [
        ({"HQNR": 0.9, "D_rho": 0.1}, True),
        ({"HQNR": 0.95, "D_rho": 0.05}, True),
        ({"HQNR": 0.88, "D_rho": 0.05}, False),
        ({"HQNR": 0.95, "D_rho": 0.11}, False),
        ({}, True),
    ],
)
def test_worse_scores_at_native_resolution_are_not_accepted(after, accepted):
    assert native_check.NativeCheck([], [], {"HQNR": 0.9, "D_rho": 0.1}, SENSOR).accepts(after) is accepted


def test_a_fusion_that_is_worse_at_native_resolution_is_no_target(tmp_path):
    path, device = base_weights(tmp_path, tile=16, off=0.0), torch.device("cpu")
    base, job = checkpoint.load(path), job_for(base=str(path), working=str(tmp_path / "own.safetensors"))
    source = source_of(tmp_path / "scene", adapt.recipe_of(job, base))
    native = NativeCheck.create(source._held_out, SENSOR, source.survey, *adapt.initial_fusion(job, base, device))
    rng = np.random.default_rng(0)
    noisy = [image + rng.normal(0, image.std(), image.shape).astype(np.float32) for image in native.images]
    similar = [image + np.float32(1e-3) for image in native.images]
    assert native.target(noisy) is native.images
    assert native.target(similar) is similar


# --- bands -----------------------------------------------------------------------------------------------------------


def test_bands_start_from_the_nearest_by_wavelength():
    four, eight = sensors.get("gf2"), sensors.get("wv3")
    assert band_transfer.sources(8, eight.wavelengths, 4, four.wavelengths) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert band_transfer.sources(3, (), 4, four.wavelengths) == [0, 1, 2]
    assert band_transfer.sources(6, (), 4, ()) == [0, 0, 1, 2, 2, 3]


def test_weights_transferred_to_another_ratio_give_the_mean_over_each_ms_sample():
    weights_of = stiff_weights(bands=4, tile=32)
    names, ms = ("a", "b", "c", "d"), torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    half = band_transfer.fitted(weights_of, names, (), 2)
    assert (half.card.ratio, half.card.arch.ratio, half.card.ms_phase) == (2, 2, 0.5)
    with torch.inference_mode():
        expected = avg_pool2d(weights_of.net.skip(ms), 2)
        assert expected.abs().max() > 0.01
        assert torch.allclose(half.net.skip(ms), expected, atol=1e-5)
        again = band_transfer.fitted(band_transfer.fitted(half, names, (), 4), names, (), 2)
        assert torch.allclose(again.net.skip(ms), expected, atol=1e-5)


@pytest.mark.parametrize("views", [(), ("bt-h",)])
def test_weights_transferred_to_more_bands_give_the_same_result_on_identical_bands(views):
    weights_of = stiff_weights(bands=4, tile=32)
    weights_of = replace(weights_of, card=replace(weights_of.card, wavelengths_nm=(480, 550, 660, 830)))
    weights_of = with_views(weights_of) if views else weights_of
    wide = band_transfer.fitted(weights_of, [f"b{i}" for i in range(6)], (440, 480, 550, 660, 830, 900))
    source = [0, 0, 1, 2, 3, 3]
    torch.manual_seed(1)
    shape = {"x_t": (4, 32, 32), "lms": (4, 32, 32), "pan": (len(weights_of.card.arch.seen), 32, 32), "ms": (4, 8, 8)}
    given = {name: torch.randn(2, *size) for name, size in shape.items()}
    guides = weights_of.card.arch.guides
    views_of = [part[:, source] for part in given["pan"][:, guides:].split(4, 1)] if views else []
    taken = {name: given[name][:, source] for name in ("x_t", "lms", "ms")}
    taken["pan"] = torch.cat([given["pan"][:, :guides], *views_of], 1)
    t = torch.tensor([999])
    with torch.inference_mode():
        expected = weights_of.net(given["x_t"], t, given["lms"], given["pan"], given["ms"])[:, source]
        answer = wide.net(taken["x_t"], t, taken["lms"], taken["pan"], taken["ms"])
    assert expected.abs().max() > 0.01
    assert torch.allclose(answer, expected, atol=1e-4)


# --- how much is kept ------------------------------------------------------------------------------------------------


def test_a_mixture_is_kept_where_the_adapted_weights_alone_are_worse(tmp_path, monkeypatch):
    """The base is off by 0.5, the adapted weights by -0.6: half of each is nearly right."""
    monkeypatch.setattr(native_check, "TOLERANCE", {"HQNR": 1.0, "D_rho": 9.0})
    path, device = base_weights(tmp_path, tile=16, off=0.5), torch.device("cpu")
    base, job = checkpoint.load(path), job_for(base=str(path), working=str(tmp_path / "own.safetensors"))
    source = source_of(tmp_path / "scene", adapt.recipe_of(job, base))
    source.before = adapt.scores_before(source, job, base, device)
    trainer = Trainer(source.recipe, source, notify=lambda text: None, start=base)
    bias = state_of(base.net)["head.2.bias"]
    trainer.best = {**state_of(base.net), "head.2.bias": -1.2 * bias}
    trainer.ema = trainer.best
    assert source.evaluate(trainer.current_weights())["error"] > 1

    native = NativeCheck.create(source._held_out, SENSOR, source.survey, *adapt.initial_fusion(job, base, device))
    writer = adapt.BestWeightsWriter(job, base, {})
    assert adapt.keep_best_mixture(trainer, writer, base, native, lambda notice: None) is None
    kept = checkpoint.load(job.working)
    assert kept.card.training["share"] == 0.5
    after, before = (kept.card.scores["held out"][name] for name in ("after", "before"))
    assert after["ERGAS"] < before["ERGAS"]
    assert after["SAM"] < before["SAM"]
