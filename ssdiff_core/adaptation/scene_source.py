"""What weights are adapted to and judged by: pairs made of the user's own scenes, some of them never learnt from."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from functools import reduce

import numpy as np
import torch

from ..domain.block import Block
from ..domain.kernels import reflect
from ..domain.sensors import Sensor
from ..fusion.engine import Engine
from ..fusion.scene_statistics import Survey
from ..fusion.tiles import turned as lying
from ..metrics.reference import Likeness
from ..model.checkpoint import Weights
from ..training import samples
from ..training.recipe import Recipe
from ..training.samples import Samples
from .wald_pair import Look, Pair, Piece, pair, with_stats

PIECES = 6
"of which a pool is made, or fewer"
POOL = 128
"tiles of it, at least"
OVERLAP = 2
"tiles that are cut of a piece, as often as it holds them side by side"
LEARNT = 0.25
"share of a tile, at least, that may be learnt from"
ANCHORED = 0.5
"samples at native resolution, to be answered as before, for each at the coarser one"
JITTER = 0.15
"standard deviation by which the sensors' responses are varied, as a share of them"
WANDER = 0.1
"standard deviation of where PAN lies, in its pixels"
NONE = 1e-6
"of a score, so little that there is nothing to better: one band has no spectral angle"


class OwnScene:
    """A Trainer's source. Statistics are fitted to the pieces that are learnt from, and for judging to all."""

    def __init__(self, train: list[Piece], held: list[Piece], sensor: Sensor, recipe: Recipe, device: str = "cpu"):
        self.recipe, self.device = recipe, device
        self._look = Look(sensor.mtf, sensor.pan_mtf)
        self.ratio = train[0].ratio
        self.before: dict[str, float] = {}
        "scores of what is to be bettered, on what is held out"
        self._pieces, self._held, self._anchors = train, held, []
        self.survey = Survey(recipe.base, sensor.mtf, self.ratio, recipe.interpolation, sensor.pan_mtf, recipe.views)
        self._pairs = surveyed(self._made(train), self.survey)
        self._judged = self.judged(self.survey)

    def _made(self, pieces: list[Piece]) -> list[Pair]:
        return [pair(piece, self._look) for piece in pieces]

    # --- to learn from -----------------------------------------------------------------------------------------------

    def sigma(self) -> float:
        seen = (samples.known(made.truth, made.block, self.recipe) for made in self._pairs)
        whole = torch.cat([each["residual"].flatten() for each in seen])
        return float(whole[whole.isfinite()].std())

    def pools(self, stage: int, tile: int, first: int = 0) -> Iterator[Samples]:
        for k in itertools.count(first):
            rng = np.random.default_rng([self.recipe.seed, stage, k])
            parts, count = [], 0
            while count < POOL:
                for number in rng.permutation(len(self._pieces))[:PIECES]:
                    parts.append(self._tiles(self._pairs[number], tile, rng))
                    count += len(parts[-1]["pan"])
            parts += [self._anchored(tile, ANCHORED * count, rng)] if self._anchors else []
            pool = samples.together(parts)
            count = len(pool["pan"])
            order = torch.from_numpy(rng.permutation(count))
            yield {key: value[order] for key, value in pool.items()}

    def hold_on_to(self, images: Sequence[np.ndarray], blocks: Sequence[Block]) -> None:
        """Some of the samples shall be these blocks, answered as they were before."""
        self._anchors = [samples.known(image, block, self.recipe) for image, block in zip(images, blocks)]

    def _anchored(self, tile: int, wanted: float, rng: np.random.Generator) -> Samples:
        each = math.ceil(wanted / len(self._anchors))
        return samples.together([self._cut(seen, tile, each, rng) for seen in self._anchors])

    def _tiles(self, like: Pair, tile: int, rng: np.random.Generator) -> Samples:
        """Tiles of a pair as sensors a little different would have seen it."""
        made = with_stats(pair(like.piece, jittered(like.look, rng)), like.block.stats)
        seen = samples.known(made.truth, made.block, self.recipe)
        return self._cut(seen, tile, max(round(OVERLAP * seen["residual"][0].numel() / tile**2), 1), rng)

    def _cut(self, seen: Samples, tile: int, wanted: int, rng: np.random.Generator) -> Samples:
        """So many tiles, anywhere."""
        seen = mirrored(seen, tile, self.recipe.ratio)
        ratio, learnt = self.recipe.ratio, seen["residual"].isfinite().all(0)
        spans = [(n - tile) // ratio + 1 for n in learnt.shape]
        corners = [tuple(int(rng.integers(n)) * ratio for n in spans) for _ in range(4 * wanted)]
        share = [float(learnt[r : r + tile, c : c + tile].float().mean()) for r, c in corners]
        good = [corner for corner, there in zip(corners, share) if there >= LEARNT][:wanted]
        good = good or [corners[int(np.argmax(share))]]
        cut = samples.cut(seen, good, tile, ratio)
        return turned(cut, rng) if self.recipe.ms_phase in (None, (ratio - 1) / 2) else cut

    # --- to judge by -------------------------------------------------------------------------------------------------

    def judged(self, survey: Survey) -> list[Pair]:
        """What is held out, with what an engine wants to know of the scenes."""
        return surveyed(self._made([*self._held, *self._pieces]), survey)[: len(self._held)]

    def look(self, learnt: Weights) -> dict[str, float]:
        """`error`: how much of the error before is left, in ERGAS and SAM; above 1 if either has grown."""
        found = scores(self._judged, Engine(learnt, self.device, notify=lambda sentence: None).fuse)
        before = {name: self.before.get(name, value) for name, value in found.items()}
        shares = [value / before[name] for name, value in found.items() if before[name] > NONE] or [1.0]
        return {"error": max(shares) if max(shares) > 1 else math.prod(shares) ** (1 / len(shares)), **found}


def scores(pairs: Sequence[Pair], fuse: Callable[[Block], np.ndarray]) -> dict[str, float]:
    """ERGAS and SAM of what an engine makes of pairs."""
    sums = reduce(operator.add, (_likeness(made, fuse(made.block)) for made in pairs))
    return {"ERGAS": sums.ergas(pairs[0].piece.ratio), "SAM": float(sums.angle.value)}


def _likeness(made: Pair, fused: np.ndarray) -> Likeness:
    image, truth = (torch.from_numpy(np.asarray(each, np.float64)) for each in (fused, made.truth))
    ok = image.isfinite().all(0) & truth.isfinite().all(0)
    return Likeness.of(torch.where(ok, image, 0), torch.where(ok, truth, 0), ok, rounded=False)


def surveyed(pairs: list[Pair], survey: Survey) -> list[Pair]:
    """The pairs with what belongs to the whole of their scenes."""
    stats = {}
    for scene in {made.piece.scene for made in pairs}:
        own = [survey.gather(made.block) for made in pairs if made.piece.scene == scene]
        stats[scene] = survey.stats(reduce(operator.add, own))
    return [with_stats(made, stats[made.piece.scene]) for made in pairs]


def jittered(look: Look, rng: np.random.Generator) -> Look:
    def varied(gain: float, by: float) -> float:
        return float(np.clip(gain * np.exp(by + rng.normal(0, JITTER / 3)), 0.01, 0.7))

    together = rng.normal(0, JITTER, 2)
    mtf = tuple(varied(gain, together[0]) for gain in look.mtf)
    return Look(mtf, varied(look.pan_mtf, together[1]), tuple(rng.normal(0, WANDER, 2)))


def mirrored(seen: Samples, tile: int, ratio: int) -> Samples:
    """Images of whole MS samples, at least a tile large.

    What is missing is mirrored on both sides, as in the engine, but nothing is to be learnt there.
    """
    sizes = [n // ratio * ratio for n in seen["residual"].shape[1:]]
    missing = [-(-max(tile - n, 0) // (2 * ratio)) * ratio for n in sizes]  # on each side

    def laid_out(image: torch.Tensor, step: int) -> torch.Tensor:
        rows, cols = (
            torch.from_numpy(reflect(np.arange(-more // step, (n + more) // step), 0, n // step).astype(np.int64))
            for n, more in zip(sizes, missing)
        )
        return image[:, rows[:, None], cols]

    out = {key: laid_out(image, ratio if key == "ms" else 1) for key, image in seen.items()}
    for axis, (n, more) in enumerate(zip(sizes, missing), 1):
        if more:
            for start, length in ((0, more), (n + more, more)):
                out["residual"].narrow(axis, start, length).fill_(torch.nan)
    return out


def turned(tiles: Samples, rng: np.random.Generator) -> Samples:
    """Each tile turned and flipped at random."""
    how = [(int(rng.integers(4)), bool(rng.integers(2))) for _ in tiles["pan"]]
    return {key: torch.stack([lying(image, way) for image, way in zip(value, how)]) for key, value in tiles.items()}
