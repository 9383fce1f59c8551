"""The engine of the network: results do not depend on blocks, no pixel is lost, and tiles leave no seam."""

import copy
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import SAMPLE, sample_scene, scene_of, smooth_scene, stiff_weights, surveyed, with_views

from ssdiff_core.common.errors import BlockError, ConfigError, DeviceError
from ssdiff_core.domain.methods import BASES
from ssdiff_core.domain.options import SamplingOptions
from ssdiff_core.domain.window import Window
from ssdiff_core.fusion import layouts
from ssdiff_core.fusion.engine import Engine, Tiling, half_if_close, synthetic_tiles
from ssdiff_core.model import devices
from ssdiff_core.model.noise import normal
from ssdiff_core.model.normalisation import full_scale

SAME = 1e-5  # of full scale; 1e-4 is promised


def engine(weights=None, **options) -> Engine:
    sampling = {name: options.pop(name) for name in ("steps", "samples", "seed") if name in options}
    tiling = {name: options.pop(name) for name in ("stride", "batch", "piece") if name in options}
    return Engine(weights or stiff_weights(), SamplingOptions("cpu", **sampling), tiling=Tiling(**tiling), **options)


def differ(a, b, scene) -> float:
    """Returns the largest difference as a share of full scale; both must have the same masked pixels."""
    assert np.array_equal(np.isnan(a), np.isnan(b))
    return float(np.nanmax(np.abs(a - b))) / scene.stats.scale


def in_parts(worker: Engine, scene, rows, cols) -> np.ndarray:
    """Returns the scene fused in blocks divided at these rows and columns, each with exactly the required margin."""
    answer = np.full((len(scene.ms), *scene.core.shape), np.nan, np.float32)
    rows, cols = [0, *rows, scene.core.height], [0, *cols, scene.core.width]
    for top, bottom in zip(rows, rows[1:]):
        for left, right in zip(cols, cols[1:]):
            core = Window(scene.core.row + top, scene.core.col + left, bottom - top, right - left)
            answer[:, top:bottom, left:right] = worker.fuse(scene.crop(core, worker.reach, worker.ms_halo))
    return answer


# --- the same pixels, however ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("base", "kernel"), [("lms", "cubic"), ("mtf-glp-fs", "cubic"), ("mtf-glp-fs", "23tap")])
@pytest.mark.parametrize("origin", [(0, 0), (-37, 1003)])
def test_the_result_does_not_depend_on_blocks(base, kernel, origin):
    scene = smooth_scene(110, 130, origin=origin)
    worker = engine(stiff_weights(base=base, kernel=kernel))
    assert differ(in_parts(worker, scene, [77], [5, 64]), worker.fuse(scene), scene) < SAME


def test_the_result_with_trained_weights_does_not_depend_on_blocks(sample_weights):
    scene, worker = replace(sample_scene(), core=Window(0, 0, 120, 140)), engine(sample_weights, samples=2)
    assert differ(in_parts(worker, scene, [71], [100]), worker.fuse(scene), scene) < SAME


def test_a_margin_smaller_than_the_reach_changes_pixels(sample_weights, monkeypatch):
    """A smaller margin than the reach changes pixels, so the other tests of blocks can fail."""
    scene, worker = sample_scene(), engine(sample_weights)
    core = Window(103, 150, 20, 40)
    whole = worker.fuse(replace(scene, core=core))
    monkeypatch.setattr(Engine, "reach", 40)
    assert differ(worker.fuse(scene.crop(core, worker.reach, worker.ms_halo)), whole, scene) > 2 * SAME


