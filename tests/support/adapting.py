"""Small scenes and weights on which adapting has an effect within seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from files import write

from ssdiff_core.model import checkpoint
from ssdiff_core.model.ssnet import state_of
from ssdiff_core.training.recipe import Recipe, Stage
from ssdiff_core.training.trainer import Trainer

ROOT = Path(__file__).parents[2]
TINY = {"keys": 4, "widths": (32, 32, 32), "head": 32}
TINY_ON_PATCHES = {"patch": 4, "blocks": 1, "widths": (32, 32, 32)}


def textured(height: int, width: int, count: int = 4, seed: int = 0) -> np.ndarray:
    """Returns an image (bands, h, w) of fields of a few materials, with a texture that all bands share."""
    rng = np.random.default_rng(seed)
    fields = rng.integers(0, 6, (-(-height // 12), -(-width // 12)))
    colours = rng.uniform(200, 900, (6, count))[fields].transpose(2, 0, 1)
    image = np.kron(colours, np.ones((12, 12)))[:, :height, :width]
    return image * np.exp(rng.normal(0, 0.15, (height, width)))


def pair_of_files(folder, height=200, width=240, ratio=4, count=4, seed=0, at=0.0, change=None):
    """Writes PAN and MS of a synthetic scene to files; change(pan, ms) may modify the arrays first."""
    truth = textured(height, width, count, seed)
    pan = truth.mean(0)
    ms = truth.reshape(count, height // ratio, ratio, width // ratio, ratio).mean((2, 4))
    pan, ms = (np.rint(image).astype(np.uint16) for image in (pan, ms))
    if change:
        change(pan, ms)
    folder.mkdir(exist_ok=True)
    corner = 500_000.0, 4_000_000.0
    return (
        write(folder / "pan.tif", pan, (corner[0], 0.5, 0, corner[1], 0, -0.5), nodata=0),
        write(folder / "ms.tif", ms, (corner[0] + at, 0.5 * ratio, 0, corner[1], 0, -0.5 * ratio), nodata=0),
    )


def base_weights(
    folder, tile=32, count=4, ratio=4, wavelengths=(480.0, 550.0, 660.0, 830.0), off=1.0, net=TINY, sensors=("gf2",)
):
    """Writes untrained weights that predict too high values in every other band, and too low ones in the rest.

    With several sensors the weights are general.
    """
    torch.manual_seed(0)
    recipe = Recipe(
        "base", sensors, tuple(f"b{i}" for i in range(count)), wavelengths, ratio, stages=(Stage(tile),), net=net
    )
    trainer = Trainer(replace(recipe, residual_sigma=1.0), None, notify=lambda text: None)
    path, state = folder / "base.safetensors", state_of(trainer.net)
    sign = torch.tensor([1.0, -1.0] * count)[:count].repeat_interleave(net.get("patch", 1) ** 2)
    checkpoint.save(path, {**state, "head.2.bias": state["head.2.bias"] + off * sign}, trainer.card({}, "CC0"))
    return path


def short_runs(evaluations: int) -> str:
    """Returns statements for python_that with which a computing process evaluates less often and draws small pools.

    With so few steps, both would take longer than the training.
    """
    imports = f"sys.path.insert(0, {str(ROOT)!r})\nfrom ssdiff_core.adaptation import adapt, scene_source"
    return f"{imports}\nadapt.EVALUATIONS, scene_source.MINIMUM_POOL = {evaluations}, 16"
