"""Training samples and held-out scores from the user's own scenes."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from functools import reduce

import numpy as np
import torch

from ..classical.scene_statistics import Survey
from ..domain.block import Block, SceneStats
from ..domain.kernels import reflect
from ..domain.options import SamplingOptions
from ..domain.sensors import Sensor
from ..fusion.engine import Engine
from ..fusion.tiles import rotate
from ..metrics.reference import PixelSums
from ..model.checkpoint import Weights
from ..training import samples
from ..training.recipe import Recipe
from ..training.samples import Samples
from .wald_pair import Optics, Pair, Piece, make_pair, with_stats

PIECES_PER_POOL = 6
"maximum number of pieces that a pool of samples is taken from at a time"
MINIMUM_POOL = 64
"minimum number of tiles in a pool"
TILE_OVERLAP = 2
"number of tiles cut from a piece, as a multiple of those that fit into it side by side"
MINIMUM_TRAINABLE_SHARE = 0.25
"minimum share of a tile that may be trained on"
ANCHOR_SHARES = (2.0, 4.0)
"""minimum and maximum number of samples at native resolution for each one at reduced resolution; their target is the
initial fusion"""
LARGE_SCENE = 40_000
"MS samples to train on from which the minimum is enough; with fewer samples, what is learnt from them is less general"
MTF_JITTER = 0.15
"standard deviation of the random factor on the sensors' MTFs"
PAN_JITTER = 0.1
"standard deviation of the random offset of PAN, in pixels of the pair"
NEGLIGIBLE_SCORE = 1e-6
"a score below this cannot be improved; for example, a single band has no spectral angle"


class SceneSource:
    """A source of training samples (see training.trainer.Source) from pieces of scenes.

    The scene statistics for training are fitted to the training pieces, those for the held-out scores to all pieces.
    """

    def __init__(self, train: list[Piece], held_out: list[Piece], sensor: Sensor, recipe: Recipe, device: str = "cpu"):
        self.recipe, self.device = recipe, device
        self._optics = Optics(sensor.mtf, sensor.pan_mtf)
        self.ratio = train[0].ratio
        self.before: dict[str, float] = {}
        "held-out scores of the initial weights or method"
        self._pieces, self._held_out, self._anchors = train, held_out, []
        self._first_pools: dict[tuple[int, int], Samples] = {}
        self.survey = Survey(recipe.base, sensor.mtf, self.ratio, recipe.interpolation, sensor.pan_mtf, recipe.views)
        self._pairs = with_scene_stats(self._pairs_of(train), self.survey)
        self._held_out_pairs = self.held_out_pairs(self.survey)

    @property
    def stats(self) -> SceneStats:
        """The statistics of the first scene, degraded."""
        return self._pairs[0].block.stats

    def _pairs_of(self, pieces: list[Piece]) -> list[Pair]:
        return [make_pair(piece, self._optics) for piece in pieces]

    # --- training ----------------------------------------------------------------------------------------------------

    def sigma(self) -> float:
        """Returns the standard deviation of the residual over all training pairs."""
        images = (samples.training_images(pair.truth, pair.block, self.recipe) for pair in self._pairs)
        residual = torch.cat([each["residual"].flatten() for each in images])
        return float(residual[residual.isfinite()].std())

    def pools(self, stage: int, tile: int, first: int = 0) -> Iterator[Samples]:
        """Yields pools of shuffled samples without end; see training.trainer.Source."""
        for k in itertools.count(first):
            if k == 0 and (stage, tile) in self._first_pools:
                yield self._first_pools.pop((stage, tile))
                continue
            pool = self._pool(stage, tile, k)
            if k == 0:  # for the training after its trial steps
                self._first_pools[stage, tile] = pool
            yield pool

    def _pool(self, stage: int, tile: int, k: int) -> Samples:
        rng = np.random.default_rng([self.recipe.seed, stage, k])
        parts, count = [], 0
        while count < MINIMUM_POOL:
            for number in rng.permutation(len(self._pieces))[:PIECES_PER_POOL]:
                parts.append(self._pair_tiles(self._pairs[number], tile, rng))
                count += len(parts[-1]["pan"])
        parts += [self._anchor_tiles(tile, self._anchor_share * count, rng)] if self._anchors else []
        pool = samples.concatenated(parts)
        order = torch.from_numpy(rng.permutation(len(pool["pan"])))
        return {key: value[order] for key, value in pool.items()}

    @property
    def _anchor_share(self) -> float:
        """Returns the number of samples at native resolution for each one at reduced resolution."""
        low, high = ANCHOR_SHARES
        return min(max(low, LARGE_SCENE / sum(piece.ms[0].size for piece in self._pieces)), high)

    def add_anchors(self, images: Sequence[np.ndarray], blocks: Sequence[Block]) -> None:
        """Adds blocks at native resolution to the samples, with their initial fusions as targets."""
        self._first_pools.clear()
        self._anchors = [samples.training_images(image, block, self.recipe) for image, block in zip(images, blocks)]

    def _anchor_tiles(self, tile: int, count: float, rng: np.random.Generator) -> Samples:
        each = math.ceil(count / len(self._anchors))
        return samples.concatenated([self._random_tiles(images, tile, each, rng) for images in self._anchors])

    def _pair_tiles(self, pair: Pair, tile: int, rng: np.random.Generator) -> Samples:
        """Returns tiles of a pair, degraded with slightly different MTFs and another offset of PAN."""
        varied = with_stats(make_pair(pair.piece, with_jitter(pair.optics, rng)), pair.block.stats)
        images = samples.training_images(varied.truth, varied.block, self.recipe)
        count = max(round(TILE_OVERLAP * images["residual"][0].numel() / tile**2), 1)
        return self._random_tiles(images, tile, count, rng)

    def _random_tiles(self, images: Samples, tile: int, count: int, rng: np.random.Generator) -> Samples:
        """Returns up to `count` tiles at random positions, with enough pixels to train on."""
        images = padded_to_tile(images, tile, self.recipe.ratio)
        ratio, trainable = self.recipe.ratio, images["residual"].isfinite().all(0)
        spans = [(n - tile) // ratio + 1 for n in trainable.shape]
        corners = [tuple(int(rng.integers(n)) * ratio for n in spans) for _ in range(4 * count)]
        shares = [float(trainable[r : r + tile, c : c + tile].float().mean()) for r, c in corners]
        selected = [corner for corner, share in zip(corners, shares) if share >= MINIMUM_TRAINABLE_SHARE][:count]
        selected = selected or [corners[int(np.argmax(shares))]]
        tiles = samples.cut(images, selected, tile, ratio)
        return randomly_rotated(tiles, rng) if self.recipe.ms_phase in (None, (ratio - 1) / 2) else tiles

    # --- held-out scores ---------------------------------------------------------------------------------------------

    def held_out_pairs(self, survey: Survey) -> list[Pair]:
        """Returns the held-out pairs with the scene statistics of the survey."""
        return with_scene_stats(self._pairs_of([*self._held_out, *self._pieces]), survey)[: len(self._held_out)]

    def evaluate(self, weights: Weights) -> dict[str, float]:
        """Returns the held-out scores, and `error`: their mean ratio to the initial scores.

        The error is the geometric mean of the ratios of ERGAS and SAM, or the larger one if it is above 1.
        """
        found = scores(self._held_out_pairs, engine_of(weights, self.device).fuse)
        before = {name: self.before.get(name, value) for name, value in found.items()}
        ratios = [value / before[name] for name, value in found.items() if before[name] > NEGLIGIBLE_SCORE] or [1.0]
        return {"error": max(ratios) if max(ratios) > 1 else math.prod(ratios) ** (1 / len(ratios)), **found}


def engine_of(weights: Weights, device: str) -> Engine:
    """Returns the engine that weights are judged with; on a processor without the trial of half precision."""
    precision = "float32" if device == "cpu" else "auto"
    return Engine(weights, SamplingOptions(device), precision=precision, notify=lambda notice: None)


def scores(pairs: Sequence[Pair], fuse: Callable[[Block], np.ndarray]) -> dict[str, float]:
    """Returns ERGAS and SAM of the fused pairs against their truth."""
    sums = reduce(operator.add, (_error_sums(pair, fuse(pair.block)) for pair in pairs))
    return {"ERGAS": sums.ergas(pairs[0].piece.ratio), "SAM": float(sums.angle.value)}


def _error_sums(pair: Pair, fused: np.ndarray) -> PixelSums:
    image, truth = (np.asarray(each, np.float64) for each in (fused, pair.truth))
    ok = np.isfinite(image).all(0) & np.isfinite(truth).all(0)
    return PixelSums.of(np.where(ok, image, 0), np.where(ok, truth, 0), ok, rounded=False)


def with_scene_stats(pairs: list[Pair], survey: Survey) -> list[Pair]:
    """Returns the pairs with the statistics of their scenes."""
    stats = {}
    for scene in {pair.piece.scene for pair in pairs}:
        gathered = [survey.gather(pair.block) for pair in pairs if pair.piece.scene == scene]
        stats[scene] = survey.stats(reduce(operator.add, gathered))
    return [with_stats(pair, stats[pair.piece.scene]) for pair in pairs]


def with_jitter(optics: Optics, rng: np.random.Generator) -> Optics:
    """Returns slightly different MTFs and a random offset of PAN; the MTFs of all bands mostly vary together."""

    def varied(gain: float, log_factor: float) -> float:
        return float(np.clip(gain * np.exp(log_factor + rng.normal(0, MTF_JITTER / 3)), 0.01, 0.7))

    ms_factor, pan_factor = rng.normal(0, MTF_JITTER, 2)
    mtf = tuple(varied(gain, ms_factor) for gain in optics.mtf)
    return Optics(mtf, varied(optics.pan_mtf, pan_factor), tuple(rng.normal(0, PAN_JITTER, 2)))


def padded_to_tile(images: Samples, tile: int, ratio: int) -> Samples:
    """Crops images to whole MS samples and pads them to at least one tile.

    The padding mirrors the image on both sides, as in the engine, and is excluded from training.
    """
    sizes = [n // ratio * ratio for n in images["residual"].shape[1:]]
    missing = [-(-max(tile - n, 0) // (2 * ratio)) * ratio for n in sizes]  # on each side

    def padded(image: torch.Tensor, step: int) -> torch.Tensor:
        rows, cols = (
            torch.from_numpy(reflect(np.arange(-more // step, (n + more) // step), 0, n // step).astype(np.int64))
            for n, more in zip(sizes, missing)
        )
        return image[:, rows[:, None], cols]

    out = {key: padded(image, ratio if key == "ms" else 1) for key, image in images.items()}
    for axis, (n, more) in enumerate(zip(sizes, missing), 1):
        if more:
            for start, length in ((0, more), (n + more, more)):
                out["residual"].narrow(axis, start, length).fill_(torch.nan)
    return out


def randomly_rotated(tiles: Samples, rng: np.random.Generator) -> Samples:
    """Rotates and flips each tile at random."""
    rotations = [(int(rng.integers(4)), bool(rng.integers(2))) for _ in tiles["pan"]]
    return {
        key: torch.stack([rotate(image, turn) for image, turn in zip(value, rotations)]) for key, value in tiles.items()
    }
