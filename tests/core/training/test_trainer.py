"""Training: a resumed run gives the same weights, the error decreases, and held-out places are never used."""

import copy
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scenes import smooth_scene, surveyed

from ssdiff_core.classical.engine import ClassicalEngine
from ssdiff_core.classical.scene_statistics import Survey
from ssdiff_core.common.errors import ConfigError, WeightsError
from ssdiff_core.domain import sensors
from ssdiff_core.domain.block import Block
from ssdiff_core.domain.options import SamplingOptions
from ssdiff_core.fusion.engine import Engine
from ssdiff_core.model import checkpoint
from ssdiff_core.model.normalisation import units
from ssdiff_core.model.ssnet import BRANCHES, SSNet, load_state
from ssdiff_core.training import samples, simulate, simulated_source
from ssdiff_core.training import trainer as training
from ssdiff_core.training.recipe import Recipe, Stage, read_recipe
from ssdiff_core.training.simulate import Picture
from ssdiff_core.training.simulated_source import Place, SimulatedSource
from ssdiff_core.training.trainer import Trainer

NAIP = (650.0, 560.0, 470.0, 830.0)
TINY = Recipe(
    id="tiny",
    sensors=("qb", "gf2"),
    bands=("blue", "green", "red", "nir"),
    stages=(Stage(tile=16, steps=6, batch=4, rate=1e-3, warmup=2),),
    held_out=("elsewhere",),
    pool=2,
    most=4,
    residual_sigma=1.8,  # measuring it takes longer than the training
    net={"keys": 4, "widths": (32, 32, 32)},
)


def place(name: str, seed: int) -> Place:
    """Patches of six materials, each with a texture that all bands share."""
    rng, pictures = np.random.default_rng(seed), []
    for _ in range(2):
        materials = rng.uniform(30, 160, (6, 4))[rng.integers(0, 6, (16, 16))].transpose(2, 0, 1)
        image = np.kron(materials, np.ones((4, 4))) * np.exp(rng.normal(0, 0.2, (64, 64)))
        pictures += [Picture(image.clip(0, 255).astype(np.uint8), NAIP)]
    return Place(name, tuple(pictures))


PLACES = [place("here", 1), place("there", 2), place("elsewhere", 3)]


def trainer(recipe=TINY, **kwargs) -> Trainer:
    torch.manual_seed(123)  # training must not care
    return Trainer(recipe, SimulatedSource(PLACES, recipe), notify=lambda text: None, **kwargs)


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_resumed_run_ends_with_the_same_weights(tmp_path):
    stages = replace(TINY.stages[0], steps=3), Stage(tile=32, steps=2, batch=2, rate=1e-4, warmup=1)
    recipe = replace(TINY, stages=stages)
    whole = trainer(recipe)
    assert whole.run()
    stops = 0
    while True:
        part = trainer(recipe)
        if stops:
            part.load(tmp_path / "checkpoint")
        if part.run(tmp_path / "checkpoint", minutes=1e-9):  # one step at a time
            break
        stops += 1
    assert stops >= 5
    assert same(part.ema, whole.ema)
    assert part.state.samples == whole.state.samples == 3 * 4 + 2 * 2


def test_bfloat16_gives_similar_losses_and_parameters_stay_float32():
    ends, losses = [], []
    for bf16 in (False, True):
        learner = trainer()
        learner.bf16 = bf16
        step = learner._step
        learner._step = lambda batch, step=step: losses.append(step(batch)) or losses[-1]
        learner.run()
        ends.append({name: tensor for name, tensor in learner.net.state_dict().items() if tensor.is_floating_point()})
    full, half = np.split(np.array(losses), 2)
    assert full.tolist() != half.tolist()
    np.testing.assert_allclose(half, full, rtol=0.02)
    assert all(tensor.dtype == torch.float32 for tensor in ends[1].values())
    assert not same(*ends)


def test_pools_smaller_than_a_batch_are_an_error():
    few = trainer(replace(TINY, stages=(Stage(tile=64, steps=2, batch=50),)))
    with pytest.raises(ConfigError, match="2 scenes give fewer than 50 tiles of 64"):
        few.run()


