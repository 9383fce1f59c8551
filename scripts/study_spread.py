"""How well the spread (standard deviation) of samples predicts the error: the tables of docs/study.md.

    python scripts/study_spread.py PACK.npz

PACK is imagery from scripts/pack_imagery.py. Scenes with known truth are simulated from the places that the weights
were not trained on. Each value is computed for one band of one scene and then averaged, because bright bands would
dominate otherwise. The detail in PAN serves as a baseline that needs no network.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssdiff_core.domain import sensors
from ssdiff_core.domain.options import SamplingOptions
from ssdiff_core.fusion import network_inputs
from ssdiff_core.fusion.engine import Engine
from ssdiff_core.inprocess import imagery
from ssdiff_core.model import checkpoint
from ssdiff_core.training import simulate
from ssdiff_core.training.simulated_source import Place

WEIGHTS = Path(__file__).parents[1] / "resources" / "weights" / "unbundled" / "general-4.safetensors"
SENSORS = ("qb", "gf2", "ge1", "pleiades", "spot67")
MINIMUM_SIDE = 128
"minimum side of a scene in PAN pixels"
SQUARE = 8
"side in PAN pixels of the squares that errors are averaged over"


# --- scenes ----------------------------------------------------------------------------------------------------------


def scenes(places: list[Place], used: checkpoint.Weights, each: int) -> Iterator[simulate.Scene]:
    """Yields `each` scenes of each place that the weights were not trained on, with their scene statistics."""
    held_out = [place for place in places if place.name not in used.card.training["places"]]
    for number, (place, k) in enumerate((place, k) for place in held_out for k in range(each)):
        rng = np.random.default_rng([0, number])
        picture = place.pictures[k * len(place.pictures) // each]
        sensor = sensors.get(SENSORS[number % len(SENSORS)], len(used.card.bands))
        coarsest = min(picture.image.shape[1:]) / MINIMUM_SIDE
        drawn = simulate.draw(sensor, picture.wavelengths, place.soft, coarsest, rng)
        (scene,) = simulate.make([picture], drawn, used.card.ratio, rng)
        mtf = tuple(map(float, drawn.believed_mtf))
        block = network_inputs.fitted(scene.block, mtf, used.card.interpolation, used.card.arch.views)
        yield simulate.Scene(scene.truth, block)


# --- measures --------------------------------------------------------------------------------------------------------


def squares(image: np.ndarray, side: int = SQUARE) -> np.ndarray:
    """Returns the means over squares; incomplete squares are left out."""
    h, w = (n // side for n in image.shape)
    return image[: h * side, : w * side].reshape(h, side, w, side).mean((1, 3))


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the rank correlation; NaN if one of the images is zero everywhere."""
    if not one.any() or not other.any():
        return float("nan")
    return float(np.corrcoef(*(np.argsort(np.argsort(image, axis=None)) for image in (one, other)))[0, 1])


def detail(scene: simulate.Scene) -> np.ndarray:
    """Returns the absolute difference of PAN from its mean over each MS sample."""
    ratio = round(scene.block.ratio)
    return np.abs(scene.block.pan - np.kron(squares(scene.block.pan, ratio), np.ones((ratio, ratio))))


def rankings(guess: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    """Returns the rank correlation of an error estimate with the error, by pixel and by square."""
    return rank_correlation(guess, error), rank_correlation(squares(guess), squares(error))


def deciles(spread: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Returns (2, 10) the mean spread and the mean error of each tenth of the pixels, ordered by spread."""
    parts = np.array_split(np.argsort(spread, axis=None), 10)
    return np.array([[image.ravel()[part].mean() for part in parts] for image in (spread, error)]) / error.mean()


@dataclass(frozen=True)
class Figures:
    """The measures of one band of one scene."""

    relative_error: float
    "mean error, relative to that of one sample with the default number of steps"
    relative_spread: float
    "mean spread, relative to the mean error"
    by_spread: tuple[float, float]
    by_detail: tuple[float, float]
    tenths: np.ndarray


def study(scene: simulate.Scene, usual: np.ndarray, engine: Engine) -> list[Figures]:
    fused, spread = engine.fuse_with_spread(scene.block)
    errors, look = np.abs(fused - scene.truth), detail(scene)
    return [
        Figures(
            error.mean() / before.mean(),
            width.mean() / error.mean(),
            rankings(width, error),
            rankings(look, error),
            deciles(width, error),
        )
        for error, width, before in zip(errors, spread, np.abs(usual - scene.truth))
    ]


# --- tables ----------------------------------------------------------------------------------------------------------


def row(*cells) -> None:
    print("|", " | ".join(map(str, cells)), "|", flush=True)


def header(*cells) -> None:
    row(*cells)
    print("|" + "---|" * len(cells))


def mean_and_range(values: list[float]) -> str:
    """Returns the mean and the range from the 5 % to the 95 % quantile, as text."""
    if not np.isfinite(values).all():
        return ""  # a single sample has no spread
    return "{:.2f} ({:.2f} to {:.2f})".format(np.mean(values), *np.quantile(values, (0.05, 0.95)))


def row_of(steps: int, samples: int, found: list[Figures]) -> None:
    """Prints a row of the first table."""
    ranks = [mean_and_range([one.by_spread[k] for one in found]) for k in (0, 1)]
    row(
        steps,
        samples,
        *(mean_and_range([getattr(one, key) for one in found]) for key in ("relative_error", "relative_spread")),
        *ranks,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path, nargs="+")
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--each", type=int, default=2, help="number of scenes per place")
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--samples", type=int, nargs="+", default=[1, 4, 8])
    args = parser.parse_args()
    used = checkpoint.load(args.weights)
    made = list(scenes(imagery.load(args.pack), used, args.each))
    usual = [Engine(used, SamplingOptions(samples=1)).fuse(scene.block) for scene in made]
    found = {}
    print(f"{len(made)} scenes, {sum(scene.block.pan.size for scene in made):,} pixels\n")
    header("steps", "samples", "error", "spread", "rank correlation by pixel", f"by squares of {SQUARE} x {SQUARE}")
    for steps, samples in itertools.product(args.steps, args.samples):
        engine = Engine(used, SamplingOptions(steps=steps, samples=samples))
        found[steps, samples] = [one for scene, image in zip(made, usual) for one in study(scene, image, engine)]
        row_of(steps, samples, found[steps, samples])
    by_detail = [one.by_detail for one in found[steps, samples]]
    row("PAN's detail", "", "", "", *(mean_and_range([one[k] for one in by_detail]) for k in (0, 1)))
    print()
    header("tenth of the pixels", *range(1, 11))
    for (steps, samples), figures in found.items():
        if samples > 1:
            for name, values in zip(("spread", "error"), np.mean([one.tenths for one in figures], 0)):
                row(f"{steps} steps, {samples} samples: {name}", *(f"{value:.2f}" for value in values))


if __name__ == "__main__":
    main()
