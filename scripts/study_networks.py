"""Ablation of the network, its diffusion and its training: the table of docs/study.md.

    python scripts/study_networks.py PACK.npz --keep FOLDER [--only NAME ...] [--seeds 1 2] [--scenes FOLDER]

Each variant changes a few entries of the recipe below and is trained on the same number of samples. The folder of
--keep receives the recipes and weights, as of `ssdiff train FOLDER/NAME-SEED.toml PACK.npz -o
FOLDER/NAME-SEED.safetensors`; variants that are trained already are only measured. The values are root mean square
errors relative to those of MTF-GLP-FS on simulated scenes of held-out places; and, for PAN and MS named X_pan.tif and
X_ms.tif in the folder of --scenes, ERGAS relative to that of MTF-GLP-FS at reduced resolution (Wald).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
from study_spread import header, row, scenes

from ssdiff_core.classical.engine import ClassicalEngine
from ssdiff_core.domain.options import SamplingOptions
from ssdiff_core.fusion.engine import Engine
from ssdiff_core.inprocess import imagery
from ssdiff_core.inprocess.train import TrainOptions, train
from ssdiff_core.model import checkpoint
from ssdiff_core.training.simulate import Scene

TILE = 32
COMMON = {
    "sensors": ["qb", "gf2", "ge1", "ikonos", "pleiades", "spot67", "wv4"],
    "bands": ["blue", "green", "red", "nir"],
    "wavelengths_nm": [480, 550, 660, 830],
    "views": ["bt-h"],
    "noisiest": 0.85,
}
VARIANTS = {
    "as it is": {},
    "regressor": {"net": {"noisy": False}, "noisiest": 1.0},
    "any noise": {"noisiest": 0.0},
    "residual not scaled": {"residual_sigma": 1.0},
    "against lms": {"base": "lms", "guides": 1, "views": []},
    "no view": {"views": []},
    "group norm in stems": {"net": {"stem_norm": "group"}},
    "own ways down and up": {"net": {"shared": False}},
    "no FMIM": {"net": {"boosts": [1, 1, 1], "damps": [1, 1, 1]}},
    "L-BAF at the end": {"stages": [(0.7, 1e-3, None), (0.15, 3e-4, "spatial"), (0.15, 3e-4, "spectral")]},
}
"changed entries of each variant; stages: share of the steps, learning rate and branch"
SAMPLINGS = [(1, 1), (2, 1), (4, 1), (10, 1), (1, 4)]
"numbers of steps and samples that are measured"


# --- training --------------------------------------------------------------------------------------------------------


def recipe(name: str, seed: int, samples: int, batch: int = 16) -> str:
    """Returns the recipe of a variant as TOML."""
    entries = {"id": _slug(name), "seed": seed, **COMMON, **VARIANTS[name]}
    stages = entries.pop("stages", [(1.0, 1e-3, None)])
    net = ", ".join(f"{key} = {json.dumps(value)}" for key, value in entries.pop("net", {}).items())
    lines = [f"{key} = {json.dumps(value)}" for key, value in entries.items()] + [f"net = {{ {net} }}"]
    for share, rate, branch in stages:
        steps = round(samples * share / batch)
        lines += ["", "[[stages]]", f"tile = {TILE}", f"steps = {steps}", f"batch = {batch}", f"rate = {rate}"]
        lines += [f'branch = "{branch}"'] if branch else []
    return "\n".join(lines) + "\n"


def _slug(name: str) -> str:
    return name.replace(" ", "-").lower()


def path_of(name: str, seed: int, options) -> Path:
    return options.keep / f"{_slug(name)}-{seed}.safetensors"


def trained(name: str, seed: int, options) -> checkpoint.Weights:
    out = path_of(name, seed, options)
    if not out.exists() or out.with_suffix(".ckpt").exists():
        path = out.with_suffix(".toml")
        path.write_text(recipe(name, seed, options.samples))
        with open(out.with_suffix(".log"), "a") as log:
            train(path, options.pack, out, partial(print, file=log, flush=True), TrainOptions(options.device))
    return checkpoint.load(out)


# --- measuring -------------------------------------------------------------------------------------------------------


def error(image: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Returns the root mean square error of each band."""
    return np.sqrt(np.square(image - truth).mean((1, 2)))


def relative_errors(scene: Scene, used: checkpoint.Weights) -> list[float]:
    """Returns the error of a simulated scene relative to that of MTF-GLP-FS, mean over bands, for each of SAMPLINGS."""
    classical = error(ClassicalEngine("mtf-glp-fs").fuse(scene.block), scene.truth)
    images = (
        Engine(used, SamplingOptions(steps=steps, samples=samples)).fuse(scene.block) for steps, samples in SAMPLINGS
    )
    return [float((error(fused, scene.truth) / classical).mean()) for fused in images]


def relative_ergas(path: Path, folder: Path) -> float:
    """Returns ERGAS at reduced resolution relative to that of MTF-GLP-FS, mean over the scenes in the folder."""
    ratios = []
    for pan in sorted(folder.glob("*_pan.tif")):
        ms = pan.with_name(pan.name.replace("_pan.tif", "_ms.tif"))
        command = [sys.executable, "-m", "ssdiff_core", "assess", "--protocol", "wald", "--json", "--progress", "none"]
        command += ["--pan", pan, "--ms", ms, "--methods", "ssdiff,mtf-glp-fs", "--weights", path]
        results = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["results"]
        ergas = {result["name"]: result["measures"]["ERGAS"] for result in results}
        ratios.append(ergas["SSDiff"] / ergas["MTF-GLP-FS"])
    return float(np.mean(ratios))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path, nargs="+")
    parser.add_argument("--keep", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--samples", type=int, default=8000, help="number of training samples of each variant")
    parser.add_argument("--each", type=int, default=1, help="number of simulated scenes per place")
    parser.add_argument("--scenes", type=Path, help="folder of real scenes")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    options.keep.mkdir(parents=True, exist_ok=True)
    places = imagery.load(options.pack)
    header("variant", "seed", *(f"{steps} steps, {samples} samples" for steps, samples in SAMPLINGS), "real scenes")
    for seed in options.seeds:
        for name in options.only:
            used = trained(name, seed, options)
            found = [*np.mean([relative_errors(scene, used) for scene in scenes(places, used, options.each)], 0)]
            found += [relative_ergas(path_of(name, seed, options), options.scenes)] if options.scenes else []
            row(name, seed, *(f"{value:.3f}" for value in found))


if __name__ == "__main__":
    main()