@pytest.mark.parametrize(("base", "scale"), [("lms", "scene"), ("mtf-glp-fs", "moments")])
def test_the_result_with_views_does_not_depend_on_blocks(base, scale):
    """Also around holes, in dark pixels, and where MS is 0."""
    scene = smooth_scene(120, 130, origin=(-37, 1003))
    ms, valid = scene.ms.copy(), np.ones(scene.pan.shape, bool)
    ms[:, 18:28, 3:12] = ms.min((1, 2))[:, None, None]
    ms[1, 2:5, 20:26] = np.nan
    valid[30:60, 40:90] = False
    scene = surveyed(replace(scene, ms=ms, valid=valid))
    blind = engine(stiff_weights(tile=32, base=base, scale=scale))
    worker = engine(with_views(stiff_weights(tile=32, base=base, scale=scale)))
    assert worker.reach == blind.reach
    whole = worker.fuse(scene)
    assert differ(in_parts(worker, scene, [31], [5, 64]), whole, scene) < SAME
    assert differ(blind.fuse(scene), whole, scene) > 100 * SAME


@settings(max_examples=4)
@given(st.data())
def test_the_result_does_not_depend_on_where_blocks_are_cut(data):
    scene = smooth_scene(97, 83)
    worker = engine(steps=1)
    rows = sorted(data.draw(st.sets(st.integers(1, 96), max_size=2)))
    cols = sorted(data.draw(st.sets(st.integers(1, 82), max_size=2)))
    assert differ(in_parts(worker, scene, rows, cols), worker.fuse(scene), scene) < SAME


@pytest.mark.parametrize(("kernel", "shift"), [("cubic", 0.0), ("cubic", 0.5), ("23tap", 0.3)])
def test_the_result_around_masks_does_not_depend_on_blocks(kernel, shift):
    """At a shift of 0.5, pixels are halfway between two MS samples; every block must assign them to the same one."""
    scene = smooth_scene(120, 120)
    valid = np.ones(scene.pan.shape, bool)
    valid[30:90, 40:] = False
    ms = scene.ms.copy()
    ms[1, 2:5, 3:9] = np.nan
    ms[0, 25, 7] = np.nan
    scene = replace(scene, ms=ms, valid=valid, ms_at=(1.5 + shift, 1.5 + shift))
    worker = engine(stiff_weights(kernel=kernel))
    assert differ(in_parts(worker, scene, [50], [29, 61]), worker.fuse(scene), scene) < SAME


def test_the_result_does_not_depend_on_batch_piece_or_threads():
    scene = smooth_scene(100, 150)
    reference = engine().fuse(scene)
    for options in ({"batch": 1}, {"batch": 7}, {"piece": 48}):
        assert differ(engine(**options).fuse(scene), reference, scene) < SAME, options
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert differ(engine().fuse(scene), reference, scene) < SAME
    finally:
        torch.set_num_threads(threads)


def test_the_result_does_not_depend_on_the_extent():
    scene = smooth_scene(160, 160, origin=(480, 96))
    worker = engine(steps=2)
    core = Window(480 + 51, 96 + 13, 40, 77)
    part = worker.fuse(scene.crop(core, worker.reach, worker.ms_halo))
    assert differ(part, worker.fuse(scene)[(slice(None), *core.within(scene.core))], scene) < SAME


def test_an_extent_that_ends_the_data_shows_only_at_its_rim():
    scene = smooth_scene(200, 200)
    worker = engine(stiff_weights(base="lms"), steps=1)
    rim = 64
    core = Window(16, 20, 180, 176)
    bare = worker.fuse(scene.crop(core, 0, worker.ms_halo))
    inner = (slice(None), slice(rim, -rim), slice(rim, -rim))
    assert differ(bare[inner], worker.fuse(scene)[(slice(None), *core.within(scene.core))][inner], scene) < SAME


def test_the_order_of_tiles_changes_nothing(monkeypatch):
    scene = smooth_scene(150, 150)
    reference = engine(steps=1, batch=4).fuse(scene)
    lay_out = Engine._lay_out

    def shuffled(self, *args):
        canvas = lay_out(self, *args)
        order = torch.randperm(len(canvas.live), generator=torch.Generator().manual_seed(5))
        return replace(canvas, live=canvas.live[order])

    monkeypatch.setattr(Engine, "_lay_out", shuffled)
    assert differ(engine(steps=1, batch=4).fuse(scene), reference, scene) < 1e-6


