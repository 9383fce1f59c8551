"""Measures archive runs on this machine: times, Dask's share, memory and file descriptors of the workers.

    python scripts/bench_archive.py deliveries FOLDER [--count 24] [--side 512] [--workers 1 2 4] [--method ssdiff]
    python scripts/bench_archive.py large FOLDER [--side 30000] [--extent 4000] [--workers 2] [--method mtf-glp-fs]

deliveries: fuses made-up deliveries with each number of workers, and compares the pixels. large: fuses one scene, a
virtual raster of the sample, with all workers together. Processor seconds are those of the processes, so that they mean
something on a busy machine too.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
from make_deliveries import SAMPLE, make
from osgeo import gdal, osr

from ssdiff_core.archive.archive import ArchiveSettings, Observer, fuse_archive, new_run
from ssdiff_core.archive.cluster import ClusterOptions, connected
from ssdiff_core.archive.prepare import prepare
from ssdiff_core.archive.runner import PATIENCE, Runner
from ssdiff_core.deliveries import find_scenes
from ssdiff_core.domain.options import PansharpenOptions
from ssdiff_core.weights import catalogue

TILE = 1920
"side of the tiles of the large scene's PAN"
SAMPLE_SECONDS = 0.5
"time between two samples of memory and file descriptors"


def ignore(*_) -> None:
    """Ignores what a run reports."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("deliveries", "large"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--side", type=int)
    parser.add_argument("--extent", type=int, help="side of the fused extent in pixels; default: all")
    parser.add_argument("--workers", type=int, nargs="+")
    parser.add_argument("--method", default="ssdiff")
    args = parser.parse_args()
    (bench_deliveries if args.what == "deliveries" else bench_large)(args)


def bench_deliveries(args) -> None:
    places = args.folder / f"in-{args.count}-{args.side or 512}"
    if not places.exists():
        make(places, args.count, args.side or 512)
    options, first = PansharpenOptions(method=args.method, adapt="none"), None
    for workers in args.workers or (1, 2, 4):
        out = args.folder / f"out-{workers}"
        shutil.rmtree(out, ignore_errors=True)
        report(f"{workers} workers", fused(places, out, options, workers))
        pixels = {path.name: gdal.Open(str(path)).ReadAsArray() for path in sorted(out.glob("*.tif"))}
        first = first or pixels
        same = first.keys() == pixels.keys() and all(np.array_equal(first[name], pixels[name]) for name in first)
        report("same pixels as the first run", same)
    report("dispatch of complete scenes", dispatch(places, out, options))


def bench_large(args) -> None:
    side = args.side or 30000
    places = args.folder / f"large-{side}"
    if not places.exists():
        make_large(places, side)
    extent = None
    if args.extent:
        x, y = 500_000 + side / 4, 4_500_000 - side / 4  # a corner inside, at pixels of half a metre
        extent = (x, y - args.extent / 2, x + args.extent / 2, y)
    options = PansharpenOptions(method=args.method, adapt="none", extent=extent)
    for workers in args.workers or (2,):
        out = args.folder / f"large-out-{args.method}"
        shutil.rmtree(out, ignore_errors=True)
        report(
            f"{side} x {side} pixels, {workers} workers", fused(places / "pairs.csv", out, options, workers, large=1.0)
        )


def fused(places: Path, out: Path, options: PansharpenOptions, workers: int, large: float = 100.0) -> dict:
    """Runs an archive; returns times, and memory and file descriptors of the workers, early and late in the run."""
    settings = ArchiveSettings(large=large, cluster=ClusterOptions(workers=workers))
    sampler = Sampler()
    observer = Observer(print_to_stderr, sampler.begin, ignore, ignore)
    run = new_run(str(out), settings, options=options)
    outcomes = fuse_archive(find_scenes([places]), run, settings, catalogue.fetcher(), observer)
    failed = [outcome.reason for outcome in outcomes if not outcome.item]
    return {"scenes": len(outcomes) - len(failed), "failed": failed, **sampler.end()}


def dispatch(places: Path, out: Path, options: PansharpenOptions) -> dict:
    """Returns the times per scene of sending scenes that are complete already: what Dask and SSDiff's runner need."""
    settings = ArchiveSettings()
    run = new_run(str(out), settings, options=options)
    jobs = prepare(find_scenes([places]), run, "{scene}.tif", settings.large, catalogue.fetcher(), ignore).jobs
    with connected(ClusterOptions(workers=1), options.memory) as client:
        list(Runner(client, run, jobs, PATIENCE, ignore).outcomes())  # the worker imports what it needs
        run = new_run(str(out), settings, options=options)
        before = time.monotonic(), processor_seconds()
        list(Runner(client, run, jobs, PATIENCE, ignore).outcomes())
        seconds, cpu = time.monotonic() - before[0], processor_seconds() - before[1]
    return {"ms": round(1000 * seconds / len(jobs), 2), "processor ms": round(1000 * cpu / len(jobs), 2)}


