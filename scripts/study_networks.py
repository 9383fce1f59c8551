"""What the parts of the network, of its diffusion and of its training are worth: the table of docs/study.md.

    python scripts/study_networks.py PACK.npz --keep FOLDER [--only NAME ...] [--seeds 1 2] [--scenes FOLDER]

Each variant is the recipe below with a few words changed, and sees as many samples as the others. FOLDER keeps recipes
and weights, so each row is `ssdiff train FOLDER/NAME-SEED.toml PACK.npz -o FOLDER/NAME-SEED.safetensors`; what is
trained already is only measured. Figures are root mean square errors over those of MTF-GLP-FS, on made-up scenes of
places that no variant has seen; and, for PAN and MS named X_pan.tif and X_ms.tif in the folder of scenes, ERGAS over
MTF-GLP-FS's at reduced resolution (Wald).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from study_spread import header, row, scenes

from ssdiff_core.fusion.classical import Classical
from ssdiff_core.fusion.engine import Engine
from ssdiff_core.inprocess import imagery
from ssdiff_core.inprocess.train import train
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
"what each changes; stages: share of the steps, rate and branch"
LOOKS = [(1, 1), (2, 1), (4, 1), (10, 1), (1, 4)]
"steps and samples"


# --- training --------------------------------------------------------------------------------------------------------


def recipe(name: str, seed: int, samples: int, batch: int = 16) -> str:
    """TOML."""
    said = {"id": _slug(name), "seed": seed, **COMMON, **VARIANTS[name]}
    stages = said.pop("stages", [(1.0, 1e-3, None)])
    net = ", ".join(f"{key} = {json.dumps(value)}" for key, value in said.pop("net", {}).items())
    lines = [f"{key} = {json.dumps(value)}" for key, value in said.items()] + [f"net = {{ {net} }}"]
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
            train(path, options.pack, out, lambda said: print(said, file=log, flush=True), options.device)
    return checkpoint.load(out)


# --- measuring -------------------------------------------------------------------------------------------------------


def error(image: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Root mean square error of each band."""
    return np.sqrt(np.square(image - truth).mean((1, 2)))


def shares(scene: Scene, used: checkpoint.Weights) -> list[float]:
    """The error of a made-up scene over that of MTF-GLP-FS, mean of the bands, for each of LOOKS."""
    plain = error(Classical("mtf-glp-fs").fuse(scene.block), scene.truth)
    looks = (Engine(used, steps=steps, samples=samples).fuse(scene.block) for steps, samples in LOOKS)
    return [float((error(fused, scene.truth) / plain).mean()) for fused in looks]


def real(path: Path, folder: Path) -> float:
    """ERGAS at reduced resolution over that of MTF-GLP-FS, mean of the scenes in the folder."""
    shares = []
    for pan in sorted(folder.glob("*_pan.tif")):
        ms = pan.with_name(pan.name.replace("_pan.tif", "_ms.tif"))
        command = [sys.executable, "-m", "ssdiff_core", "assess", "--protocol", "wald", "--json", "--progress", "none"]
        command += ["--pan", pan, "--ms", ms, "--methods", "ssdiff,mtf-glp-fs", "--weights", path]
        told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["results"]
        ergas = {result["name"]: result["measures"]["ERGAS"] for result in told}
        shares.append(ergas["SSDiff"] / ergas["MTF-GLP-FS"])
    return float(np.mean(shares))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path, nargs="+")
    parser.add_argument("--keep", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--samples", type=int, default=8000, help="that each variant is trained on")
    parser.add_argument("--each", type=int, default=1, help="made-up scenes of each place")
    parser.add_argument("--scenes", type=Path, help="folder of real scenes")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    options.keep.mkdir(parents=True, exist_ok=True)
    places = imagery.load(options.pack)
    header("variant", "seed", *(f"{steps} steps, {samples} samples" for steps, samples in LOOKS), "real scenes")
    for seed in options.seeds:
        for name in options.only:
            used = trained(name, seed, options)
            found = [*np.mean([shares(scene, used) for scene in scenes(places, used, options.each)], 0)]
            found += [real(path_of(name, seed, options), options.scenes)] if options.scenes else []
            row(name, seed, *(f"{value:.3f}" for value in found))


if __name__ == "__main__":
    main()
