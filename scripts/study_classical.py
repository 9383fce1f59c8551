"""Compares the forms of the classical methods: the tables of docs/study.md, from openly licensed imagery alone.

    python scripts/study_classical.py FOLDER_OF_NPZ

There are two kinds of scenes with known truth. NAIP tiles are the truth at the resolution of PAN: MS is degraded from
them with the MTF of a sensor, and PAN is an inexact mixture of the bands, blurred like that of real sensors. Real PAN
and MS of Landsat are both degraded, so that the original MS is the truth (Wald). A city or a Landsat scene is one
scene for the statistics.
"""

from __future__ import annotations

import argparse
import functools
import operator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ssdiff_core.classical.engine import ClassicalEngine
from ssdiff_core.classical.methods.brovey import MAXIMUM_GAIN, fit_without_haze
from ssdiff_core.domain import block as blocks
from ssdiff_core.domain import registration
from ssdiff_core.training.simulate import degraded

MTF, PAN_MTF = 0.3, 0.15
# counts of a white surface; haze of blue, green, red, near infrared (None: the first percentile is subtracted)
RADIOMETRIES = {
    "plain": (1600, (40, 30, 20, 10)),
    "hazy": (1200, (320, 220, 130, 40)),
    "dark": (150, (12, 8, 5, 2)),
    "corrected": (1600, None),
}
TILES = 10  # of a city


@dataclass(frozen=True)
class Scene:
    blocks: tuple[blocks.Block, ...]
    truths: tuple[np.ndarray, ...]

    @property
    def bands(self) -> int:
        return len(self.truths[0])


# --- scenes ----------------------------------------------------------------------------------------------------------


