"""Plugin folders whose catalogue lists weights that are not bundled."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import torch

from ssdiff_core.model.checkpoint import Card, save
from ssdiff_core.model.ssnet import Config, SSNet, state_of

ROOT = Path(__file__).parents[2]
PARTS = ("__init__.py", "metadata.txt", "ssdiff_core", "ssdiff_qgis", "resources", "scripts")


def tiny(path: Path, name: str, bands=8, sensor="general", ratio=4, licence="CC0") -> Path:
    """Writes weights of the smallest network."""
    torch.manual_seed(0)
    net = SSNet(Config(bands=bands, ratio=ratio, tile=16, widths=(32, 32, 32)))
    names = tuple(f"b{i}" for i in range(bands))
    save(path, state_of(net), Card(name, sensor, names, (0.5,) * bands, net.config, ratio=ratio, licence=licence))
    return path


def publishable(folder: Path) -> list[Path]:
    """Writes the weights `four` and `eight`, for four and eight bands."""
    return [tiny(folder / f"{name}.safetensors", name, bands) for name, bands in (("four", 4), ("eight", 8))]


def plugin_with(folder: Path, *published: Path) -> Path:
    """Copies the project to a plugin folder whose catalogue lists general-4 and these files."""
    folder.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, folder / part)
    weights = folder / "resources" / "weights"
    (weights / "unbundled" / "general-4.safetensors").replace(weights / "kept")
    shutil.rmtree(weights / "unbundled")
    for bundled in weights.glob("*.safetensors"):
        bundled.unlink()
    (weights / "kept").replace(weights / "general-4.safetensors")
    (folder / "resources" / "weights.json").unlink()
    made = run(folder, "scripts/make_catalogue.py", *published)
    assert made.returncode == 0, made.stderr
    return folder


def run(plugin: Path, *arguments, **environ) -> subprocess.CompletedProcess:
    """Runs Python in a plugin folder, with its packages on the path."""
    command = [sys.executable, *map(str, arguments)]
    env = {**os.environ, "PYTHONPATH": str(plugin), **environ}
    return subprocess.run(command, cwd=plugin, env=env, capture_output=True, text=True, timeout=900)
