"""Compares the speed of the network and the classical methods with GDAL and the Orfeo Toolbox, on one pair of images.

The tools run in turn, each in a process of its own, and write a tiled TIFF without compression. Times are those of the
whole process; `job` excludes the start of Python and, for the network, the import of torch, which a program that fuses
many scenes needs only once. The network does not adapt to the scene. The first run of each is not counted: it fills the
caches of files, and Python compiles the modules and keeps them, as it does where a program is installed. What we keep
about a scene, such as its statistics, is removed before each run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from osgeo import gdal, osr

gdal.UseExceptions()

ROOT = Path(__file__).resolve().parents[1]
TIFF = {"TILED": "YES", "COMPRESS": "NONE", "INTERLEAVE": "BAND"}
ENVIRON = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
JOB = """
import sys, time
sys.path.insert(0, {root!r})
from ssdiff_core.cli import main as cli; from ssdiff_core.inprocess import backend
if "ssdiff" in sys.argv: import torch
start = time.perf_counter()
code = cli.main(sys.argv[1:])
print(time.perf_counter() - start)
sys.exit(code)
"""


def main() -> None:
    args = parser().parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        pair = make_pair(Path(folder), args.size, args.bands)
        out = Path(folder) / "out.tif"
        tools = peers(pair, out) | {f"ssdiff {method}": ssdiff(pair, out, method) for method in args.methods}
        times = {name: [] for name in tools}
        for _ in range(1 + args.runs):
            for name, command in tools.items():
                times[name].append(timed(command))
                out.unlink()
    report({name: counted for name, (_, *counted) in times.items()}, args.json)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--size", type=int, default=5120, help="side of PAN in pixels (default 5120: 26 million)")
    options.add_argument("--bands", type=int, default=8)
    options.add_argument("--runs", type=int, default=5, help="runs of each tool (default 5)")
    options.add_argument("--methods", nargs="+", default=["exp", "brovey", "gsa", "mtf-glp-fs", "ssdiff"])
    options.add_argument("--folder", help="working folder (default: the system's folder for temporary files)")
    options.add_argument("--json", action="store_true")
    return options


def make_pair(folder: Path, size: int, bands: int) -> tuple[Path, Path]:
    """Writes PAN and MS with waves and noise; returns their paths. The content does not influence the speed."""
    rng, crs = np.random.default_rng(0), osr.SpatialReference()
    crs.ImportFromEPSG(32632)
    files = []
    for name, side, count, pixel in (("pan", size, 1, 0.5), ("ms", size // 4, bands, 2.0)):
        path = folder / f"{name}.tif"
        file = gdal.GetDriverByName("GTiff").Create(str(path), side, side, count, gdal.GDT_UInt16, ["TILED=YES"])
        file.SetGeoTransform((500_000.0, pixel, 0.0, 4_000_000.0, 0.0, -pixel))
        file.SetProjection(crs.ExportToWkt())
        wave = np.sin(np.linspace(0, 40, side))
        for band in range(count):
            ground = 900 + 300 * wave[:, None] * wave + 20 * band
            file.GetRasterBand(band + 1).WriteArray((ground + rng.integers(0, 100, (side, side))).astype(np.uint16))
        files.append(path)
    return tuple(files)


def peers(pair: tuple[Path, Path], out: Path) -> dict[str, list[str]]:
    """Returns the commands of the other tools that are installed."""
    pan, ms = map(str, pair)
    creation = [argument for key, value in TIFF.items() for argument in ("-co", f"{key}={value}")]
    target = f"{out}?" + "".join(f"&gdal:co:{key}={value}" for key, value in TIFF.items())
    commands = {
        "GDAL brovey": ["gdal_pansharpen.py", "-q", "-threads", "ALL_CPUS", *creation, pan, ms, str(out)],
        "OTB rcs": [
            "otbcli_BundleToPerfectSensor",
            "-inp",
            pan,
            "-inxs",
            ms,
            "-out",
            target,
            "uint16",
            "-method",
            "rcs",
        ],
    }
    missing = [name for name, command in commands.items() if not shutil.which(command[0])]
    for name in missing:
        print(f"{name} is skipped: {commands[name][0]} is not installed", file=sys.stderr)
    return {name: command for name, command in commands.items() if name not in missing}


def ssdiff(pair: tuple[Path, Path], out: Path, method: str) -> list[str]:
    """Returns the command that runs one of our methods and prints the seconds of the job."""
    options = ["--method", method, "--align", "none", "--adapt", "none", "--format", "gtiff", "--co", "COMPRESS=NONE"]
    job = [sys.executable, "-c", JOB.format(root=str(ROOT)), "pansharpen"]
    return [*job, *map(str, pair), str(out), *options]


def timed(command: list[str]) -> tuple[float, float]:
    """Returns the seconds of the process and of its job; both are equal for the other tools."""
    with tempfile.TemporaryDirectory() as cache:
        start = time.perf_counter()
        environ = {**ENVIRON, "SSDIFF_CACHE": cache}
        output = subprocess.run(command, check=True, capture_output=True, text=True, env=environ).stdout
        seconds = time.perf_counter() - start
    return seconds, float(output) if command[0] == sys.executable else seconds


def report(times: dict[str, list[tuple[float, float]]], as_json: bool) -> None:
    first = next(iter(times))
    rows = {}
    for name, runs in times.items():
        whole, job = zip(*runs)
        ratio = min(runs[0] for runs in times[first]) / min(job)
        rows[name] = {"min": min(whole), "median": median(whole), "job_min": min(job), "job_median": median(job)}
        rows[name][f"times_{first}"] = ratio
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'seconds':20}{'minimum':>8}{'median':>8}{'job':>8}{'median':>8}   speed of the job relative to {first}")
    for name, row in rows.items():
        *seconds, ratio = row.values()
        print(f"{name:20}" + "".join(f"{value:8.2f}" for value in seconds) + f"{ratio:9.2f}")


if __name__ == "__main__":
    main()
