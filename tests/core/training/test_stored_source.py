"""Training on a set of images: the network sees what the file or the engine gives, and the file is read in order."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from image_sets import arrays, write_set

from ssdiff_core.classical.scene_statistics import Survey
from ssdiff_core.common.errors import ConfigError
from ssdiff_core.domain.options import SamplingOptions
from ssdiff_core.fusion.engine import Engine
from ssdiff_core.metrics.arrays import with_reference
from ssdiff_core.model import checkpoint
from ssdiff_core.raster.image_sets import StoredImages
from ssdiff_core.training.recipe import Recipe, Stage, read_recipe
from ssdiff_core.training.stored_source import StoredSource
from ssdiff_core.training.trainer import Trainer, rate_at

ROOT = Path(__file__).parents[3]
NET = {"keys": 4, "widths": (32, 32, 32)}
PUBLISHED = Recipe(
    id="published",
    sensors=("qb",),
    bands=("blue", "green", "red", "nir"),
    stages=(Stage(tile=32, steps=4, batch=2, warmup=0, final=1.0),),
    base="lms",
    scale=2047,
    residual_sigma=1.0,
    interpolation="23tap",
    ms_phase=2.0,
    guides=1,
    sampling_steps=2,
    noisiest=0.0,
    pool=3,
    validate=0,
    net=NET,
)
FITTED = replace(PUBLISHED, base="mtf-glp-fs", scale="moments", interpolation="cubic", ms_phase=None, guides=2)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A set of seven images of 32 x 32 pixels."""
    return StoredImages(write_set(tmp_path_factory.mktemp("set") / "set.h5", arrays(7, side=32)))


def source(images, recipe=PUBLISHED, held_out=None) -> StoredSource:
    return StoredSource(images, held_out, recipe)


def test_the_published_form_sees_the_arrays_of_the_file(images):
    pool, stored = source(images).pool(0, 32, 0), images.read(0, 3)
    assert len(pool["pan"]) == 3
    shown = sorted(pool["lms"].flatten(1).mean(1).tolist())
    assert shown == pytest.approx(sorted((stored.lms / 2047).mean((1, 2, 3)).tolist()), rel=1e-5)
    back = pool["lms"] + pool["residual"]
    at = int((torch.from_numpy(stored.truth[0] / 2047) - back).abs().amax((1, 2, 3)).argmin())
    assert torch.allclose(back[at], torch.from_numpy(stored.truth[0] / 2047), atol=1e-6)
    assert torch.allclose(pool["ms"][at], torch.from_numpy(stored.ms[0] / 2047), atol=1e-6)
    assert torch.allclose(pool["pan"][at, 0], torch.from_numpy(stored.pan[0] / 2047), atol=1e-6)


@pytest.mark.parametrize("recipe", [PUBLISHED, FITTED], ids=["published", "fitted"])
def test_the_engine_sees_what_training_saw(images, recipe):
    """The base of the engine, whose network predicts zero, is the base of training."""
    trained = source(images, recipe)
    tiles, scaling = trained._tiles(images.read(3), 0, 32)
    base = scaling.zeros + scaling.ones * tiles["lms"][0]
    weights = Trainer(recipe, trained, notify=lambda notice: None).current_weights()
    block = images.read(3).block(0, recipe.interpolation)
    survey = Survey(recipe.base, trained._survey.mtf, 4, recipe.interpolation, views=recipe.views)
    fused = Engine(weights, SamplingOptions("cpu")).fuse(replace(block, stats=survey.stats(survey.gather(block))))
    assert np.abs(fused - base.numpy()).max() < 0.02


def test_an_epoch_reads_each_image_once_and_in_the_order_of_the_file(images):
    class Watched:
        def __getattr__(self, name):
            return getattr(images, name)

        def read(self, first, count=1):
            read.append((first, count))
            return images.read(first, count)

    read = []
    watched = source(Watched())
    pools = list(itertools.islice(watched.pools(0, 32), 24))
    assert read == 12 * [(0, 3), (3, 4)]
    assert [len(pool["pan"]) for pool in pools] == 12 * [3, 4]
    assert watched.epoch(PUBLISHED.stages[0]) == 3
    for first, again in zip(pools, pools[2:]):
        assert first["pan"].sum().item() == pytest.approx(again["pan"].sum().item())
    assert not all(torch.equal(first["pan"], again["pan"]) for first, again in zip(pools, pools[2:]))


def test_larger_images_are_cut_into_tiles(images):
    half = replace(PUBLISHED, stages=(replace(PUBLISHED.stages[0], tile=16),))
    cut = source(images, half)
    assert cut.pool(0, 16, 0)["lms"].shape == (12, 4, 16, 16)
    assert cut.epoch(half.stages[0]) == (12 + 16) // 2