def test_the_same_seed_gives_the_same_image_and_another_another():
    scene = smooth_scene(70, 70)
    first = engine(seed=3).fuse(scene)
    assert np.array_equal(engine(seed=3).fuse(scene), first)
    assert differ(engine(seed=4).fuse(scene), first, scene) > 1e-5


@pytest.mark.parametrize("steps", [1, 3])
def test_the_result_with_consensus_does_not_depend_on_blocks(steps):
    scene = smooth_scene(200, 130)
    weights = stiff_weights(tile=32, base="lms")
    worker = engine(weights, steps=steps, consensus=True)
    assert worker.reach == engine(weights, steps=1).reach + 31 * (steps - 1)
    assert differ(in_parts(worker, scene, [90], [70]), worker.fuse(scene), scene) < SAME / 10


def test_consensus_of_one_step_is_plain_blending():
    scene = smooth_scene(100, 100)
    assert differ(engine(consensus=True).fuse(scene), engine().fuse(scene), scene) < 1e-6
    assert differ(engine(steps=3, consensus=True).fuse(scene), engine(steps=3).fuse(scene), scene) > 1e-6


# --- geometry and shape ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (5, 200), (63, 64), (65, 113)])
def test_any_size_is_fused_completely(shape):
    fused = engine().fuse(smooth_scene(*shape))
    assert fused.shape == (4, *shape)
    assert fused.dtype == np.float32
    assert np.isfinite(fused).all()


@pytest.mark.parametrize(("bands", "ratio", "tile"), [(1, 4, 64), (3, 2, 64), (8, 4, 64), (5, 2, 32)])
def test_any_bands_ratio_and_tile(bands, ratio, tile):
    scene = smooth_scene(70, 90, bands=bands, ratio=ratio)
    worker = engine(stiff_weights(bands, ratio=ratio, tile=tile))
    assert differ(in_parts(worker, scene, [33], [50]), worker.fuse(scene), scene) < SAME


