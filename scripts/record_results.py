"""Records what the commands compute, so that a change that must not alter results can be checked.

    python scripts/record_results.py before.json
    (change the code)
    python scripts/record_results.py after.json && diff before.json after.json

Runs every command that produces pixels, scores or weights on the bundled sample and on two simulated scenes, and writes
a SHA-256 digest of each raster and of the tensors of each weights file, and the JSON that each command prints. Digests
are comparable only between runs on the same machine with the same library versions. Takes about four minutes.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from osgeo import gdal

gdal.UseExceptions()

ROOT = Path(__file__).resolve().parents[1]
CLASSICAL = ("exp", "brovey", "gsa", "bt-h", "bdsd-pc", "mtf-glp-fs", "mtf-glp-hpm")
VOLATILE = ("seconds", "version", "path", "pan", "ms", "file", "inputs")
"keys of printed JSON that depend on the clock or on where files lie"
RECIPE = """
id = "recorded"
sensors = ["qb"]
bands = ["blue", "green", "red", "nir"]
wavelengths_nm = [485, 560, 660, 830]
held_out = ["other"]
pool = 2
validate = 4
views = ["bt-h"]
net = { keys = 4 }
[[stages]]
tile = 16
steps = 10
batch = 2
[[stages]]
tile = 16
branch = "spectral"
steps = 10
batch = 2
"""


def main(target: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        recorder = Recorder(Path(name))
        for scene in recorder.scenes():
            recorder.fuse(scene)
            recorder.measure(scene, wald=scene == "sample")  # simulated scenes are too small to be degraded further
        recorder.learn()
    Path(target).write_text(json.dumps(recorder.results, indent=1, sort_keys=True) + "\n", encoding="utf-8")


class Recorder:
    """Runs commands in a folder and collects what they compute."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.results: dict[str, object] = {}

    def run(self, *words: object) -> str:
        """Runs `ssdiff` with the words; returns its standard output."""
        environment = {**os.environ, "SSDIFF_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "ssdiff_core", *map(str, words)]
        print("ssdiff", *words[:1], *(word for word in words[1:] if "/" not in str(word)), flush=True)
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        return done.stdout

    def scenes(self) -> list[str]:
        """Writes the sample and two simulated scenes as NAME_pan.tif, NAME_ms.tif and NAME_truth.tif."""
        sys.path.insert(0, str(ROOT / "scripts"))
        from ssdiff_core.raster import sample

        (self.folder / "sample").mkdir()
        sample.unpack(self.folder / "sample")
        for kind in ("pan", "ms", "truth"):
            (self.folder / "sample" / f"{kind}.tif").rename(self.folder / f"sample_{kind}.tif")
        self.run("simulate", self.folder / "sample_truth.tif", "--sensor", "qb", "--scenes", 2, "-o", "made")
        found = sorted((self.folder / "made").glob("*_pan.tif"))
        for number, pan in enumerate(found, 1):
            for kind in ("pan", "ms", "truth"):
                pan.with_name(pan.name.replace("_pan", f"_{kind}")).rename(self.folder / f"made{number}_{kind}.tif")
        return ["sample", *(f"made{number}" for number in range(1, len(found) + 1))]

    def fuse(self, scene: str) -> None:
        """Pansharpens the scene by every method, aligned and with an uncertainty too."""
        pair = f"{scene}_pan.tif", f"{scene}_ms.tif"
        for method in ("ssdiff", *CLASSICAL):
            self.run("pansharpen", *pair, f"{scene}_{method}.tif", "--method", method)
        options = ("--align", "auto", "--uncertainty", f"{scene}_spread.tif", "--steps", 2, "--samples", 2)
        self.run("pansharpen", *pair, f"{scene}_sampled.tif", *options)
        for raster in sorted(self.folder.glob(f"{scene}_*.tif")):
            self.results[raster.name] = digest(gdal.Open(str(raster)).ReadAsArray().tobytes())

    def measure(self, scene: str, wald: bool) -> None:
        """Records the shift and the scores of the scene."""
        pair = f"{scene}_pan.tif", f"{scene}_ms.tif"
        self.record(f"{scene} align", "align", *pair, "--json")
        self.record(f"{scene} assess", "assess", f"{scene}_ssdiff.tif", f"{scene}_gsa.tif", "--json")
        against = ("--reference", f"{scene}_truth.tif", "--convention", "toolbox")
        self.record(f"{scene} reference", "assess", f"{scene}_ssdiff.tif", *against, "--json")
        if wald:
            how = ("--protocol", "wald", "--methods", "ssdiff,gsa,bt-h,mtf-glp-hpm")
            self.record(f"{scene} wald", "assess", "--pan", pair[0], "--ms", pair[1], *how, "--json")

    def learn(self) -> None:
        """Adapts weights to a scene and trains new ones, 20 steps each."""
        pair = "sample_pan.tif", "sample_ms.tif"
        self.record("adapt", "adapt", *pair, "-o", "adapted.safetensors", "--steps", 20, "--mode", "full", "--json")
        recipe, imagery = self.folder / "recipe.toml", self.folder / "imagery"
        recipe.write_text(RECIPE, encoding="utf-8")
        imagery.mkdir()
        for name in ("sample_truth.tif", "made1_truth.tif"):
            held = "eureka.tif" if name.startswith("sample") else "other.tif"
            (self.folder / name).rename(imagery / held)
        self.run("train", recipe, imagery, "-o", "trained.safetensors")
        for weights in sorted(self.folder.glob("*.safetensors")):
            self.results[weights.name] = tensors(weights)

    def record(self, name: str, *words: object) -> None:
        """Keeps the JSON that a command prints, without what depends on the clock or the folder."""
        self.results[name] = stable(json.loads(self.run(*words)), str(self.folder))


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def tensors(path: Path) -> str:
    """The digest of a weights file behind its header."""
    content = path.read_bytes()
    return digest(content[8 + int.from_bytes(content[:8], "little") :])


def stable(value: object, folder: str) -> object:
    """The value without volatile keys, and without the folder in its strings."""
    if isinstance(value, dict):
        return {key: stable(item, folder) for key, item in value.items() if key not in VOLATILE}
    if isinstance(value, list):
        return [stable(item, folder) for item in value]
    return value.replace(folder, ".") if isinstance(value, str) else value


if __name__ == "__main__":
    main(*sys.argv[1:])
