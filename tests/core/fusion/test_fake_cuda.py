"""The code for CUDA on fake tensors: nothing mixes devices or types, and the host does not wait between kernels."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_cuda import DEVICE, FakeTransfers, WaitsForDevice, fake_cuda, is_fake
from scenes import patch_weights, smooth_scene, stiff_weights, surveyed

from recipes import RECIPE, place
from ssdiff_core.domain.options import SamplingOptions
from ssdiff_core.fusion import layouts
from ssdiff_core.fusion.engine import Engine, Tiling
from ssdiff_core.model import checkpoint, devices
from ssdiff_core.training import trainer as training
from ssdiff_core.training.recipe import Recipe, Stage, read_recipe
from ssdiff_core.training.simulated_source import SimulatedSource

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the fake device needs torch for Linux"),
    pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor"),  # by torch, to copy buffers
]
FILES = sorted((Path(__file__).parents[3] / "resources" / "weights").rglob("*.safetensors"))
WORKS = 16 * 9 * 17.5
"the value that proves a device (see devices.failure_of)"


@pytest.fixture
def cuda():
    with fake_cuda() as mode:
        yield mode


def engine(cuda, weights, steps=1, samples=1, precision="float16", **tiling) -> Engine:
    with cuda.waiting(WORKS):
        return Engine(weights, SamplingOptions(DEVICE, steps, samples), tiling=Tiling(**tiling), precision=precision)


def scene_for(weights, height=64, width=72):
    return surveyed(smooth_scene(height, width, weights.card.arch.bands, weights.card.ratio))


def masked(scene):
    """Returns a scene with masked pixels in its middle, in PAN and in MS."""
    pan, ms = scene.pan.copy(), scene.ms.copy()
    pan[30:40, 20:50] = np.nan
    ms[1, 5:7, 5:9] = np.nan
    return replace(scene, pan=pan, ms=ms)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_published_weights_fuse(path, cuda):
    weights = checkpoint.load(path)
    scene = scene_for(weights)
    mean, spread = engine(cuda, weights, 2, 2).fuse_with_spread(scene)
    assert mean.shape == spread.shape == (len(scene.ms), *scene.pan.shape)
    assert np.isfinite(mean).all()
    assert torch.float16 in cuda.types


@pytest.mark.parametrize(("steps", "samples"), [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_convolutional_weights_fuse(steps, samples, cuda):
    scene = masked(scene_for(patch_weights()))
    mean, spread = engine(cuda, patch_weights(), steps, samples, piece=48).fuse_with_spread(scene)
    assert mean.shape == spread.shape == (4, 64, 72)


@pytest.mark.parametrize(("steps", "consensus"), [(1, False), (2, True)])
def test_masked_tiles_are_fused_in_batches(steps, consensus, cuda):
    weights = stiff_weights(tile=32)
    fusion = engine(cuda, weights, steps, batch=5)
    fusion.consensus = consensus
    assert fusion.fuse(masked(scene_for(weights))).shape == (4, 64, 72)
    assert torch.bool in cuda.types


@pytest.mark.parametrize(("error", "kept"), [(0.0, torch.float16), (1.0, torch.float32)])
def test_half_precision_is_tried_and_kept_if_it_is_close(error, kept, cuda, monkeypatch):
    monkeypatch.setattr(devices, "failure_of", lambda name: None)
    with cuda.waiting(error):
        fusion = Engine(stiff_weights(tile=32), SamplingOptions(DEVICE))
    assert fusion.dtype == kept
    assert (torch.bfloat16 in cuda.types) == (kept == torch.float32)


# --- training --------------------------------------------------------------------------------------------------------


class Pools:
    """A source of random samples, which evaluates weights on the device as adapting does."""

    def __init__(self, recipe: Recipe):
        self.recipe, self.evaluated = recipe, []

    def sigma(self) -> float:
        return 0.1

    def pools(self, stage, tile, first=0):
        inputs = len(self.recipe.config(tile).seen)
        while True:
            yield {
                "pan": torch.rand(4, inputs, tile, tile),
                "lms": torch.rand(4, 4, tile, tile),
                "ms": torch.rand(4, 4, tile // 4, tile // 4),
                "residual": torch.rand(4, 4, tile, tile),
            }

    def evaluate(self, weights):
        self.evaluated.append(weights)
        return {"error": 1.0}


NETS = {
    "attention": {"keys": 4, "widths": (32, 32, 32)},
    "patches": {"patch": 4, "blocks": 1, "widths": (32, 32, 32)},
}


@pytest.mark.parametrize(("net", "quiet"), [("attention", 0.0), ("patches", 0.5)])
def test_training_computes_in_bfloat16_with_parameters_in_float32(net, quiet, cuda):
    stages = Stage(tile=16, steps=3, batch=2, warmup=1), Stage(tile=16, steps=1, batch=2, branch="spatial")
    recipe = Recipe(
        id="tiny",
        sensors=("qb", "gf2"),
        bands=("blue", "green", "red", "nir"),
        stages=stages,
        net=NETS[net],
        quiet=quiet,
        validate=2,
        patience=3,
        reuse=2,
    )
    source = Pools(recipe)
    with cuda.waiting(1.0):
        trainer = training.Trainer(recipe, source, DEVICE, notify=lambda notice: None)
        assert trainer.run()
    assert trainer.bf16
    assert torch.bfloat16 in cuda.types
    tensors = [*trainer.net.parameters(), *trainer.ema.values(), *source.evaluated[0].net.parameters()]
    assert all(is_fake(tensor) and tensor.dtype == torch.float32 for tensor in tensors)


def test_weights_are_evaluated_on_held_out_scenes(cuda):
    source = SimulatedSource([place("here", 1), place("elsewhere", 2)], read_recipe(RECIPE))
    with cuda.waiting(1.0):
        trainer = training.Trainer(source.recipe, source, DEVICE, notify=lambda notice: None)
        assert source.evaluate(trainer.current_weights(), scenes=1) == {"error": 1.0}


# --- what the fake device finds --------------------------------------------------------------------------------------


def test_an_image_left_on_the_cpu_raises(cuda, monkeypatch):
    fusion, scene = engine(cuda, patch_weights()), scene_for(patch_weights())
    monkeypatch.setattr(FakeTransfers, "upload", lambda self, image: torch.from_numpy(image))
    with pytest.raises(Exception, match=r"device|FakeTensor"):
        fusion.fuse(scene)


def test_an_image_of_another_type_raises(cuda):
    fusion, scene = engine(cuda, patch_weights()), scene_for(patch_weights())
    fusion.dtype = torch.float32
    with pytest.raises(RuntimeError, match="type"):
        fusion.fuse(scene)


def test_an_upload_that_waits_for_the_device_raises(cuda, monkeypatch):
    fusion, scene = engine(cuda, stiff_weights(tile=32)), scene_for(stiff_weights(tile=32))
    monkeypatch.setattr(layouts, "upload", lambda array, device: torch.from_numpy(array).to(device))
    with pytest.raises(WaitsForDevice, match="_to_copy"):
        fusion.fuse(scene)


def test_a_value_that_the_host_reads_raises(cuda):
    fusion, scene = engine(cuda, patch_weights()), scene_for(patch_weights())
    net = fusion.net
    fusion.net = lambda *inputs: net(*inputs) if inputs[2].isfinite().all() else None
    with pytest.raises(WaitsForDevice, match="_local_scalar_dense"):
        fusion.fuse(scene)
