"""Scenes and weights for tests of the engine."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

from ssdiff_core.classical.scene_statistics import Survey
from ssdiff_core.domain.block import Block, SceneStats
from ssdiff_core.domain.window import Window
from ssdiff_core.fusion import network_inputs
from ssdiff_core.model.checkpoint import Weights, save
from ssdiff_core.model.networks import Network, network
from ssdiff_core.model.ssnet import SSNet, load_state, state_of, widened
from ssdiff_core.weights.card import Card
from ssdiff_core.weights.model_config import VIEWS, Config

SMALL = (32, 32, 32)
"widths of the smallest network"
SAMPLE = Path(__file__).parents[2] / "resources" / "sample" / "eureka.npz"


@cache
def sample_scene() -> Block:
    """Returns the real scene that ships with the project."""
    with np.load(SAMPLE) as file:
        pan, ms = file["pan"].astype(np.float32), file["ms"].astype(np.float32).transpose(2, 0, 1)
    return scene_of(pan, ms)


def scene_of(pan, ms, ms_at=None, origin=(0, 0), valid=None, ratio=None) -> Block:
    """Returns a block that is a whole scene, with its statistics."""
    ratio = ratio or round(pan.shape[0] / ms.shape[1])
    ms_at = ms_at or (origin[0] + (ratio - 1) / 2, origin[1] + (ratio - 1) / 2)
    window = Window(*origin, *pan.shape)
    block = Block(pan, ms, ms_at, ratio, window, window, valid)
    return network_inputs.fitted(block, (0.3,) * len(ms), "cubic", VIEWS)


def smooth_scene(height=150, width=170, bands=4, ratio=4, seed=0, origin=(0, 0)) -> Block:
    """Returns a synthetic scene with detail at all scales; its sides need not be multiples of the ratio."""
    rng = np.random.default_rng(seed)
    tall, wide = -(-height // ratio) * ratio, -(-width // ratio) * ratio
    r, c = np.mgrid[:tall, :wide]
    truth = np.stack(
        [
            600
            + sum(
                rng.uniform(20, 90) * np.sin(r * rng.uniform(0.02, 1) + c * rng.uniform(0.02, 1) + rng.uniform(0, 6))
                for _ in range(8)
            )
            for _ in range(bands)
        ]
    )
    pan = truth.mean(0)[:height, :width] + rng.normal(0, 5, (height, width))
    ms = truth.reshape(bands, tall // ratio, ratio, wide // ratio, ratio).mean((2, 4))
    return scene_of(pan.astype(np.float32), ms.astype(np.float32), origin=origin, ratio=ratio)


@cache
def stiff_weights(
    bands=4, base="mtf-glp-fs", ratio=4, tile=64, scale="scene", sigma=0.5, kernel="cubic", noisy=True
) -> Weights:
    """Returns weights of a small random network whose output depends on all inputs at every pixel."""
    net = small_network(Config(bands=bands, ratio=ratio, tile=tile, widths=SMALL, keys=4, noisy=noisy))
    names = tuple(f"b{i}" for i in range(bands))
    return Weights(
        Card(
            *("stiff", "general", names, (sigma,) * bands, net.config),
            ratio=ratio,
            base=base,
            scale=scale,
            interpolation=kernel,
        ),
        net.requires_grad_(False),
    )


@cache
def patch_weights(bands=4, ratio=4, scale="moments", quiet=True, blocks=2, views=VIEWS, **arch) -> Weights:
    """Returns weights of a small random convolutional network on patches. arch: more of its configuration."""
    config = Config(
        bands=bands,
        ratio=ratio,
        tile=16 * ratio,
        widths=SMALL,
        guides=2,
        views=views,
        patch=ratio,
        blocks=blocks,
        quiet=quiet,
        **arch,
    )
    names = tuple(f"b{i}" for i in range(bands))
    card = Card("patches", "general", names, (0.1,) * bands, config, ratio=ratio, base="mtf-glp-fs", scale=scale)
    card = replace(card, interpolation="cubic")
    return Weights(card, small_network(config).requires_grad_(False))


def small_network(config: Config) -> Network:
    """Returns a network with random tensors, also where an untrained one has zeros and would ignore its input."""
    torch.manual_seed(0)
    net = network(config).eval()
    for tensor in state_of(net).values():
        if not tensor.any():
            tensor.normal_(std=0.1)
    return net


def with_views(weights: Weights) -> Weights:
    """Returns the weights with all views as inputs, and with an output that depends on them."""
    had, arch = weights.card.arch, replace(weights.card.arch, views=VIEWS)
    state, generator = widened(state_of(weights.net), had, arch), torch.Generator().manual_seed(1)
    state["spatial_stem.conv_in.weight"][:, had.guides : len(arch.seen)].normal_(std=0.3, generator=generator)
    for name, tensor in state.items():
        if not tensor.any():  # layers of zeros would ignore their inputs
            state[name] = torch.empty_like(tensor).normal_(std=0.1, generator=generator)
    net = SSNet(arch).eval().requires_grad_(False)
    load_state(net, state)
    return Weights(replace(weights.card, arch=arch), net)


def tiny_file(folder: Path) -> Path:
    """Writes a weights file of the smallest network; its output is random and depends on all inputs."""
    net = small_network(Config(bands=4, tile=32, widths=SMALL, keys=4))
    card = Card("tiny", "general", tuple("bgrn"), (0.5,) * 4, net.config, base="mtf-glp-fs", interpolation="cubic")
    save(folder / "tiny.safetensors", state_of(net), card)
    return folder / "tiny.safetensors"


def surveyed(scene: Block, mtf=None, of_bands=()) -> Block:
    """Returns the scene with the statistics for weights with the base MTF-GLP-FS and all views."""
    survey = Survey("mtf-glp-fs", mtf or scene.stats.mtf, scene.ratio, "cubic", views=VIEWS, groups=tuple(of_bands))
    return replace(scene, stats=survey.stats(survey.gather(scene)))


__all__ = [
    "SAMPLE",
    "SceneStats",
    "patch_weights",
    "sample_scene",
    "scene_of",
    "smooth_scene",
    "stiff_weights",
    "surveyed",
    "tiny_file",
    "with_views",
]
