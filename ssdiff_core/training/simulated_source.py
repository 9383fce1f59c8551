"""Endless training samples from scenes that are simulated from imagery (see simulate)."""

from __future__ import annotations

import dataclasses
import itertools
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch

from ..classical.scene_statistics import Survey
from ..common.errors import ConfigError
from ..domain import sensors
from ..model.checkpoint import Weights
from ..weights.model_config import T
from . import simulate
from .recipe import Recipe
from .samples import Samples, concatenated, cut, interpolated, training_images


@dataclass(frozen=True)
class Place:
    """A place: pictures that can form one scene."""

    name: str
    pictures: tuple[simulate.Picture, ...]

    @property
    def soft(self) -> bool:
        """Returns whether its pictures are as coarse as those of satellites."""
        return self.pictures[0].soft

    @property
    def smallest(self) -> int:
        """The pixels along the shortest side of its pictures."""
        return min(min(picture.image.shape[1:]) for picture in self.pictures)


class SimulatedSource:
    """A source of training samples (see trainer.Source). Some places are held out completely."""

    def __init__(
        self, places: list[Place], recipe: Recipe, pool_maker: Callable[[int, int, int], Iterator] | None = None
    ):
        """pool_maker: makes the same pools in other processes, as arrays (see inprocess.sample_processes).

        Its arguments are the stage, the tile side and the number of the first pool.
        """
        self.recipe, self._pool_maker = recipe, pool_maker
        self.train = [place for place in places if not _is_held_out(place.name, recipe)]
        self.held = [place for place in places if _is_held_out(place.name, recipe)]
        if not self.train:
            raise ConfigError("there is no imagery to train on: every place is held out by `held_out` of the recipe")

    def names(self) -> list[str]:
        """Returns the names of the places that are trained on."""
        return [place.name for place in self.train]

    def sigma(self) -> float:
        """Returns the standard deviation of the residual over some scenes, in the network's units."""
        rng = np.random.default_rng([self.recipe.seed, 10**6])
        tile = self.recipe.stages[0].tile
        residuals = [simulated_samples(self.train, self.recipe, tile, rng)["residual"].flatten() for _ in range(32)]
        return float(torch.cat(residuals).std())

    def pools(self, stage: int, tile: int, first: int = 0) -> Iterator[Samples]:
        """Yields pools of shuffled samples of many scenes; see trainer.Source."""
        if not self._pool_maker:
            return (self.pool(stage, tile, k) for k in itertools.count(first))
        pools = self._pool_maker(stage, tile, first)
        return ({key: torch.from_numpy(array) for key, array in pool.items()} for pool in pools)

    def pool(self, stage: int, tile: int, k: int) -> Samples:
        """Returns pool k, which is the same whenever it is made."""
        recipe, rng = self.recipe, np.random.default_rng([self.recipe.seed, stage, k])
        pool = concatenated(simulated_samples(self.train, recipe, tile, rng) for _ in range(recipe.pool))
        order = torch.from_numpy(rng.permutation(len(pool["pan"])))
        return {key: value[order] for key, value in pool.items()}

    def evaluate(self, weights: Weights, scenes: int = 12) -> dict[str, float] | None:
        """Returns the error on simulated scenes of held-out places: RMSE of one step relative to that of the base."""
        if not self.held:
            return None
        ratios = []
        for images, predicted in self._predictions(weights, scenes):
            error = (predicted - images["residual"]).square().mean() / images["residual"].square().mean()
            ratios.append(float(error.sqrt()))
        return {"error": float(np.mean(ratios))}

    def examples(self, weights: Weights, scenes: int = 4) -> list[dict[str, np.ndarray]]:
        """Returns the tile with the most detail in PAN of some held-out scenes, in the network's units.

        Each example has the interpolated MS, the base, the network's answer and the truth.
        """
        return [example_of(images, predicted, self.recipe) for images, predicted in self._predictions(weights, scenes)]

    def _predictions(self, weights: Weights, scenes: int) -> Iterator[tuple[Samples, torch.Tensor]]:
        """Yields simulated scenes of held-out places, always the same ones, and the predicted residual of each."""
        net, sigma = weights.net, weights.card.residual_sigma[0]
        device = next(net.parameters()).device
        for k in range(scenes):
            rng = np.random.default_rng([self.recipe.seed, 2 * 10**6, k])
            images = simulated_samples(self.held, self.recipe, net.config.tile, rng)
            images = {key: value[:8].to(device) for key, value in images.items()}
            noise = None
            if not net.config.quiet:
                noise = torch.randn(images["residual"].shape, generator=torch.Generator().manual_seed(k)).to(device)
            with torch.inference_mode():
                t = torch.full((1,), T - 1, device=device)
                x0 = net(noise, t, *(images[key] for key in ("lms", "pan", "ms")))
            yield images, x0 * sigma


