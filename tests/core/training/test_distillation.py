"""Distillation: the target moves towards the teacher's answer by the share that the recipe sets."""

from dataclasses import replace

import pytest
import torch
from command import ssdiff

from recipes import place
from ssdiff_core.common.errors import ConfigError
from ssdiff_core.common.fingerprints import sha256_of
from ssdiff_core.inprocess import imagery
from ssdiff_core.model import checkpoint
from ssdiff_core.model.checkpoint import Weights
from ssdiff_core.model.networks import network
from ssdiff_core.training.distillation import Teacher
from ssdiff_core.training.recipe import Recipe, Stage
from ssdiff_core.training.trainer import Trainer
from ssdiff_core.weights.card import Card

RECIPE = Recipe(
    id="pupil",
    sensors=("qb",),
    bands=("blue", "green", "red", "nir"),
    stages=(Stage(tile=16, steps=40, batch=8, rate=3e-3, warmup=1),),
    quiet=1.0,
    noisiest=1.0,
    distilled=0.75,
    residual_sigma=2.0,
    net={"patch": 4, "blocks": 1, "widths": (32, 32, 32)},
)
CPU = torch.device("cpu")


def teacher_weights(**changes) -> Weights:
    """Weights on patches of RECIPE's kind, with random parameters."""
    recipe = replace(RECIPE, id="teacher", **changes)
    torch.manual_seed(5)
    net = network(recipe.config(16)).eval().requires_grad_(False)
    torch.nn.init.normal_(net.head[2].weight, std=0.05)
    card = Card(
        id=recipe.id,
        sensor="qb",
        bands=recipe.bands,
        ratio=4,
        scale=recipe.scale,
        residual_sigma=(2.0,) * 4,
        base=recipe.base,
        steps=1,
        arch=recipe.config(16),
    )
    return Weights(card, net)


def samples(count: int, seed: int = 1) -> dict:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"pan": (2, 16, 16), "lms": (4, 16, 16), "ms": (4, 4, 4), "residual": (4, 16, 16)}
    return {key: torch.randn(count, *shape, generator=generator) for key, shape in shapes.items()}


def test_the_target_is_the_truth_and_the_answer_in_the_shares_of_the_recipe():
    pool = samples(20)
    blends = [
        Teacher(teacher_weights(), replace(RECIPE, distilled=share), CPU).blend(pool)["residual"]
        for share in (0.5, 1.0)
    ]
    torch.testing.assert_close(blends[0], (pool["residual"] + blends[1]) / 2)
    assert (blends[1] - pool["residual"]).abs().mean() > 0.1


def test_unknown_pixels_stay_unknown():
    pool = samples(3)
    pool["residual"][1, :, 4:9] = torch.nan
    blended = Teacher(teacher_weights(), RECIPE, CPU).blend(pool)
    assert torch.equal(blended["residual"].isnan(), pool["residual"].isnan())


def test_a_pupil_comes_close_to_its_teacher():
    class Pools:
        """Random inputs whose truth is noise, so that only the teacher can be learned."""

        def pools(self, stage, tile, first=0):
            while True:
                first += 1
                yield samples(8, seed=first)

        def evaluate(self, weights):
            return None

    recipe = replace(RECIPE, distilled=1.0)
    trainer = Trainer(recipe, Pools(), notify=lambda text: None, teacher=teacher_weights())
    unseen = Teacher(teacher_weights(), recipe, CPU).blend(samples(8, seed=10**6))

    def error() -> float:
        with torch.no_grad():
            answer = trainer.net(None, torch.tensor([499]), *(unseen[key] for key in ("lms", "pan", "ms")))
        return float((answer * trainer.sigma - unseen["residual"]).square().mean())

    before = error()
    trainer.run()
    assert error() < 0.8 * before


@pytest.mark.parametrize("changes", [{"quiet": 0.0}, {"scale": 2047.0}, {"bands": RECIPE.bands[:3]}])
def test_teachers_of_another_kind_are_refused(changes):
    weights = teacher_weights()
    arch = replace(weights.card.arch, quiet=False) if "quiet" in changes else weights.card.arch
    arch = replace(arch, bands=3) if "bands" in changes else arch
    card = replace(weights.card, arch=arch, scale=changes.get("scale", weights.card.scale))
    with pytest.raises(ConfigError, match="teach"):
        Teacher(replace(weights, card=card), RECIPE, CPU)


@pytest.mark.parametrize(("teacher", "share"), [(None, 0.5), (teacher_weights(), 0.0)])
def test_a_share_and_a_teacher_need_each_other(teacher, share):
    with pytest.raises(ConfigError, match="teacher"):
        Trainer(replace(RECIPE, distilled=share), None, teacher=teacher)


PACK_RECIPE = """
id = "pupil"
sensors = ["qb"]
bands = ["blue", "green", "red", "nir"]
wavelengths_nm = [485, 560, 660, 830]
held_out = ["elsewhere"]
pool = 2
residual_sigma = 2.0
quiet = 1.0
distilled = 0.75
net = { patch = 4, blocks = 1, widths = [32, 32, 32] }
[[stages]]
tile = 16
steps = 2
batch = 4
"""


def test_the_command_trains_on_a_teacher_and_the_card_names_it(tmp_path):
    imagery.write_pack(tmp_path / "pack.npz", [place("here", 1), place("elsewhere", 2)])
    (tmp_path / "recipe.toml").write_text(PACK_RECIPE)
    teacher, out = tmp_path / "teacher.safetensors", tmp_path / "pupil.safetensors"
    checkpoint.save(teacher, teacher_weights().net.state_dict(), teacher_weights().card)
    words = ["train", tmp_path / "recipe.toml", tmp_path / "pack.npz", "-o", out, "--processes", "0", "--device", "cpu"]
    assert "needs a teacher" in ssdiff(*words, expect=1).stderr
    ssdiff(*words, "--teacher", teacher)
    training = checkpoint.load(out).card.training
    assert (training["teacher"], training["teacher_sha256"]) == ("teacher", sha256_of(teacher))
