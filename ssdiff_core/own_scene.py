"""What weights are adapted to and judged by: pairs made of the user's own scenes, some of them never learnt from."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from functools import reduce

import numpy as np
import torch

from . import samples
from .blocks import Block
from .engine import Engine
from .kernels import reflect
from .pieces import Look, Pair, Piece, pair, with_stats
from .referenced import Likeness
from .samples import Samples
from .sensors import Sensor
from .statistics import Survey
from .training import Recipe
from .weights import Weights

PIECES = 6
"of which a pool is made, or fewer, in several looks"
POOL = 128
"tiles of it, at least"
OVERLAP = 2
"tiles that are cut of a piece, as often as it holds them side by side"
LEARNT = 0.25
"share of a tile, at least, that may be learnt from"
JITTER = {"mtf": 0.03, "pan_mtf": 0.04, "off": 0.1}
"standard deviations: of the sensors' responses, and of where PAN lies, in its pixels"


class OwnScene:
    """A Trainer's source. Statistics are fitted as they would be to the pieces that are learnt from, and for judging to
    all."""

    def __init__(self, train: list[Piece], held: list[Piece], sensor: Sensor, recipe: Recipe, device: str = "cpu"):
        self.recipe, self.sensor, self.device = recipe, sensor, device
        self.before: dict[str, float] = {}
        "how good what is to be bettered is on what is held out"
        self._pieces, self._held = train, held
        survey = Survey(recipe.base, sensor.mtf, self.ratio, recipe.interpolation, sensor.pan_mtf, recipe.views)
        self._pairs = surveyed([pair(piece, self._plain) for piece in train], survey)
        self._stats = {made.piece.scene: made.block.stats for made in self._pairs}
        self._judged = self.judged(survey)

    @property
    def ratio(self) -> float:
        return self._pieces[0].ratio

    @property
    def _plain(self) -> Look:
        return Look(self.sensor.mtf, self.sensor.pan_mtf)

    # --- to learn from -----------------------------------------------------------------------------------------------

    def sigma(self) -> float:
        known = [samples.known(made.truth, made.block, self.recipe)["residual"].flatten() for made in self._pairs]
        whole = torch.cat(known)
        return float(whole[whole.isfinite()].std())

    def pools(self, stage: int, tile: int, first: int = 0) -> Iterator[Samples]:
        for k in itertools.count(first):
            rng = np.random.default_rng([self.recipe.seed, stage, k])
            parts, count = [], 0
            while count < POOL:
                for number in rng.permutation(len(self._pieces))[:PIECES]:
                    parts.append(self._tiles(self._pieces[number], tile, rng))
                    count += len(parts[-1]["pan"])
            pool = samples.together(parts)
            order = torch.from_numpy(rng.permutation(count))
            yield {key: value[order] for key, value in pool.items()}

    def _tiles(self, piece: Piece, tile: int, rng: np.random.Generator) -> Samples:
        """Tiles of a piece as sensors a little different would have seen it."""
        made = with_stats(pair(piece, jittered(self._plain, rng)), self._stats[piece.scene])
        seen = mirrored(samples.known(made.truth, made.block, self.recipe), tile, self.recipe.ratio)
        ratio, learnt = self.recipe.ratio, seen["residual"].isfinite().all(0)
        spans = [(n - tile) // ratio + 1 for n in learnt.shape]
        wanted = max(round(OVERLAP * learnt.numel() / tile**2), 1)
        corners = [tuple(int(rng.integers(n)) * ratio for n in spans) for _ in range(4 * wanted)]
        share = [float(learnt[r : r + tile, c : c + tile].float().mean()) for r, c in corners]
        good = [corner for corner, there in zip(corners, share) if there >= LEARNT][:wanted]
        good = good or [corners[int(np.argmax(share))]]
        cut = samples.cut(seen, good, tile, ratio)
        return turned(cut, rng) if self.recipe.ms_phase in (None, (ratio - 1) / 2) else cut

    # --- to judge by -------------------------------------------------------------------------------------------------

    def judged(self, survey: Survey) -> list[Pair]:
        """What is held out, with what an engine wants to know of the scenes."""
        every = surveyed([pair(piece, self._plain) for piece in (*self._held, *self._pieces)], survey)
        return every[: len(self._held)]

    def look(self, learnt: Weights) -> dict[str, float]:
        """`error`: how much of the error before is left, in ERGAS and SAM; above 1 if either has grown."""
        found = scores(self._judged, Engine(learnt, self.device, say=lambda sentence: None).fuse)
        shares = [found[name] / max(self.before.get(name, found[name]), 1e-9) for name in ("ERGAS", "SAM")]
        return {"error": max(shares) if max(shares) > 1 else math.sqrt(math.prod(shares)), **found}


def scores(judged: Sequence[Pair], fuse: Callable[[Block], np.ndarray]) -> dict[str, float]:
    """How good what an engine makes of the pairs is."""
    sums = reduce(operator.add, (_likeness(made, fuse(made.block)) for made in judged))
    return {"ERGAS": sums.ergas(judged[0].piece.ratio), "SAM": float(sums.angle.value)}


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
    mtf = np.array(look.mtf) + rng.normal(0, JITTER["mtf"]) + rng.normal(0, JITTER["mtf"] / 3, len(look.mtf))
    pan_mtf = np.clip(look.pan_mtf + rng.normal(0, JITTER["pan_mtf"]), 0.05, 0.6)
    return Look(tuple(np.clip(mtf, 0.1, 0.6)), float(pan_mtf), tuple(rng.normal(0, JITTER["off"], 2)))


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

    def one(image: torch.Tensor, quarters: int, flipped: bool) -> torch.Tensor:
        image = image.rot90(quarters, (1, 2))
        return image.flip(1) if flipped else image

    return {key: torch.stack([one(image, *way) for image, way in zip(value, how)]) for key, value in tiles.items()}