def test_places_with_pictures_smaller_than_a_tile_are_not_drawn():
    large, small = place("here", 1), place("tiny", 2)
    cut = tuple(replace(picture, image=picture.image[:, :40]) for picture in small.pictures)
    both = SimulatedSource([large, Place("tiny", cut)], replace(TINY, held_out=()))
    alone = SimulatedSource([large], replace(TINY, held_out=()))
    assert same(both.pool(0, 64, 0), alone.pool(0, 64, 0))
    with pytest.raises(ConfigError, match="no place has pictures of 128 pixels"):
        both.pool(0, 128, 0)


def test_a_stage_without_warmup_starts_at_the_full_learning_rate():
    assert training.rate_at(0, Stage(rate=1e-3, warmup=0)) == pytest.approx(1e-3)


def test_held_out_places_are_never_trained_on():
    started = trainer()
    assert [p.name for p in started.source.train] == ["here", "there"]
    assert [p.name for p in started.source.held] == ["elsewhere"]
    with pytest.raises(ConfigError, match="no imagery to train on"):
        trainer(replace(TINY, held_out=("here", "there", "elsewhere")))


@pytest.mark.parametrize("branch", ["spatial", "spectral"])
def test_branch_wise_fine_tuning_leaves_the_other_layers_bit_identical(branch):
    import re

    recipe = replace(TINY, stages=(TINY.stages[0], replace(TINY.stages[0], branch=branch)))
    run = trainer(recipe)
    run.recipe = replace(recipe, stages=recipe.stages[:1])
    run.run()
    run.recipe, run.state.stage = recipe, 1
    run._begin_stage(run.ema)
    before = {name: tensor.clone() for name, tensor in run.net.state_dict().items()}
    run.run()
    after = run.net.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    stem = tuple(f"{branch}_stem.norm.{part}" for part in ("running_mean", "running_var", "num_batches_tracked"))
    learnt = {name for name in before if re.match(BRANCHES[branch], name)}
    assert moved <= learnt | set(stem)
    assert len(moved & learnt) > 0.9 * len(learnt - set(stem))


def test_training_improves_on_the_base_on_new_scenes_of_its_places():
    stages = (replace(TINY.stages[0], steps=80, warmup=8, rate=6e-3),)
    recipe = replace(TINY, stages=stages, pool=4, residual_sigma=None)
    run = trainer(recipe)
    rng = np.random.default_rng(99)
    unseen = simulated_source.simulated_samples(run.source.train, recipe, 16, rng)

    def error() -> float:
        net = SSNet(recipe.config(16))
        load_state(net, run.ema)
        with torch.inference_mode():
            x_t = torch.randn(unseen["residual"].shape, generator=torch.Generator().manual_seed(0))
            cond = [unseen[key] for key in ("lms", "pan", "ms")]
            x0 = net.eval()(x_t, torch.tensor([999]), *cond)
        return float((x0 * run.sigma - unseen["residual"]).abs().mean())

    base = float(unseen["residual"].abs().mean())
    assert error() == pytest.approx(base, rel=1e-5)
    run.run()
    assert error() < 0.98 * base


def simulated_block(views=()) -> Block:
    rng = np.random.default_rng(5)
    drawn = simulate.draw(sensors.get("gf2"), NAIP, False, 2.0, rng)
    scene = simulate.make([PLACES[0].pictures[0]], drawn, 4, rng, 32)[0]
    survey = Survey("mtf-glp-fs", tuple(map(float, drawn.believed_mtf)), 4, "cubic", views=views)
    return replace(scene.block, stats=survey.stats(survey.gather(scene.block)))


@pytest.mark.parametrize("views", [(), ("bt-h",)])
def test_the_network_inputs_in_training_are_those_of_the_engine(views):
    """Compares the inputs that training computes with those of the engine."""
    run = trainer(replace(TINY, stages=(replace(TINY.stages[0], tile=32),), net={"keys": 8}, views=views))
    block = simulated_block(views)
    seen = samples.conditions(block, run.recipe)
    engine = Engine(checkpoint.Weights(run.card({}), run.net.eval()), SamplingOptions("cpu"))
    canvas = engine._lay_out(block, *block.masks(), np.ones(block.pan.shape, bool))
    here = (slice(None), *block.core.within(canvas.cells.window))
    assert torch.allclose(canvas.pan[here], seen["pan"], atol=1e-4)
    assert torch.allclose(canvas.base[here], seen["lms"], atol=1e-4)
    assert len(canvas.pan) == 2 + 4 * len(views)