@pytest.mark.parametrize("recipe", [PUBLISHED, FITTED], ids=["published", "fitted"])
def test_the_held_out_measures_are_those_of_the_images(images, recipe):
    """An untrained network predicts a residual of zero, so the measures are those of the base."""
    held_out = source(images, recipe, images)
    weights = Trainer(recipe, held_out, notify=lambda notice: None).current_weights()
    found = held_out.evaluate(weights)
    assert found["error"] == pytest.approx(1.0)
    stored, each = images.read(0, 7), []
    for k in range(7):
        tiles, scaling = held_out._tiles(stored, k, 32)
        base = (scaling.zeros + scaling.ones * tiles["lms"][0]).numpy()
        each.append(with_reference(base, stored.truth[k], 4, rounded=True))
    for name in ("SAM", "ERGAS", "Q2n", "SCC"):
        assert found[name] == pytest.approx(np.mean([values[name] for values in each]), rel=1e-3)
    assert source(images, recipe).evaluate(weights) is None


def test_a_resumed_training_ends_with_the_same_weights(images, tmp_path):
    def run(stops: bool) -> dict:
        while True:
            trainer = Trainer(FITTED, source(images, FITTED, images), notify=notices.append)
            if (tmp_path / "checkpoint").exists():
                trainer.load(tmp_path / "checkpoint")
            if trainer.run(tmp_path / "checkpoint" if stops else None, 1e-9 if stops else 1e9):
                return trainer.ema

    notices = []
    whole, parts = run(False), run(True)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    told = [str(one) for one in notices if one.kind == "epoch_scores"]
    assert len(told) == 2
    assert told[0].startswith("Stage 0, epoch 1, step 3: held-out error")
    assert told[0] == told[1]
    assert "SAM" in told[0]


FAULTS = {
    "bands": (replace(PUBLISHED, bands=("blue", "red"), sensors=("general",)), "it has 4 bands, and the recipe 2"),
    "ratio": (replace(PUBLISHED, ratio=2, sensors=("landsat89",)), "its ratio is 4, and that of the recipe 2"),
    "sensors": (replace(PUBLISHED, sensors=("qb", "gf2")), "the recipe names 2 sensors"),
    "tile": (replace(PUBLISHED, stages=(Stage(tile=64, batch=2),)), "32 x 32 pixels, fewer than tiles of 64"),
    "batch": (replace(PUBLISHED, stages=(Stage(tile=32, batch=8),)), "less than a batch of 8"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_set_that_does_not_fit_the_recipe_is_an_error(images, fault):
    recipe, words = FAULTS[fault]
    with pytest.raises(ConfigError, match=words):
        source(images, recipe)


def test_a_set_without_truth_cannot_be_trained_on(images, tmp_path):
    values = {name: array for name, array in arrays(2, side=32).items() if name != "gt"}
    full = StoredImages(write_set(tmp_path / "full.h5", values))
    with pytest.raises(ConfigError, match=r"full\.h5 does not fit .* no gt"):
        source(full)
    with pytest.raises(ConfigError, match=r"full\.h5 does not fit .* no gt"):
        source(images, held_out=full)


@pytest.mark.parametrize("path", sorted((ROOT / "recipes" / "paper").glob("*.toml")), ids=lambda path: path.stem)
def test_the_recipes_of_the_paper_fit_the_files_of_pancollection(path, tmp_path):
    recipe = read_recipe(path.read_text(encoding="utf-8"))
    count = recipe.stages[0].batch
    pan, ms = (
        np.full((count, 1, 64, 64), 100.0, np.float32),
        np.full((count, len(recipe.bands), 16, 16), 100, np.float32),
    )
    lms = np.full((count, len(recipe.bands), 64, 64), 100.0, np.float32)
    stored = StoredImages(write_set(tmp_path / "set.h5", {"gt": lms, "lms": lms, "ms": ms, "pan": pan}))
    assert source(stored, recipe).epoch(recipe.stages[0]) == recipe.reuse
    card = checkpoint.check(Trainer(replace(recipe, residual_sigma=1.0), source(stored, recipe)).card({}))
    assert card.sensor == path.stem.partition("-")[0]


def test_the_published_recipe_has_the_settings_of_the_paper():
    recipe = read_recipe((ROOT / "recipes" / "paper" / "wv3.toml").read_text(encoding="utf-8"))
    config = recipe.config(64)
    assert (config.widths, config.keys, config.guides, config.views, config.patch) == ((32, 64, 128), 0, 1, (), 1)
    first, *fine = recipe.stages
    assert (first.steps, first.batch, rate_at(0, first), rate_at(100_000, first)) == (150_000, 20, 1e-3, 1e-3)
    assert [(stage.steps, stage.branch, rate_at(5, stage)) for stage in fine] == [
        (15_000, "spectral", 1e-4),
        (15_000, "spatial", 1e-4),
    ]
    assert (recipe.sampling_steps, recipe.ema, recipe.scale) == (10, 0.9999, 2047)
