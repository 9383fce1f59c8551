"""Pansharpens the bundled sample with the bundled weights through qgis_process and writes the results into a folder.

    python scripts/demo.py out

Writes PAN, MS, the reference and the fused images as GeoTIFFs, a PNG with the images side by side, and two reports.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from osgeo import gdal

from ssdiff_core.raster import sample

gdal.UseExceptions()

ROOT = Path(__file__).resolve().parents[1]


def main(folder: str = "out") -> None:
    out = Path(folder).resolve()
    out.mkdir(exist_ok=True)
    sample.unpack(out)
    print(sample.source())
    qgis = Qgis(out / "qgis")
    pair = {"SPECTRAL": out / "ms.tif", "PANCHROMATIC": out / "pan.tif"}
    qgis.run("pansharpen", **pair, OUTPUT=out / "fused.tif", REPORT=out / "report.html")
    for method in ("exp", "mtf-glp-fs"):
        qgis.run("pansharpenclassical", **pair, METHOD=method, OUTPUT=out / f"{method}.tif")
    measures = qgis.run(
        "assess", INPUT=out / "fused.tif", REFERENCE=out / "truth.tif", REPORT=out / "against_truth.html"
    )
    print(", ".join(f"{name} {measures[name]:.3f}" for name in ("SAM", "ERGAS", "Q2N")))
    shutil.rmtree(out / "qgis")

    images = [read(out / f"{name}.tif") for name in ("exp", "mtf-glp-fs", "fused", "truth")]
    picture = np.concatenate([stretched(image, images[-1]) for image in images], axis=2)
    write_png(out / "side_by_side.png", picture)
    print(f"open {folder}/fused.tif, {folder}/report.html and {folder}/side_by_side.png:")
    print("from left to right: interpolated MS, MTF-GLP-FS, SSDiff, reference")


class Qgis:
    """qgis_process with an empty profile, this repository as plugin, and the Python of .venv to compute with."""

    def __init__(self, folder: Path):
        plugins = folder / "plugins"
        plugins.mkdir(parents=True, exist_ok=True)
        if not (plugins / "ssdiff").exists():
            (plugins / "ssdiff").symlink_to(ROOT)
        variables = {
            "QT_QPA_PLATFORM": "offscreen",
            "QGIS_CUSTOM_CONFIG_PATH": folder / "profile",
            "QGIS_PLUGINPATH": plugins,
            "XDG_RUNTIME_DIR": folder,
            "SSDIFF_PYTHON": sys.executable,
        }
        self.environ = {**os.environ, **{name: str(value) for name, value in variables.items()}}
        # On Debian `qgis_process` is a wrapper that passes an option which the program rejects.
        self.program = (
            shutil.which("qgis_process.bin")
            or shutil.which("qgis_process")
            or sys.exit("qgis_process was not found: install QGIS")
        )
        self._call("plugins", "enable", "ssdiff")

    def run(self, algorithm: str, **parameters) -> dict:
        """Runs an algorithm of SSDiff; returns its outputs."""
        arguments = [f"{name}={value}" for name, value in parameters.items()]
        print("\nqgis_process run", f"ssdiff:{algorithm}", *arguments, flush=True)
        return json.loads(self._call("run", f"ssdiff:{algorithm}", "--json", "--", *arguments))["results"]

    def _call(self, *arguments: str) -> str:
        done = subprocess.run([self.program, *arguments], env=self.environ, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        return done.stdout


def write_png(path: Path, image: np.ndarray) -> None:
    """Writes an image of bytes (bands, rows, columns)."""
    dataset = gdal.GetDriverByName("MEM").Create("", image.shape[2], image.shape[1], len(image), gdal.GDT_Byte)
    for index, band in enumerate(image, 1):
        dataset.GetRasterBand(index).WriteArray(band)
    gdal.GetDriverByName("PNG").CreateCopy(str(path), dataset)
    Path(f"{path}.aux.xml").unlink(missing_ok=True)


def read(path: Path) -> np.ndarray:
    return gdal.Open(str(path)).ReadAsArray().astype(np.float32)


def stretched(image: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Returns red, green and blue as bytes, with the contrast stretch of the reference."""
    low, high = np.quantile(truth[:3], [0.01, 0.995])
    return (np.clip((image[2::-1] - low) / (high - low), 0, 1) ** 0.8 * 255).astype(np.uint8)


if __name__ == "__main__":
    main(*sys.argv[1:])
