"""Samples to train on without end, of scenes that are made up from imagery (simulate.py)."""

from __future__ import annotations

import dataclasses
import itertools
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch

from ..common.errors import ConfigError
from ..domain import sensors
from ..fusion.scene_statistics import Survey
from ..model.checkpoint import Weights
from ..weights.model_config import T
from . import simulate
from .recipe import Recipe
from .samples import Samples, cut, interpolated, known, together


@dataclass(frozen=True)
class Place:
    """Pictures that may be one scene together, and whether they are fine enough to be made coarser."""

    name: str
    pictures: tuple[simulate.Picture, ...]

    @property
    def soft(self) -> bool:
        return self.pictures[0].soft


class MadeUp:
    """What a Trainer learns from: places, of which some are held out whole, never tiles of one."""

    def __init__(
        self, places: list[Place], recipe: Recipe, elsewhere: Callable[[int, int, int], Iterator] | None = None
    ):
        """elsewhere: makes the same pools as arrays, of a stage and a tile side from a number on (see makers.py)."""
        self.recipe, self._elsewhere = recipe, elsewhere
        self.train = [place for place in places if not _held(place.name, recipe)]
        self.held = [place for place in places if _held(place.name, recipe)]
        if not self.train:
            raise ConfigError("there is no imagery to train on")

    def sigma(self) -> float:
        """How far the truth lies from the base, in the network's units."""
        rng = np.random.default_rng([self.recipe.seed, 10**6])
        tile = self.recipe.stages[0].tile
        seen = [made_up(self.train, self.recipe, tile, rng)["residual"].flatten() for _ in range(32)]
        return float(torch.cat(seen).std())

    def pools(self, stage: int, tile: int, first: int = 0) -> Iterator[Samples]:
        """Shuffled samples of many scenes. Pool k is the same whenever it is made."""
        if not self._elsewhere:
            return (self.pool(stage, tile, k) for k in itertools.count(first))
        made = self._elsewhere(stage, tile, first)
        return ({key: torch.from_numpy(array) for key, array in pool.items()} for pool in made)

    def pool(self, stage: int, tile: int, k: int) -> Samples:
        recipe, rng = self.recipe, np.random.default_rng([self.recipe.seed, stage, k])
        pool = together(made_up(self.train, recipe, tile, rng) for _ in range(recipe.pool))
        order = torch.from_numpy(rng.permutation(len(pool["pan"])))
        return {key: value[order] for key, value in pool.items()}

    def look(self, learnt: Weights, scenes: int = 12) -> dict[str, float] | None:
        """Root mean square error on made-up scenes of held-out places, one step, over that of the base; their mean."""
        if not self.held:
            return None
        shares = []
        for seen, answer in self._answered(learnt, scenes):
            error = (answer - seen["residual"]).square().mean() / seen["residual"].square().mean()
            shares.append(float(error.sqrt()))
        return {"error": float(np.mean(shares))}

    def examples(self, learnt: Weights, scenes: int = 4) -> list[dict[str, np.ndarray]]:
        """Of some held-out scenes the liveliest tile, in the network's units: MS interpolated, base, answer, truth."""
        return [_example(seen, answer, self.recipe) for seen, answer in self._answered(learnt, scenes)]

    def _answered(self, learnt: Weights, scenes: int) -> Iterator[tuple[Samples, torch.Tensor]]:
        """Scenes of held-out places, the same ones every time, and the residual that the network answers for each."""
        net, sigma = learnt.net, learnt.card.residual_sigma[0]
        device = next(net.parameters()).device
        for k in range(scenes):
            rng = np.random.default_rng([self.recipe.seed, 2 * 10**6, k])
            seen = made_up(self.held, self.recipe, net.config.tile, rng)
            seen = {key: value[:8].to(device) for key, value in seen.items()}
            noise = torch.randn(seen["residual"].shape, generator=torch.Generator().manual_seed(k)).to(device)
            with torch.inference_mode():
                t = torch.full((1,), T - 1, device=device)
                x0 = net(noise, t, *(seen[key] for key in ("lms", "pan", "ms")))
            yield seen, x0 * sigma


def _example(seen: Samples, answer: torch.Tensor, recipe: Recipe) -> dict[str, np.ndarray]:
    tile = int(seen["pan"][:, 0].flatten(1).std(1).argmax())
    ms, base, residual = (seen[key][tile].cpu() for key in ("ms", "lms", "residual"))
    shown = {
        "MS": interpolated(ms, recipe),
        "base": base,
        "answer": base + answer[tile].cpu(),
        "truth": base + residual,
    }
    return {name: image.numpy() for name, image in shown.items()}


def _held(name: str, recipe: Recipe) -> bool:
    return any(part in name for part in recipe.held_out)


def made_up(places: list[Place], recipe: Recipe, tile: int, rng: np.random.Generator) -> Samples:
    """Samples of one scene, all of it drawn."""
    share = np.sqrt([sum(p.image[0].size for p in place.pictures) for place in places])
    place = places[rng.choice(len(places), p=share / share.sum())]
    names = recipe.sensors
    sensor = sensors.get(names[rng.integers(len(names))], len(recipe.bands))
    smallest = min(min(picture.image.shape[1:]) for picture in place.pictures)
    if smallest < tile:
        raise ConfigError(
            f"{place.name} has a picture of {smallest} pixels that holds no tile of {tile}: "
            "leave it out, or let the recipe say smaller tiles"
        )
    drawn = simulate.draw(sensor, place.pictures[0].wavelengths, place.soft, smallest / tile, rng)
    n = min(int(rng.choice([1, 2, 4, 8])), len(place.pictures))
    chosen = [place.pictures[i] for i in rng.permutation(len(place.pictures))[:n]]
    scenes = simulate.make(chosen, drawn, recipe.ratio, rng, max(tile, 16))
    most = max(1, recipe.most // n)
    return samples(scenes, drawn.believed_mtf, recipe, tile, most, rng)


def samples(scenes: list[simulate.Scene], believed_mtf, recipe: Recipe, tile: int, most: int, rng) -> Samples:
    """Tiles of one scene's pictures as a network is shown them, and the residual that it shall answer."""
    mtf = tuple(map(float, believed_mtf))
    survey = Survey(recipe.base, mtf, recipe.ratio, recipe.interpolation, views=recipe.views)
    stats = survey.stats(reduce(operator.add, (survey.gather(scene.block) for scene in scenes)))
    return together(_tiles(scene, stats, recipe, tile, most, rng) for scene in scenes)


def _tiles(scene: simulate.Scene, stats, recipe: Recipe, tile: int, most: int, rng) -> Samples:
    block = dataclasses.replace(scene.block, stats=stats)
    rows, cols = (range(0, n - tile + 1, tile) for n in block.pan.shape)
    corners = [(r, c) for r in rows for c in cols]
    chosen = [corners[i] for i in rng.permutation(len(corners))[:most]]
    return cut(known(scene.truth, block, recipe), chosen, tile, recipe.ratio)