@pytest.mark.parametrize(("phase", "at"), [(None, 1.5), (2.0, 2.0)])
def test_ms_of_a_tile_is_interpolated_like_the_scene(phase, at):
    how = replace(TINY, base="lms", ms_phase=phase)
    seen = samples.conditions(replace(surveyed(smooth_scene(96, 96)), ms_at=(at, at)), how)
    tile = {key: value[0] for key, value in samples.cut(seen, [(16, 24)], 64, 4).items()}
    inner = (slice(None), slice(12, -12), slice(12, -12))  # what depends on nothing beyond the tile
    assert tile["lms"][inner].std() > 0.1
    assert torch.allclose(samples.interpolated(tile["ms"], how)[inner], tile["lms"][inner], atol=1e-4)


def test_a_view_is_the_classical_fusion_minus_the_base_in_the_units_of_the_bands():
    recipe, block = replace(TINY, views=("bt-h",)), simulated_block(("bt-h",))
    seen = samples.conditions(block, recipe)
    own = units("moments", block.stats, 4)
    fusion = torch.from_numpy(ClassicalEngine("bt-h").fuse(replace(block, stats=replace(block.stats, limits=()))))
    assert torch.allclose(seen["pan"][2:], own.of_ms(fusion) - seen["lms"], atol=1e-4)
    assert seen["pan"][2:].abs().max() > 0.1


def answer_of(run, block) -> np.ndarray:
    return Engine(checkpoint.Weights(run.card({}), copy.deepcopy(run.net).eval()), SamplingOptions("cpu")).fuse(block)


@pytest.mark.parametrize("guides", [1, 2])
def test_a_new_view_changes_nothing_before_training(guides):
    before = trainer(replace(TINY, guides=guides))
    before.run()
    start = checkpoint.Weights(before.card({}), before.net.eval())
    after = trainer(replace(TINY, views=("bt-h",), seed=7), start=start)
    block = simulated_block(("bt-h",))
    expected = answer_of(before, block)
    assert np.abs(answer_of(after, block) - expected).max() < 1e-3
    assert np.abs(expected - classical_base(block)).max() > 0.1
    after.run()
    fresh = after.net.spatial_stem.conv_in.weight[:, guides:6]
    assert (fresh.abs().amax((0, 2, 3)) > 0).all()
    assert np.abs(answer_of(after, block) - expected).max() > 0.01


def classical_base(block) -> np.ndarray:
    return ClassicalEngine("mtf-glp-fs").fuse(block)


def test_initial_weights_with_more_views_than_the_recipe_are_an_error():
    before = trainer(replace(TINY, views=("bt-h",)))
    with pytest.raises(WeightsError, match="the network lacks: band 1 of bt-h, band 2"):
        trainer(start=checkpoint.Weights(before.card({}), before.net))


def test_an_unknown_view_is_an_error():
    with pytest.raises(ConfigError, match=r"views are .'gsa',.; each of these may occur once: bt-h"):
        trainer(replace(TINY, views=("gsa",)))


