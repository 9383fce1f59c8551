"""Training samples from a set of images with known truth, such as PanCollection (see domain.image_set).

A set is read in its order, a pool of consecutive images at a time; images are shuffled within their pool only.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..classical.scene_statistics import Survey
from ..common.errors import ConfigError
from ..domain import sensors
from ..domain.block import SceneStats
from ..domain.image_set import Images, ImageSet
from ..metrics.arrays import with_reference
from ..model.checkpoint import Weights
from ..model.diffusion import ddim_sample
from ..model.normalisation import Units, units
from ..weights.model_config import T
from .recipe import Recipe, Stage
from .samples import Samples, concatenated, cut, training_images
from .simulated_source import example_of

MEASURES = ("SAM", "ERGAS", "Q2n", "SCC")
"measures of the held-out images, means over the tiles"
EVALUATED = 32
"number of held-out images that the network sees at a time"
SHOWN = 8
"number of held-out images that an example for TensorBoard is chosen from"


class StoredSource:
    """A source of training samples (see trainer.Source) from a set of images. Each image is a scene of its own."""

    def __init__(self, images: ImageSet, held_out: ImageSet | None, recipe: Recipe):
        self.images, self.held_out, self.recipe = images, held_out, recipe
        for one in filter(None, (images, held_out)):
            _check(one, recipe)
        for stage in recipe.stages:
            self._check_pools(stage)
        sensor = sensors.get(recipe.sensors[0], len(recipe.bands))
        self._survey = Survey(recipe.base, sensor.mtf, recipe.ratio, recipe.interpolation, sensor.pan_mtf, recipe.views)

    def _check_pools(self, stage: Stage) -> None:
        smallest = min(count for _, count in self._parts()) * self._tiles_per_image(stage.tile)
        if smallest < stage.batch:
            raise ConfigError(
                f"{self.images.path} has {self.images.count} images, of which {self.recipe.pool} form a pool: that is "
                f"less than a batch of {stage.batch} tiles; set a smaller batch or a larger pool in the recipe"
            )

    def names(self) -> list[str]:
        """Returns the name of the file that is trained on."""
        return [self.images.path.name]

    # --- training ----------------------------------------------------------------------------------------------------

    def sigma(self) -> float:
        """Returns the standard deviation of the residual over the first pool, in the network's units."""
        return float(self.pool(0, self.recipe.stages[0].tile, 0)["residual"].std())

    def pools(self, stage: int, tile: int, first: int = 0) -> Iterator[Samples]:
        """Yields pools of shuffled samples without end; see trainer.Source."""
        return (self.pool(stage, tile, k) for k in itertools.count(first))

    def pool(self, stage: int, tile: int, k: int) -> Samples:
        """Returns pool k, which is the same whenever it is made. After the last images of the file the first follow."""
        parts = self._parts()
        images = self.images.read(*parts[k % len(parts)])
        samples = concatenated(self._tiles(images, number, tile)[0] for number in range(len(images.pan)))
        order = np.random.default_rng([self.recipe.seed, stage, k]).permutation(len(samples["pan"]))
        return {key: value[torch.from_numpy(order)] for key, value in samples.items()}

    def epoch(self, stage: Stage) -> int:
        """Returns the number of steps of a stage that use all images of the file (`reuse` of the recipe) times."""
        each = self._tiles_per_image(stage.tile)
        return sum(count * each // stage.batch for _, count in self._parts()) * self.recipe.reuse

    def _parts(self) -> list[tuple[int, int]]:
        """Returns the first image and the number of images of each pool of an epoch; the last pool has the rest too."""
        count, pool = self.images.count, self.recipe.pool
        starts = [k * pool for k in range(max(count // pool, 1))]
        return [(start, stop - start) for start, stop in zip(starts, [*starts[1:], count])]

    def _tiles_per_image(self, tile: int) -> int:
        return int(np.prod([n // tile for n in self.images.shape]))

    def _tiles(self, images: Images, number: int, tile: int) -> tuple[Samples, Units]:
        """Returns the tiles of an image, side by side from its first pixel, and its units."""
        samples, scaling = self._image(images, number)
        rows, cols = (range(0, n - tile + 1, tile) for n in images.pan.shape[1:])
        return cut(samples, itertools.product(rows, cols), tile, self.recipe.ratio), scaling

    def _image(self, images: Images, number: int) -> tuple[Samples, Units]:
        """Returns the inputs of the network and the residual for an image, and its units."""
        recipe, stats = self.recipe, SceneStats()
        if self._as_stored:
            scaling = units(recipe.scale, stats, len(recipe.bands))
            arrays = (images.pan, images.ms, images.lms, images.truth)
            pan, ms, lms, truth = (torch.from_numpy(array[number]) for array in arrays)
            lms = scaling.of_ms(lms)
            seen = {"pan": scaling.of_pan(pan)[None], "lms": lms, "ms": scaling.of_ms(ms)}
            return {**seen, "residual": scaling.of_ms(truth) - lms}, scaling
        block = images.block(number, recipe.interpolation)
        block = replace(block, stats=self._survey.stats(self._survey.gather(block)))
        scaling = units(recipe.scale, block.stats, len(recipe.bands))
        return training_images(images.truth[number], block, recipe), scaling

    @property
    def _as_stored(self) -> bool:
        """Whether the network sees pan, ms and lms as they are in the file, in units of a fixed number of counts."""
        recipe = self.recipe
        plain = recipe.base == "lms" and recipe.guides == 1 and not recipe.views
        stored = recipe.interpolation == "23tap" and recipe.ms_phase == recipe.ratio / 2
        return plain and stored and not isinstance(recipe.scale, str)

    # --- held-out images ---------------------------------------------------------------------------------------------

    def evaluate(self, weights: Weights) -> dict[str, float] | None:
        """Returns the means of the measures over the tiles of all held-out images, with the steps of the card.

        `error` is the RMSE relative to that of the base.
        """
        if not self.held_out:
            return None
        rows = []
        for first in range(0, self.held_out.count, EVALUATED):
            images = self.held_out.read(first, min(EVALUATED, self.held_out.count - first))
            tiles, scalings, predicted = self._predicted(weights, images, first)
            for k, scaling in enumerate(scalings):
                residual, found = tiles["residual"][k], predicted[k]
                base, one, zero = tiles["lms"][k], scaling.ones, scaling.zeros
                fused, truth = ((zero + one * (base + each)).numpy() for each in (found, residual))
                values = with_reference(fused, truth, self.recipe.ratio, rounded=True)
                error = ((found - residual).square().mean() / residual.square().mean()).sqrt()
                rows.append([float(error), *(values[name] for name in MEASURES)])
        return dict(zip(("error", *MEASURES), np.mean(rows, axis=0).tolist()))

    def examples(self, weights: Weights, scenes: int = 4) -> list[dict[str, np.ndarray]]:
        """Returns the tile with the most detail in PAN of some parts of the held-out set; see SimulatedSource."""
        last, found = max(self.held_out.count - SHOWN, 0), []
        for first in sorted({last * k // max(scenes - 1, 1) for k in range(scenes)}):
            images = self.held_out.read(first, min(SHOWN, self.held_out.count - first))
            tiles, _, predicted = self._predicted(weights, images, first)
            found.append(example_of(tiles, predicted, self.recipe))
        return found

    def _predicted(self, weights: Weights, images: Images, first: int) -> tuple[Samples, list[Units], Tensor]:
        """Returns the tiles of images, the units of each tile, and the predicted residuals.

        first: number of the first image, which determines the noise.
        """
        net, card, scalings, parts = weights.net, weights.card, [], []
        for number in range(len(images.pan)):
            tiles, scaling = self._tiles(images, number, net.config.tile)
            parts.append(tiles)
            scalings += [scaling] * len(tiles["pan"])
        tiles, device = concatenated(parts), next(net.parameters()).device
        seen = [tiles[key].to(device) for key in ("lms", "pan", "ms")]
        with torch.inference_mode():
            if net.config.quiet and card.steps == card.samples == 1:
                x0 = net(None, torch.full((1,), T - 1, device=device), *seen)
            else:
                noise = torch.randn(tiles["residual"].shape, generator=torch.Generator().manual_seed(first))
                x0 = ddim_sample(lambda x_t, t: net(x_t, t, *seen), noise.to(device), card.steps)
        return tiles, scalings, x0.cpu() * card.residual_sigma[0]


def _check(images: ImageSet, recipe: Recipe) -> None:
    """Raises ConfigError if a recipe cannot be trained or evaluated with a set."""
    tile = max(stage.tile for stage in recipe.stages)
    faults = {
        "it has no gt: it is a set at full resolution, without the true images": not images.has_truth,
        f"it has {images.bands} bands, and the recipe {len(recipe.bands)}": images.bands != len(recipe.bands),
        f"its ratio is {images.ratio}, and that of the recipe {recipe.ratio}": images.ratio != recipe.ratio,
        f"the recipe names {len(recipe.sensors)} sensors, and a set is of one": len(recipe.sensors) != 1,
        f"its images have {images.shape[0]} x {images.shape[1]} pixels, fewer than tiles of {tile}": min(images.shape)
        < tile,
    }
    reason = next((reason for reason, fault in faults.items() if fault), None)
    if reason:
        raise ConfigError(f"{images.path} does not fit the recipe {recipe.id}: {reason}")
