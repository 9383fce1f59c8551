"""The classical methods side by side with GDAL and the Orfeo Toolbox: one pair, each tool a process, in turn.

Every tool writes a tiled TIFF without compression. Times are of the whole process; `job` is without the start of Python
and the import of torch, which a program that fuses more than one scene pays once.
"""

from __future__ import annotations

import argparse
import json
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
JOB = """
import sys, time
sys.path.insert(0, {root!r})
from ssdiff_core.cli import main as cli; from ssdiff_core.workflows import pansharpen
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
        tools = peers(pair, out) | {f"ssdiff {method}": ours(pair, out, method) for method in args.methods}
        times = {name: [] for name in tools}
        for _ in range(args.runs):
            for name, command in tools.items():
                times[name].append(timed(command))
                out.unlink()
    report(times, args.json)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--size", type=int, default=5120, help="side of PAN in pixels (default 5120: 26 million)")
    options.add_argument("--bands", type=int, default=8)
    options.add_argument("--runs", type=int, default=5, help="of each tool, in turn (default 5)")
    options.add_argument("--methods", nargs="+", default=["exp", "brovey", "gsa", "mtf-glp-fs"])
    options.add_argument("--folder", help="where to work (default: the system's folder for temporary files)")
    options.add_argument("--json", action="store_true")
    return options


def make_pair(folder: Path, size: int, bands: int) -> tuple[Path, Path]:
    """PAN and MS of waves and noise; what they show makes no difference to the speed."""
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
    """The commands of the other tools that are installed."""
    pan, ms = map(str, pair)
    tiff = [word for key, value in TIFF.items() for word in ("-co", f"{key}={value}")]
    target = f"{out}?" + "".join(f"&gdal:co:{key}={value}" for key, value in TIFF.items())
    known = {
        "GDAL brovey": ["gdal_pansharpen.py", "-q", "-threads", "ALL_CPUS", *tiff, pan, ms, str(out)],
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
    missing = [name for name, command in known.items() if not shutil.which(command[0])]
    for name in missing:
        print(f"{name} is left out: {known[name][0]} is not installed", file=sys.stderr)
    return {name: command for name, command in known.items() if name not in missing}


def ours(pair: tuple[Path, Path], out: Path, method: str) -> list[str]:
    options = ["--method", method, "--align", "none", "--format", "gtiff", "--co", "COMPRESS=NONE"]
    job = [sys.executable, "-c", JOB.format(root=str(ROOT)), "pansharpen"]
    return [*job, *map(str, pair), str(out), *options]


def timed(command: list[str]) -> tuple[float, float]:
    """Seconds that a process takes, and those that its job takes; the same if it does not tell."""
    start = time.perf_counter()
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    took = time.perf_counter() - start
    return took, float(said) if command[0] == sys.executable else took


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
    print(f"{'seconds':20}{'least':>8}{'median':>8}{'job':>8}{'median':>8}   speed of the job against {first}")
    for name, row in rows.items():
        *seconds, ratio = row.values()
        print(f"{name:20}" + "".join(f"{value:8.2f}" for value in seconds) + f"{ratio:9.2f}")


if __name__ == "__main__":
    main()