def test_a_recipe_is_read_from_toml():
    text = 'id = "x"\nsensors = ["qb"]\nbands = ["r"]\nnet = { keys = 16 }\n[[stages]]\ntile = 64\nsteps = 5\n'
    recipe = read_recipe(text)
    assert (recipe.id, recipe.sensors, recipe.stages, recipe.net) == ("x", ("qb",), (Stage(64, 5),), {"keys": 16})
    for wrong in ("id = ", 'id = "x"\ncolour = 3'):
        with pytest.raises(ConfigError, match="invalid recipe"):
            read_recipe(wrong)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("colour = 3", "there is no entry 'colour'; the entries are id, sensors"),
        ("seed = -1", "seed must be 0 or more, not -1"),
        ("pool = 0", "pool must be more than 0, not 0"),
        ("pool = true", "pool must be a whole number, not True"),
        ('ratio = "4"', "ratio must be a whole number, not '4'"),
        ("held_out = 3", "held_out must be a list, not 3"),
        ("wavelengths_nm = ['red']", "each item of wavelengths_nm must be a number, not 'red'"),
        ("stages = 3", "stages must be a list of tables"),
        ("net = { colour = 1 }", "net has no entry 'colour'; its entries are widths, head"),
        ("[[stages]]\nsteps = 'many'", "steps must be a whole number, not 'many'"),
        ("[[stages]]\nbatch = 0", "batch must be more than 0, not 0"),
        ("[[stages]]\nrate = -1.0", "rate must be more than 0, not -1.0"),
        ("[[stages]]\nbranch = 'x'", "branch must be one of spatial, spectral, not 'x'"),
    ],
)
def test_an_invalid_recipe_is_an_error(entry, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        read_recipe(f'id = "x"\nsensors = ["qb"]\nbands = ["r"]\n{entry}')


@pytest.mark.parametrize("wrong", [{"samples": 65}, {"scale": "foo"}, {"interpolation": "foo"}, {"base": "foo"}])
def test_a_recipe_for_invalid_weights_is_refused_before_training(wrong):
    with pytest.raises(WeightsError, match=r"set 65 samples|scale foo|'foo' interpolation|have base 'foo'"):
        trainer(replace(TINY, **wrong))


def test_a_missing_entry_of_a_recipe_is_an_error():
    with pytest.raises(ConfigError, match="the entry sensors is missing"):
        read_recipe('id = "x"')


def test_the_bundled_recipes_are_valid():
    for path in (Path(__file__).parents[3] / "recipes").rglob("*.toml"):
        prefix = "ssdiff-" if path.parent.name == "paper" else ""
        assert read_recipe(path.read_text(encoding="utf-8")).id == prefix + path.stem


# --- networks on patches ---------------------------------------------------------------------------------------------

PATCHES = replace(TINY, net={"patch": 4, "blocks": 1, "widths": (32, 32, 32)}, quiet=0.5, reuse=3)


def recorded(learner: Trainer) -> list[tuple[dict, bool]]:
    """Runs a training; returns the batch of each step, and whether the network got noise."""
    batches, noisy = [], []
    step, predict = learner._step, learner._predict
    learner._step = lambda batch: batches.append(batch) or step(batch)
    learner._predict = lambda x_t, t, cond: noisy.append(x_t is not None) or predict(x_t, t, cond)
    learner.run()
    return list(zip(batches, noisy))


def test_a_pool_is_reused_in_other_orientations():
    recipe = replace(PATCHES, stages=(Stage(tile=16, steps=9, batch=8, warmup=1),), most=4, pool=4)
    learner = trainer(recipe)
    pool = learner.source.pool(0, 16, 0)
    batches = [batch for batch, _ in recorded(learner)]
    count = len(pool["pan"]) // 8
    assert 1 <= count <= 3
    assert all(torch.equal(batches[k]["pan"], pool["pan"][8 * k : 8 * k + 8]) for k in range(count))
    again = batches[count : 3 * count]
    assert len(again) == 2 * count
    for k, batch in enumerate(again):
        assert torch.allclose(batch["ms"].mean((2, 3)), batches[k % count]["ms"].mean((2, 3)), atol=1e-5)
    assert any(not torch.equal(batch["pan"], batches[k % count]["pan"]) for k, batch in enumerate(again))
    other = learner.source.pool(0, 16, 1)
    assert torch.equal(batches[3 * count]["pan"], other["pan"][:8])


def test_a_resumed_run_reuses_pools_as_an_uninterrupted_one(tmp_path):
    recipe = replace(PATCHES, stages=(Stage(tile=16, steps=7, batch=4, warmup=1),))
    whole = trainer(recipe)
    assert whole.run()
    done = False
    while not done:
        part = trainer(recipe)
        if (tmp_path / "checkpoint").exists():
            part.load(tmp_path / "checkpoint")
        done = part.run(tmp_path / "checkpoint", minutes=1e-9)
    assert same(part.ema, whole.ema)


@pytest.mark.parametrize("quiet", [0.0, 0.5, 1.0])
def test_a_share_of_the_steps_has_no_noise(quiet):
    recipe = replace(PATCHES, quiet=quiet, stages=(Stage(tile=16, steps=24, batch=4, warmup=1),))
    noisy = [flag for _, flag in recorded(trainer(recipe))]
    assert len(noisy) == 24
    assert 0.2 < 1 - np.mean(noisy) < 0.8 if quiet == 0.5 else np.mean(noisy) == 1 - quiet


def test_weights_trained_without_noise_say_so():
    for quiet in (0.0, 0.5):
        assert trainer(replace(PATCHES, quiet=quiet)).card({}).arch.quiet is (quiet > 0)
