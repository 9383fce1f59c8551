"""Measures what adapting does at native resolution, on simulated scenes with known truth: a table of docs/adapt.md.

    python scripts/study_adapt.py FOLDER_OF_NPZ [--steps 300] [--scenes usual-a,strange-b] [--modes lbaf,full] [--free]

FOLDER contains the NAIP cities as .npz. Scenes are simulated from two that the bundled weights were not trained on,
Santa Monica and Eureka: `usual` ones like those of the training, and `strange` ones with other weights of the bands in
PAN, gains that depend on colour, and an MTF of MS that differs from the assumed one. Weights are adapted to PAN and MS
of each scene, and the fused image is compared with the truth.
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
SCENES = {  # city, seed, number of tiles along a side, whether the sensor is unusual
    "usual-a": ("santa_monica", 11, 5, False),
    "usual-b": ("eureka", 12, 4, False),
    "strange-a": ("santa_monica", 13, 5, True),
    "strange-b": ("eureka", 14, 4, True),
    "small-usual": ("santa_monica", 11, 2, False),
    "small-strange": ("santa_monica", 13, 2, True),
}


# --- scenes ----------------------------------------------------------------------------------------------------------


def write_scene(source: Path, seed: int, side: int, is_unusual: bool, folder: Path) -> None:
    """Writes PAN, MS and the truth of one scene to files."""
    with np.load(source) as file:
        tiles = file["img"].reshape(-1, 256, 256, 4).transpose(0, 3, 1, 2)
    rng = np.random.default_rng(seed)
    pick = rng.permutation(len(tiles))[: side**2] if len(tiles) >= side**2 else rng.integers(0, len(tiles), side**2)
    drawn = simulate.draw(sensors.get("gf2"), NAIP, False, 1.0, rng)
    drawn = replace(drawn, shift=(0.0, 0.0), shifts=np.zeros((4, 2)), saturation=np.inf, factor=1.0, origin=(0.0, 0.0))
    drawn = unusual(drawn, rng) if is_unusual else drawn
    parts = simulate.make([simulate.Picture(tiles[i], NAIP) for i in pick], drawn, 4, rng, 64)
    images = {
        "pan": [part.block.pan[None] for part in parts],
        "ms": [part.block.ms for part in parts],
        "truth": [part.truth for part in parts],
    }
    for name, pieces in images.items():
        image = np.concatenate([np.concatenate(pieces[i * side : (i + 1) * side], 2) for i in range(side)], 1)
        write(folder / f"{name}.tif", image, 2.4 if name == "ms" else 0.6, name != "truth")


def unusual(drawn: simulate.Draw, rng: np.random.Generator) -> simulate.Draw:
    """Returns the parameters with another PAN, gains that depend on colour, and another MTF of MS."""
    share = np.array(drawn.share) * np.exp(rng.normal(0, 1.5, 4))
    strength = rng.uniform(0.1, 0.4, 5) * rng.choice([-1, 1], 5)
    mtf = np.clip(np.array(drawn.mtf) * rng.uniform(0.5, 1.4), 0.12, 0.5)
    return replace(
        drawn,
        share=share / share.sum() * drawn.share.sum(),
        nonlinearity_strength=strength,
        mtf=tuple(mtf),
    )


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
    wishes = PansharpenOptions(align="none", dtype="float32", format="gtiff", adapt="none", **how)
    pansharpen(
        folder / "pan.tif", folder / "ms.tif", folder / "out.tif", wishes, quiet, lambda n: quiet, LocalBackend()
    )
    return gdal.Open(str(folder / "out.tif")).ReadAsArray()


def score(image: np.ndarray, truth: np.ndarray) -> str:
    """Returns SAM / ERGAS, as text."""
    image, truth = image.astype(float), truth.astype(float)
    ergas = 25 * np.sqrt((((image - truth) ** 2).mean((1, 2)) / truth.mean((1, 2)) ** 2).mean())
    cosine = (image * truth).sum(0) / np.sqrt((image**2).sum(0) * (truth**2).sum(0))
    return f"{np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean():.2f} / {ergas:.2f}"


def quiet(value) -> None:
    pass


def adapted(folder: Path, base: str, mode: str, steps: int) -> adaptation.AdaptResult:
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
    parser.add_argument("--rate", type=float, help="learning rate, instead of the default of each mode")
    parser.add_argument("--free", action="store_true", help="without samples and checks at native resolution")
    options = parser.parse_args()
    if options.free:
        scene_source.SceneSource.add_anchors = lambda *args: None
        native_check.NativeCheck.accepts = lambda *args: True
    for name in options.scenes.split(","):
        city, *parameters = SCENES[name]
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            write_scene(options.folder / f"naip_urban_{city}.npz", *parameters, folder)
            truth = gdal.Open(str(folder / "truth.tif")).ReadAsArray()
            for method in ("mtf-glp-fs", "bt-h"):
                print("|", name, "|", method, "|", score(fused(folder, method=method), truth), "|", flush=True)
            print("|", name, "|", options.base, "|", score(fused(folder, weights=options.base), truth), "|", flush=True)
            for mode in options.modes.split(","):
                if options.rate:
                    adapt.LEARNING_RATES[mode] = options.rate
                found = adapted(folder, options.base, mode, options.steps)
                image = fused(folder, weights=str(found.path)) if found.path else None
                scores = "not written" if image is None else score(image, truth)
                held_out = adaptation.compared(found.before, found.after)
                print("|", name, "|", mode, options.steps, "|", scores, "|", held_out, "|", flush=True)


if __name__ == "__main__":
    main()