def naip(folder: Path, radiometry: str, grain: int) -> list[Scene]:
    """Returns the scenes of eight cities. grain: side of a PAN pixel in pixels of the aerial imagery."""
    scenes = []
    for seed, path in enumerate(sorted(folder.glob("naip_urban_*.npz"))):
        strip, rng = np.load(path)["img"], np.random.default_rng(seed)
        tiles = strip.reshape(-1, 256, *strip.shape[1:])[..., [2, 1, 0, 3]]
        tiles = tiles[:: max(len(tiles) // TILES, 1)].transpose(0, 3, 1, 2) / 255
        means = tiles.reshape(*tiles.shape[:2], 256 // grain, grain, 256 // grain, grain).mean((3, 5))
        share, mtf = rng.dirichlet([4, 6, 6, 5]), MTF + rng.uniform(-0.05, 0.05, 4)
        made = [simulated(tile, radiometry, share, mtf, rng) for tile in means]
        scenes.append(Scene(*zip(*made)))
    return scenes


def simulated(tile: np.ndarray, radiometry: str, share, mtf, rng) -> tuple[blocks.Block, np.ndarray]:
    """Simulates PAN and MS from a tile of reflectances, 0 to 1; returns them with the truth."""
    white, haze = RADIOMETRIES[radiometry]
    truth = white * tile**1.5 + np.reshape(haze or (320, 220, 130, 40), (4, 1, 1))
    pan = np.tensordot(share, truth, 1)
    pan += 0.08 * (np.sqrt(pan * pan.mean()) - pan)  # PAN is not an exact mixture of the bands
    pan = blurred(blurred(pan).T).T
    ms = np.stack([degraded(np.float32(band), gain, 4) for band, gain in zip(truth, mtf)])
    pan, ms = (np.rint(image + rng.normal(0, 1, image.shape)) for image in (pan, ms))
    if haze is None:
        dark = np.percentile(ms, 1, axis=(1, 2))[:, None, None]
        pan, ms, truth = pan - np.percentile(pan, 1), ms - dark, truth - dark
    pan, ms, truth = (image.astype(np.float32) for image in (pan, ms, truth))
    return blocks.whole(pan, ms, blocks.SceneStats()), truth


def blurred(image: np.ndarray) -> np.ndarray:
    """Halves the response at Nyquist along the rows, which is the ratio of PAN_MTF to MTF."""
    before, after = (np.take(image, np.arange(len(image)) + step, 0, mode="clip") for step in (-1, 1))
    return 0.75 * image + 0.125 * (before + after)


def landsat(folder: Path, pattern: str, bands: list[int]) -> list[Scene]:
    """Returns degraded real pairs. The offset of MS, half a PAN pixel for Landsat 8, is measured."""
    scenes = []
    for path in sorted(folder.glob(pattern)):
        file = np.load(path)
        pan, ms = file["pan"].astype(np.float32), file["ms"].transpose(2, 0, 1)[bands].astype(np.float32)
        off = registration.shift(pan, ms[:4], (0.5, 0.5), 2)
        at = tuple(round(1 - 2 * shift) / 2 for shift in (off.rows, off.cols))
        h, w = ((n - 1) // 2 * 2 for n in ms.shape[1:])  # the last sample may be on the border of PAN
        truth, pan = ms[:, :h, :w], degraded(np.float32(pan), PAN_MTF, 2, at)[:h, :w]
        scenes.append(Scene((blocks.whole(pan, degraded(np.float32(truth), MTF, 2), blocks.SceneStats()),), (truth,)))
    return scenes


# --- forms -----------------------------------------------------------------------------------------------------------


def fitted(scene: Scene, method: str, low: float = MTF, pan_low: float = PAN_MTF):
    """Returns the survey, its sums over the scene and the statistics.

    low: response at the Nyquist frequency of MS of the filter that is applied to PAN.
    """
    survey = ClassicalEngine(method, scene.blocks[0].ratio).survey((low,) * scene.bands, pan_low)
    sums = functools.reduce(operator.add, map(survey.gather, scene.blocks))
    return survey, sums, replace(survey.stats(sums), mtf=(MTF,) * scene.bands)


def capped(stats: blocks.SceneStats, cap: float) -> blocks.SceneStats:
    return replace(stats, caps=tuple(c * cap / MAXIMUM_GAIN for c in stats.caps))


def basic(method: str, **how):
    return lambda scene: fitted(scene, method, **how)[2]


def hazes(values, share: float) -> np.ndarray:
    return np.array([v.quantile(share) for v in values])


def bt_h(low: float = MTF, haze=lambda values: hazes(values, 0.0), cap: float = MAXIMUM_GAIN):
    def stats(scene: Scene) -> blocks.SceneStats:
        _, sums, known = fitted(scene, "bt-h", low)
        return capped(replace(known, **fit_without_haze(sums.coarse, haze(sums.values))), cap)

    return stats


def hpm(match: str = "mean and spread", cap: float = MAXIMUM_GAIN):
    def stats(scene: Scene) -> blocks.SceneStats:
        _, sums, known = fitted(scene, "mtf-glp-hpm")
        n, (co, mean) = scene.bands, (sums.coarse.co, sums.coarse.left)
        slopes = {"nothing": np.ones(n), "regression": co[:n, n] / co[n, n]}.get(match)
        if slopes is not None:
            offsets = mean[:n] - slopes * mean[n] if match != "nothing" else np.zeros(n)
            known = replace(known, match=tuple(zip(slopes.tolist(), offsets.tolist())))
        return capped(known, cap)

    return stats


FORMS = {
    "exp": {"-": lambda scene: blocks.SceneStats()},
    "gsa": {f"PAN low-passed to {low} at Nyquist": basic("gsa", low=low) for low in (0.15, 0.3, 0.64, 0.99)},
    "bdsd-pc": {f"PAN low-passed to {low} at Nyquist": basic("bdsd-pc", pan_low=low) for low in (0.15, 0.3, 0.64)},
    "mtf-glp-fs": {"-": basic("mtf-glp-fs")},
    "mtf-glp-hpm": {
        **{f"{kind} matched": hpm(kind) for kind in ("nothing", "mean and spread", "regression")},
    },
    "bt-h": {
        **{f"least value, PAN low-passed to {low}": bt_h(low) for low in (0.15, 0.3, 0.64, 0.99)},
        "no haze, PAN low-passed to 0.3": bt_h(haze=lambda values: np.zeros(len(values))),
        **{
            f"quantile {share}, PAN low-passed to 0.3": bt_h(haze=lambda values, share=share: hazes(values, share))
            for share in (0.001, 0.01)
        },
        "0.95, 0.45, 0.4, 0.05 of quantile 0.01, PAN low-passed to 0.3": bt_h(
            haze=lambda values: hazes(values, 0.01) * ([0.95, 0.45, 0.4, 0.05] + [0] * (len(values) - 4))
        ),
    },
}

BOUNDS = (1, 1.5, 2, 4, 8, 1e9)
BOUNDED = {"mtf-glp-hpm": lambda cap: hpm(cap=cap), "bt-h": lambda cap: bt_h(cap=cap)}


# --- scores ----------------------------------------------------------------------------------------------------------


def fused(scene: Scene, method: str, stats: blocks.SceneStats) -> np.ndarray:
    """Returns all pixels of the fused scene (bands, n)."""
    engine = ClassicalEngine(method, scene.blocks[0].ratio)
    return flat(engine.fuse(replace(block, stats=stats)) for block in scene.blocks)


def flat(images) -> np.ndarray:
    return np.concatenate([image.reshape(len(image), -1) for image in images], axis=1)


def score(image: np.ndarray, scene: Scene) -> tuple[float, float]:
    """SAM (degrees) and ERGAS over the whole scene."""
    image, truth = image.astype(float), flat(scene.truths).astype(float)
    lengths = np.linalg.norm(image, axis=0) * np.linalg.norm(truth, axis=0)
    there = lengths > 0
    cosine = (image * truth).sum(0)[there] / lengths[there]
    ergas = 100 / scene.blocks[0].ratio * np.sqrt((((image - truth) ** 2).mean(1) / truth.mean(1) ** 2).mean())
    return np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean(), ergas


def table_of_forms(families: dict[str, list[Scene]]) -> None:
    header(["method", "form"], families)
    for method, forms in FORMS.items():
        for form, stats in forms.items():
            means = [np.mean([score(fused(s, method, stats(s)), s) for s in f], 0) for f in families.values()]
            row([method, form, *(f"{sam:.2f} / {ergas:.2f}" for sam, ergas in means)])


def table_of_bounds(families: dict[str, list[Scene]]) -> None:
    """Prints the table of limits, with the share of the values that each limit changes."""
    header(["method", "limit"], families)
    for method, form in BOUNDED.items():
        free = {name: [fused(s, method, form(BOUNDS[-1])(s)) for s in f] for name, f in families.items()}
        for cap in BOUNDS:
            cells = []
            for name, scenes in families.items():
                images = [fused(s, method, form(cap)(s)) for s in scenes]
                sam, ergas = np.mean([score(image, s) for image, s in zip(images, scenes)], 0)
                touched = np.mean([np.mean(a != b) for a, b in zip(images, free[name])])
                cells.append(f"{sam:.2f} / {ergas:.2f} ({touched:.1%})")
            row([method, f"{cap:g}" if cap < BOUNDS[-1] else "no limit", *cells])


def header(left: list[str], families: dict[str, list[Scene]]) -> None:
    names = [*left, *(f"{name} ({len(scenes)})" for name, scenes in families.items())]
    row(names)
    print("|" + "---|" * len(names))


def row(cells: list[str]) -> None:
    print("|", " | ".join(cells), "|", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    families = {f"NAIP {radiometry}": naip(folder, radiometry, 1) for radiometry in RADIOMETRIES}
    families["NAIP 1.2 m"] = naip(folder, "plain", 2)
    families["Landsat 7"] = landsat(folder, "landsat7_*.npz", [2, 1, 0, 3])
    families["Landsat 8"] = landsat(folder, "landsat8_*.npz", [0, 1, 2, 3, 4, 5])
    table_of_forms(families)
    print()
    table_of_bounds(families)


if __name__ == "__main__":
    main()