def example_of(images: Samples, predicted: torch.Tensor, recipe: Recipe) -> dict[str, np.ndarray]:
    """Returns the tile with the most detail in PAN: the interpolated MS, the base, the network's answer, the truth."""
    tile = int(images["pan"][:, 0].flatten(1).std(1).argmax())
    ms, base, residual = (images[key][tile].cpu() for key in ("ms", "lms", "residual"))
    example = {
        "MS": interpolated(ms, recipe),
        "base": base,
        "answer": base + predicted[tile].cpu(),
        "truth": base + residual,
    }
    return {name: image.numpy() for name, image in example.items()}


def _is_held_out(name: str, recipe: Recipe) -> bool:
    return any(part in name for part in recipe.held_out)


def simulated_samples(places: list[Place], recipe: Recipe, tile: int, rng: np.random.Generator) -> Samples:
    """Returns samples of one simulated scene with a random place, sensor and random parameters.

    Places whose pictures are smaller than a tile are not drawn.
    """
    places = [place for place in places if place.smallest >= tile]
    if not places:
        raise ConfigError(f"no place has pictures of {tile} pixels along each side: set smaller tiles in the recipe")
    share = np.sqrt([sum(p.image[0].size for p in place.pictures) for place in places])
    place = places[rng.choice(len(places), p=share / share.sum())]
    names = recipe.sensors
    sensor = sensors.get(names[rng.integers(len(names))], len(recipe.bands))
    drawn = simulate.draw(
        sensor, place.pictures[0].wavelengths, place.soft, place.smallest / tile, rng, recipe.unshared
    )
    n = min(int(rng.choice([1, 2, 4, 8])), len(place.pictures))
    chosen = [place.pictures[i] for i in rng.permutation(len(place.pictures))[:n]]
    scenes = simulate.make(chosen, drawn, recipe.ratio, rng, max(tile, 16))
    most = max(1, recipe.most // n)
    return samples(scenes, drawn.believed_mtf, recipe, tile, most, rng)


def samples(scenes: list[simulate.Scene], believed_mtf, recipe: Recipe, tile: int, most: int, rng) -> Samples:
    """Returns tiles of the pictures of one scene: the inputs of the network and the residual."""
    mtf = tuple(map(float, believed_mtf))
    survey = Survey(recipe.base, mtf, recipe.ratio, recipe.interpolation, views=recipe.views)
    stats = survey.stats(reduce(operator.add, (survey.gather(scene.block) for scene in scenes)))
    return concatenated(_tiles(scene, stats, recipe, tile, most, rng) for scene in scenes)


def _tiles(scene: simulate.Scene, stats, recipe: Recipe, tile: int, most: int, rng) -> Samples:
    block = dataclasses.replace(scene.block, stats=stats)
    rows, cols = (range(0, n - tile + 1, tile) for n in block.pan.shape)
    corners = [(r, c) for r in rows for c in cols]
    chosen = [corners[i] for i in rng.permutation(len(corners))[:most]]
    return cut(training_images(scene.truth, block, recipe), chosen, tile, recipe.ratio)