def processor_seconds() -> float:
    """Returns the processor seconds of this process and its children so far."""
    return sum(sum(process.cpu_times()[:2]) for process in family())


def family() -> list[psutil.Process]:
    this = psutil.Process()
    return [this, *this.children(recursive=True)]


class Sampler:
    """Measures a run from its begin to its end."""

    def __init__(self):
        self._stop, self._samples, self._thread = threading.Event(), [], threading.Thread(target=self._sample)

    def begin(self, plan, dashboard: str) -> None:
        """Begins when the workers are ready; receives what an observer does."""
        self._workers = [process for process in family()[1:] if "spawn_main" in " ".join(process.cmdline())]
        self._own, self._begun = psutil.Process().cpu_times(), time.monotonic()
        self._thread.start()

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            try:
                cpu = sum(sum(process.cpu_times()[:2]) for process in self._workers)
                memory = max(process.memory_info().rss for process in self._workers) / 2**20
                files = max(process.num_fds() for process in self._workers)
            except psutil.Error:  # the workers have ended
                return
            self._samples.append((time.monotonic() - self._begun, cpu, memory, files))

    def end(self) -> dict:
        """Returns what was measured."""
        seconds, own = time.monotonic() - self._begun, psutil.Process().cpu_times()
        self._stop.set()
        self._thread.join()
        samples = np.array(self._samples)
        quarters = np.array_split(samples, 4)
        return {
            "seconds": round(seconds, 1),
            "processor seconds of workers": round(float(samples[-1, 1]), 1),
            "of client and scheduler": round(own.user + own.system - self._own.user - self._own.system, 1),
            "MB of the largest worker, by quarters of the run": [round(float(part[:, 2].max())) for part in quarters],
            "its file descriptors": [int(part[:, 3].max()) for part in quarters],
        }


def make_large(folder: Path, side: int) -> None:
    """Makes PAN and MS of a scene as virtual rasters of one tile each, which repeats the sample mirrored."""
    folder.mkdir(parents=True)
    with np.load(SAMPLE) as file:
        images = {"pan": (file["pan"][None], 1), "ms": (file["ms"].transpose(2, 0, 1), 4)}
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32610)
    for kind, (image, ratio) in images.items():
        size = TILE // ratio
        tile = np.pad(image, ((0, 0), *[(0, size - n) for n in image.shape[1:]]), "symmetric")
        parts = []
        for row in range(0, side // ratio, size):
            for col in range(0, side // ratio, size):
                height, width = (min(size, side // ratio - start) for start in (row, col))
                parts.append((row, col, height, width))
        gdal.GetDriverByName("GTiff").CreateCopy(
            str(folder / f"tile-{kind}.tiff"), as_dataset(tile), options=["TILED=YES"]
        )
        (folder / f"scene_{kind}.vrt").write_text(
            vrt_text(f"tile-{kind}.tiff", parts, side // ratio, ratio, len(tile), crs)
        )
    (folder / "pairs.csv").write_text("name,pan,ms\nlarge,scene_pan.vrt,scene_ms.vrt\n")


def as_dataset(image: np.ndarray) -> gdal.Dataset:
    from osgeo import gdal_array

    return gdal_array.OpenArray(np.ascontiguousarray(image))


def vrt_text(tile: str, parts, side: int, ratio: int, bands: int, crs) -> str:
    """Returns a virtual raster that repeats a tile."""
    sources = {
        band: "".join(
            f'<SimpleSource><SourceFilename relativeToVRT="1">{tile}</SourceFilename><SourceBand>{band}</SourceBand>'
            f'<SrcRect xOff="0" yOff="0" xSize="{width}" ySize="{height}"/>'
            f'<DstRect xOff="{col}" yOff="{row}" xSize="{width}" ySize="{height}"/></SimpleSource>\n'
            for row, col, height, width in parts
        )
        for band in range(1, bands + 1)
    }
    text = "".join(
        f'<VRTRasterBand dataType="UInt16" band="{band}">{each}</VRTRasterBand>' for band, each in sources.items()
    )
    transform = f"500000, {0.5 * ratio}, 0, 4500000, 0, {-0.5 * ratio}"
    return (
        f'<VRTDataset rasterXSize="{side}" rasterYSize="{side}"><SRS>{crs.ExportToWkt().replace("<", "&lt;")}</SRS>'
        f"<GeoTransform>{transform}</GeoTransform>{text}</VRTDataset>"
    )


def print_to_stderr(message) -> None:
    print(message, file=sys.stderr)


def report(what: str, value) -> None:
    print(f"{what}: {json.dumps(value)}", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
