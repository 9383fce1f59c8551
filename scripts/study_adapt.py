"""What adapting does at native resolution, where a made-up scene is known: tables of docs/adapt.md.

    python scripts/study_adapt.py FOLDER_OF_NPZ [--steps 300] [--scenes usual-a,strange-b] [--modes lbaf,full] [--free]

FOLDER holds the NAIP cities as .npz. Scenes are made of two that the bundled weights have never seen, Santa Monica and
Eureka: `usual` ones as the weights were trained on, and `strange` ones whose PAN sees the bands otherwise, whose bands
bend with colour, and whose MS is blurred otherwise than anybody believes. Weights are adapted to each, by PAN and MS
alone, and what they make of those is held against the truth.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from osgeo import gdal

from ssdiff_core.adaptation import adapt, native_check, scene_source
from ssdiff_core.domain import sensors
from ssdiff_core.inprocess.backend import LocalBackend
from ssdiff_core.training import simulate
from ssdiff_core.workflows import adapt as adaptation
from ssdiff_core.workflows.pansharpen import PansharpenOptions, pansharpen

gdal.UseExceptions()
NAIP = (650.0, 560.0, 470.0, 830.0)
NAMES = ("blue", "green", "red", "nir")
SCENES = {  # city, seed, tiles along a side, strange
    "usual-a": ("santa_monica", 11, 5, False),
    "usual-b": ("eureka", 12, 4, False),
    "strange-a": ("santa_monica", 13, 5, True),
    "strange-b": ("eureka", 14, 4, True),
    "small-usual": ("santa_monica", 11, 2, False),
    "small-strange": ("santa_monica", 13, 2, True),
}


# --- scenes ----------------------------------------------------------------------------------------------------------


def made(source: Path, seed: int, side: int, strange: bool, folder: Path) -> None:
    """PAN, MS and the truth of one scene as files."""
    with np.load(source) as file:
        tiles = file["img"].reshape(-1, 256, 256, 4).transpose(0, 3, 1, 2)
    rng = np.random.default_rng(seed)
    pick = rng.permutation(len(tiles))[: side**2] if len(tiles) >= side**2 else rng.integers(0, len(tiles), side**2)
    drawn = simulate.draw(sensors.get("gf2"), NAIP, False, 1.0, rng)
    drawn = replace(drawn, shift=(0.0, 0.0), shifts=np.zeros((4, 2)), saturates=np.inf, factor=1.0, origin=(0.0, 0.0))
    drawn = otherwise(drawn, rng) if strange else drawn
    parts = simulate.make([simulate.Picture(tiles[i], NAIP) for i in pick], drawn, 4, rng, 64)
    images = {
        "pan": [part.block.pan[None] for part in parts],
        "ms": [part.block.ms for part in parts],
        "truth": [part.truth for part in parts],
    }
    for name, pieces in images.items():
        image = np.concatenate([np.concatenate(pieces[i * side : (i + 1) * side], 2) for i in range(side)], 1)
        write(folder / f"{name}.tif", image, 2.4 if name == "ms" else 0.6, name != "truth")


def otherwise(drawn: simulate.Draw, rng: np.random.Generator) -> simulate.Draw:
    share = np.array(drawn.share) * np.exp(rng.normal(0, 1.5, 4))
    bent = rng.uniform(0.1, 0.4, 5) * rng.choice([-1, 1], 5)
    mtf = np.clip(np.array(drawn.mtf) * rng.uniform(0.5, 1.4), 0.12, 0.5)
    return replace(drawn, share=share / share.sum() * drawn.share.sum(), bent=bent, mtf=tuple(mtf))


def write(path: Path, image: np.ndarray, pixel: float, whole: bool) -> None:
    kind = gdal.GDT_UInt16 if whole else gdal.GDT_Float32
    file = gdal.GetDriverByName("GTiff").Create(str(path), image.shape[2], image.shape[1], len(image), kind)
    file.SetGeoTransform((400_000.0, pixel, 0.0, 4_500_000.0, 0.0, -pixel))
    for number, band in enumerate(image, 1):
        if len(image) > 1:
            file.GetRasterBand(number).SetDescription(NAMES[number - 1])
        file.GetRasterBand(number).WriteArray(np.rint(band).astype(np.uint16) if whole else band)


# --- scores ----------------------------------------------------------------------------------------------------------


def fused(folder: Path, **how) -> np.ndarray:
    wishes = PansharpenOptions(align="none", dtype="float32", format="gtiff", **how)
    pansharpen(
        folder / "pan.tif", folder / "ms.tif", folder / "out.tif", wishes, quiet, lambda n: quiet, LocalBackend()
    )
    return gdal.Open(str(folder / "out.tif")).ReadAsArray()


def score(image: np.ndarray, truth: np.ndarray) -> str:
    """SAM / ERGAS."""
    image, truth = image.astype(float), truth.astype(float)
    ergas = 25 * np.sqrt((((image - truth) ** 2).mean((1, 2)) / truth.mean((1, 2)) ** 2).mean())
    cosine = (image * truth).sum(0) / np.sqrt((image**2).sum(0) * (truth**2).sum(0))
    return f"{np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean():.2f} / {ergas:.2f}"


def quiet(what) -> None:
    pass


def adapted(folder: Path, base: str, mode: str, steps: int) -> adaptation.Adapted:
    out = folder / "own.safetensors"
    out.unlink(missing_ok=True)
    wishes = adaptation.AdaptOptions(base=base, mode=mode, steps=steps, align="none")
    return adaptation.adapt(
        [(folder / "pan.tif", folder / "ms.tif")], out, wishes, print, lambda n: quiet, LocalBackend()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scenes", default=",".join(SCENES))
    parser.add_argument("--modes", default="lbaf,full")
    parser.add_argument("--base", default="general-4")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rate", type=float, help="instead of each mode's own")
    parser.add_argument("--free", action="store_true", help="whatever is lost at native resolution")
    options = parser.parse_args()
    if options.free:
        scene_source.OwnScene.hold_on_to = lambda *what: None
        native_check.Native.is_kept = lambda *what: True
    for name in options.scenes.split(","):
        city, *how = SCENES[name]
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            made(options.folder / f"naip_urban_{city}.npz", *how, folder)
            truth = gdal.Open(str(folder / "truth.tif")).ReadAsArray()
            for method in ("mtf-glp-fs", "bt-h"):
                print("|", name, "|", method, "|", score(fused(folder, method=method), truth), "|", flush=True)
            print("|", name, "|", options.base, "|", score(fused(folder, weights=options.base), truth), "|", flush=True)
            for mode in options.modes.split(","):
                if options.rate:
                    adapt.RATES[mode] = options.rate
                found = adapted(folder, options.base, mode, options.steps)
                image = fused(folder, weights=str(found.path)) if found.path else None
                told = "nothing" if image is None else score(image, truth)
                held = adaptation.compared(found.before, found.after)
                print("|", name, "|", mode, options.steps, "|", told, "|", held, "|", flush=True)


if __name__ == "__main__":
    main()