@pytest.mark.parametrize("ms_at", [(1.5, 1.5), (2.0, 2.0), (0.7, 3.9), (-1.2, 1.5)])
def test_a_ramp_stays_a_ramp_at_every_phase(ms_at):
    """If the network returns 0 the result is the base: a ramp in PAN and MS must stay that ramp."""
    weights = stiff_weights(2, sigma=1e-9)  # an answer too small to see
    rows, cols = np.mgrid[:160, :176].astype(np.float32)
    ramp = 300 + rows + 2 * cols
    at = [np.arange(n // 4) * 4 + first for n, first in zip(ramp.shape, ms_at)]
    ms = 300 + at[0][:, None] + 2 * at[1]
    scene = scene_of(ramp, np.stack([ms, 2 * ms]).astype(np.float32), ms_at=ms_at)
    fused = engine(weights).fuse(scene)[:, 44:-44, 44:-44]
    assert np.abs(fused - [ramp[44:-44, 44:-44], 2 * ramp[44:-44, 44:-44]]).max() < 0.1


def test_the_network_sees_ms_samples_where_it_expects_them():
    """At a corner-aligned phase every MS tile consists of unchanged MS samples."""
    scene, worker = smooth_scene(200, 200), engine()
    canvas = worker._lay_out(scene, *scene.masks(), np.ones(scene.pan.shape, bool))
    window = canvas.cells.window
    here = (slice(None), slice(-window.row // 4, -window.row // 4 + 50), slice(-window.col // 4, -window.col // 4 + 50))
    assert torch.allclose(canvas.ms[here] * scene.stats.scale, torch.from_numpy(scene.ms), atol=1e-2)


# --- masks -----------------------------------------------------------------------------------------------------------


def test_masked_pixels_come_back_masked_and_no_others():
    scene = smooth_scene(96, 96)
    pan, ms, valid = scene.pan.copy(), scene.ms.copy(), np.ones(scene.pan.shape, bool)
    pan[3, 4], pan[50, 60] = np.nan, np.inf
    ms[2, 10, 11] = -np.inf
    valid[70:80, 20:30] = False
    fused = engine().fuse(replace(scene, pan=pan, ms=ms, valid=valid))
    expected = ~valid
    expected[3, 4] = expected[50, 60] = True
    expected[40:44, 44:48] = True
    assert np.array_equal(np.isnan(fused), np.broadcast_to(expected, fused.shape))


@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e30, -1e30])
def test_masked_pixels_have_no_influence_on_others(poison):
    scene = smooth_scene(96, 96)
    valid = np.ones(scene.pan.shape, bool)
    valid[20:50, 30:75] = False
    quiet, loud = scene.pan.copy(), scene.pan.copy()
    quiet[~valid], loud[~valid] = 0, poison
    for weights in (stiff_weights(), with_views(stiff_weights(base="lms"))):
        a, b = (engine(weights).fuse(surveyed(replace(scene, pan=pan, valid=valid))) for pan in (quiet, loud))
        assert differ(a, b, scene) == 0


def test_a_hole_leaves_no_trace_around_it():
    scene = sample_scene()
    core = Window(0, 0, 128, 128)
    whole = engine().fuse(replace(scene, core=core))
    valid = np.ones(scene.pan.shape, bool)
    valid[40:60, 40:60] = False
    holed = engine().fuse(replace(scene, core=core, valid=valid))
    rms = np.sqrt(np.nanmean((holed - whole) ** 2)) / scene.stats.scale
    assert rms < 0.01


def test_tiles_without_a_valid_pixel_are_not_computed():
    scene = smooth_scene(200, 200)
    valid = np.zeros(scene.pan.shape, bool)
    valid[60:70, 60:70] = True
    worker = engine()
    seen = []
    worker.net.register_forward_hook(lambda net, args, answer: seen.append(len(args[0])))
    fused = worker.fuse(replace(scene, valid=valid))
    assert np.isfinite(fused).sum() == 4 * 100
    assert sum(seen) == 1


def test_a_fully_masked_block_does_not_run_the_network():
    scene = smooth_scene(100, 100)
    worker = engine()
    worker.net.register_forward_pre_hook(lambda *_: pytest.fail("the network was asked"))
    fused = worker.fuse(replace(scene, valid=np.zeros(scene.pan.shape, bool)))
    assert np.isnan(fused).all()
    assert np.isnan(worker.fuse(replace(scene, ms=np.full_like(scene.ms, np.nan)))).all()


# --- samples ---------------------------------------------------------------------------------------------------------


def test_samples_are_averaged_and_their_standard_deviation_is_returned():
    scene = smooth_scene(64, 64)
    mean, std = engine(samples=3, seed=9).fuse_with_spread(scene)
    draws = []
    for k in range(3):
        worker = engine(seed=9)
        sample = worker._sample
        worker._sample = lambda canvas, _, report, k=k, sample=sample: sample(canvas, k, report)
        draws.append(worker.fuse(scene))
    assert differ(mean, np.mean(draws, axis=0), scene) < 1e-6
    assert differ(std, np.std(draws, axis=0, ddof=1), scene) < 1e-6
    assert (std > 0).mean() > 0.99


def test_one_sample_has_no_spread():
    assert (engine().fuse_with_spread(smooth_scene(64, 64))[1] == 0).all()


def test_progress_rises_to_one_and_an_exception_in_it_stops_the_work():
    shares = []
    engine(samples=2, piece=48).fuse(smooth_scene(90, 80), shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len(shares) > 8

    def stop(share):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine().fuse(smooth_scene(64, 64), stop)


# --- seams -----------------------------------------------------------------------------------------------------------


def seam(worker: Engine, pan, ms) -> float:
    """Mean absolute gradient across tile borders over that of the same pixels when no border is there, minus one.

    The grid hangs on the origin, so giving the scene other origins moves the borders over the same ground. They are
    whole MS samples apart: else MS would lie otherwise in the tiles too, and that would be measured as well.
    """
    at_border, elsewhere = [], []
    for shift in range(0, 48, 8):
        scene = scene_of(pan, ms, origin=(shift, shift))
        fused = worker.fuse(scene)
        for axis in (1, 2):
            step = np.abs(np.diff(fused, axis=axis))[:, 8:-8, 8:-8]
            position = np.arange(step.shape[axis]) + 9 + shift  # of the later pixel of the pair
            border = np.isin(position % 48, (8, 40))  # where a neighbour's tile begins and where one ends
            profile = step.mean(axis=tuple({0, 1, 2} - {axis}))
            at_border.append((axis, np.flatnonzero(border), profile[border]))
            elsewhere.append((axis, np.flatnonzero(~border), profile[~border]))
    sums = []
    for parts in (at_border, elsewhere):
        table = {}
        for axis, places, values in parts:
            for place, value in zip(places, values):
                table.setdefault((axis, place), []).append(value)
        sums.append({key: np.mean(values) for key, values in table.items()})
    common = sums[0].keys() & sums[1].keys()
    return sum(sums[0][key] for key in common) / sum(sums[1][key] for key in common) - 1


EVAL = ("gf2_1", "gf2_2", "gf2_3", "pleiades_1", "wv2_4band_1", "qb_1")


@pytest.mark.parametrize("name", EVAL)
def test_no_seam_on_real_scenes(name, sample_weights, eval_data):
    from osgeo import gdal

    pan, ms = (
        gdal.Open(str(eval_data / f"{name}_{kind}.tif")).ReadAsArray().astype(np.float32) for kind in ("pan", "ms")
    )
    side = min(256, *pan.shape) // 4 * 4
    found = seam(engine(sample_weights), pan[:side, :side], ms[:, : side // 4, : side // 4])
    print(f"{name}: {found:+.4%}")
    assert abs(found) < 0.01


def test_no_seam_on_the_sample(sample_weights):
    with np.load(SAMPLE) as file:
        pan, ms = file["pan"].astype(np.float32), file["ms"].astype(np.float32).transpose(2, 0, 1)
    found = seam(engine(sample_weights, samples=1), pan[:144, :144], ms[:, :36, :36])  # the mean of several has less
    print(f"sample: {found:+.4%}")
    assert abs(found) < 0.01


def test_the_seam_measure_detects_a_seam(sample_weights, monkeypatch):
    from ssdiff_core.fusion import layouts as module

    with np.load(SAMPLE) as file:
        pan, ms = file["pan"].astype(np.float32), file["ms"].astype(np.float32).transpose(2, 0, 1)
    blend = module.blend

    def with_seams(tiles, cells):
        offset = torch.randn(cells.rows, cells.cols, 1, 1, 1, generator=torch.Generator().manual_seed(0)) * 0.3
        hard = torch.ones(64)
        monkeypatch.setattr("ssdiff_core.fusion.tiles.taper", lambda tile, stride: hard)
        return blend(tiles + offset, cells)

    monkeypatch.setattr(module, "blend", with_seams)
    assert seam(engine(sample_weights, samples=1), pan[:128, :128], ms[:, :32, :32]) > 0.01


# --- devices, memory, wrong use --------------------------------------------------------------------------------------


def test_with_too_little_memory_fewer_tiles_are_computed_and_this_is_reported_once():
    """A real child process whose address space is too small for the batch it starts with.

    Without oneDNN, which now and then does not notice that it got no memory for a kernel, and dies of it.
    """
    code = f"""
import resource, sys
sys.path[:0] = {[p for p in sys.path if p]!r}
from scenes import smooth_scene, stiff_weights
from ssdiff_core.domain.options import SamplingOptions
from ssdiff_core.fusion.engine import Engine, Tiling
import numpy as np, torch
torch.set_num_threads(1)
torch.backends.mkldnn.enabled = False
scene = smooth_scene(64, 64)
small = Engine(stiff_weights(tile=16), SamplingOptions("cpu"), tiling=Tiling(batch=2, piece=100))
reference = small.fuse(scene)
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 24 * 2**20,) * 2)
said = []
sampling, tiling = SamplingOptions("cpu"), Tiling(batch=256, piece=100)
large = Engine(stiff_weights(tile=16), sampling, tiling=tiling, notify=said.append)
fused = large.fuse(scene)
large.fuse(scene)
print(len(said), said[0], large.batch, np.abs(fused - reference).max() < 0.1)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    count, *_, batch, same = done.stdout.split()
    assert count == "1"
    assert 1 <= int(batch) < 256
    assert same == "True"
    assert "short of memory" in done.stdout


def test_out_of_memory_on_a_device_with_one_tile_goes_on_on_the_cpu(monkeypatch):
    said = []
    worker = engine(batch=1, notify=said.append)
    worker.device = worker._work.device = torch.device("meta")  # stands for a GPU whose memory is full
    monkeypatch.setitem(layouts.PIECE, "meta", 480)
    piece = worker._piece

    def full(*args):
        if worker.device.type != "cpu":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return piece(*args)

    worker._piece = full
    scene = smooth_scene(64, 64)
    assert differ(worker.fuse(scene), engine().fuse(scene), scene) < SAME
    assert worker.device.type == "cpu"
    assert len(said) == 1
    assert said[0].kind == "cpu_instead"


def test_a_device_that_does_not_work_is_an_error_with_the_reason():
    name = next((name for name in ("cuda", "mps") if devices.failure_of(name)), None)
    if name is None:
        pytest.skip("every kind of device works here")
    with pytest.raises(DeviceError, match=f"device '{name}' does not work here: .+"):
        Engine(stiff_weights(), SamplingOptions(name))


@pytest.mark.parametrize("precision", ["bfloat16"])
def test_half_precision_stays_close(precision, sample_weights):
    scene = replace(sample_scene(), core=Window(0, 0, 100, 100))
    exact = engine(sample_weights, samples=1).fuse(scene)
    half = engine(sample_weights, samples=1, precision=precision).fuse(scene)
    assert 0 < np.sqrt(np.mean((half - exact) ** 2)) / scene.stats.scale * 2047 < 2


def test_half_precision_is_used_only_if_its_error_is_small(sample_weights, monkeypatch):
    """The check made on CUDA, run on the CPU: an output 100 times larger has 100 times the error."""
    one_tile = partial(synthetic_tiles, tiles=1)  # half precision is slow on a CPU
    monkeypatch.setattr("ssdiff_core.fusion.engine.synthetic_tiles", one_tile)
    sigma = torch.tensor(sample_weights.card.residual_sigma)[:, None, None] / full_scale(sample_weights.card.scale)
    types = torch.float16, torch.bfloat16
    with torch.inference_mode():
        assert next(half_if_close(sample_weights.net, sigma, 1, types).parameters()).dtype in (
            torch.float16,
            torch.bfloat16,
        )
        assert half_if_close(sample_weights.net, sigma * 100, 1, types) is sample_weights.net
        poisoned = copy.deepcopy(sample_weights.net)
        poisoned.head[2].bias[0] = 1e6  # beyond what float16 holds
        assert next(half_if_close(poisoned, sigma, 1, types).parameters()).dtype == torch.float32


needs_cuda = pytest.mark.skipif(devices.failure_of("cuda") is not None, reason="no CUDA here")


@needs_cuda
@pytest.mark.parametrize("base", BASES)
def test_cuda_gives_the_pixels_of_the_cpu(base, sample_weights):
    scene = surveyed(smooth_scene(300, 500))
    weights = with_views(stiff_weights(base=base))
    exact = Engine(weights, SamplingOptions("cuda", steps=2), tiling=Tiling(piece=144), precision="float32").fuse(scene)
    assert differ(exact, engine(weights, steps=2).fuse(scene), scene) < 1e-4
    scene = sample_scene()
    half = Engine(sample_weights, SamplingOptions("cuda")).fuse(scene) - engine(sample_weights).fuse(scene)
    assert np.sqrt(np.mean(half**2)) / scene.stats.scale * 2047 < 0.5


@needs_cuda
def test_half_precision_on_cuda_does_not_depend_on_pieces_or_batches(sample_weights):
    scene = sample_scene()
    reference = Engine(sample_weights, SamplingOptions("cuda")).fuse(scene)
    for options in ({"piece": 96}, {"batch": 3}):
        assert differ(Engine(sample_weights, SamplingOptions("cuda"), **options).fuse(scene), reference, scene) < 1e-4


@needs_cuda
def test_noise_is_the_same_on_cuda():
    axis = torch.arange(-100, 400)
    there = normal(7, axis.cuda(), axis.cuda(), 8, 3).cpu()
    assert (there - normal(7, axis, axis, 8, 3)).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"steps": 0}, "must be from 1 to 1000, not 0"),
        ({"steps": 1001}, "must be from 1 to 1000, not 1001"),
        ({"samples": 0}, "must be at least 1, not 0"),
        ({"stride": 50}, "stride 50 is not possible with tiles of 64"),
        ({"stride": 128}, "stride 128"),
        ({"precision": "double"}, "precision 'double'"),
    ],
)
def test_invalid_options_are_refused(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        engine(**options)


@pytest.mark.parametrize("stride", [16, 32, 48, 64])
def test_every_fitting_stride_gives_a_whole_image(stride):
    scene = smooth_scene(90, 70)
    assert np.isfinite(engine(stride=stride).fuse(scene)).all()


@pytest.mark.parametrize(("samples", "same"), [(1, False), (8, True)])
def test_the_mean_over_all_orientations_of_tiles_does_not_depend_on_the_orientation_of_the_scene(samples, same):
    """With weights that ignore noise, on a scene of whole cells, so that mirrored tiles have the same positions."""
    scene, worker = smooth_scene(96, 96), engine(stiff_weights(tile=32, noisy=False), samples=samples)
    mirrored = replace(scene, pan=scene.pan[::-1].copy(), ms=scene.ms[:, ::-1].copy())
    assert (differ(worker.fuse(mirrored)[:, ::-1], worker.fuse(scene), scene) < SAME) == same


def test_tiles_are_not_rotated_unless_ms_is_centred_on_pan():
    weights = stiff_weights(tile=32, noisy=False)
    off = replace(weights, card=replace(weights.card, ms_phase=2.0))
    scene = smooth_scene(64, 64)
    one, other = (engine(off, samples=count).fuse(scene) for count in (1, 8))
    assert differ(one, other, scene) < SAME
    one, other = (engine(weights, samples=count).fuse(scene) for count in (1, 8))
    assert differ(one, other, scene) > SAME


def test_the_weights_set_the_number_of_samples():
    weights, scene = stiff_weights(tile=32), smooth_scene(64, 64)
    asking = replace(weights, card=replace(weights.card, samples=3))
    assert np.array_equal(engine(asking).fuse(scene), engine(weights, samples=3).fuse(scene))
    assert not np.array_equal(engine(asking, samples=1).fuse(scene), engine(asking).fuse(scene))


def test_blocks_that_do_not_fit_are_refused():
    scene = smooth_scene(64, 64)
    with pytest.raises(BlockError, match="MS has 3 bands, weights 'stiff' take 4"):
        engine().fuse(replace(scene, ms=scene.ms[:3]))
    with pytest.raises(BlockError, match="need the scene's scale"):
        engine().fuse(replace(scene, stats=replace(scene.stats, scale=None)))
    for gains in ((), (np.nan,) * 4):
        with pytest.raises(BlockError, match="need gains and MTF for their base mtf-glp-fs"):
            engine().fuse(replace(scene, stats=replace(scene.stats, gains=gains)))
    with pytest.raises(BlockError, match="'stiff' need statistics for bt-h; the block has none"):
        engine(with_views(stiff_weights())).fuse(replace(scene, stats=replace(scene.stats, caps=())))
    with pytest.raises(BlockError, match="PAN is 2 times finer than MS, weights 'stiff' are for 4"):
        engine().fuse(smooth_scene(64, 64, ratio=2))
    with pytest.raises(BlockError, match="PAN is"):
        replace(scene, window=Window(0, 0, 64, 65))
    with pytest.raises(BlockError, match="is not inside the window"):
        replace(scene, core=Window(0, 0, 65, 64))
    with pytest.raises(BlockError, match="bands, rows, columns"):
        replace(scene, ms=scene.ms[0])
    with pytest.raises(BlockError, match="valid mask"):
        replace(scene, valid=np.ones((3, 3), bool))
