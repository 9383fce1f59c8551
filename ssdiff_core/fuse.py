"""A scene through an engine into a file: reading, computing and writing side by side, block by block.

Finished blocks go into a flat working file beside the output, their numbers into a journal; only a whole image becomes
the output, under its name in one move. So a run that was killed can be resumed, and a half image never bears the name.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from osgeo import gdal, gdal_array

from .blocks import SceneStats
from .errors import RasterError, SSDiffError
from .grid import Grid
from .scene import Reader, Scene, one_line, open_raster
from .tiles import Window

MEMORY = 1024
"MiB that a run may hold, if nobody says otherwise; what an engine needs for itself comes on top"
ON_DISK = 1.0
"seconds of work that a power cut may cost"


@dataclass(frozen=True)
class Output:
    path: Path
    dtype: np.dtype
    nodata: float | None
    "what masked pixels get; None where no pixel can be masked"
    format: str = "cog"
    options: tuple[str, ...] = ()
    "creation options KEY=VALUE; they win over the usual ones"

    @property
    def working(self) -> Path:
        return self.path.with_name(self.path.name + ".part")

    @property
    def journal(self) -> Path:
        return self.path.with_name(self.path.name + ".part.json")

    @property
    def finished(self) -> Path:
        return self.path.with_name(self.path.name + ".whole.tif")

    @property
    def leftovers(self) -> list[Path]:
        header = self.working.with_suffix(".hdr")
        return [self.working, self.journal, self.finished, header, Path(f"{self.working}.aux.xml")]


def output_for(scene: Scene, path: str | Path, dtype: str | None = None, nodata: float | None = None, **rest) -> Output:
    """The output that keeps what the inputs say: the type of MS, its nodata value or else one that no count has."""
    kind = np.dtype(dtype) if dtype else scene.dtype
    if nodata is None and scene.masked:
        nodata = next((band.nodata for band in (*scene.ms, scene.pan) if band.nodata is not None), None)
        if nodata is None or not _holds(kind, nodata):
            nodata = float("nan") if kind.kind == "f" else 0 if kind.kind == "u" else int(np.iinfo(kind).min)
    if nodata is not None and not _holds(kind, nodata):
        raise SSDiffError(f"nodata {nodata:g} does not fit in {kind.name}")
    return Output(Path(path), kind, nodata, **rest)


def _holds(kind: np.dtype, value: float) -> bool:
    if kind.kind == "f":
        return True
    info = np.iinfo(kind)
    return float(value).is_integer() and info.min <= value <= info.max


def block_side(memory: int, bands: int) -> int:
    """Side of the blocks, in PAN pixels, that keep a run within memory MiB: some five of them are alive at a time."""
    pixel = 4 * bands * 5 + 32
    side = math.isqrt(memory * 2**20 // 4 // pixel) // 256 * 256
    return min(max(side, 256), 4096)


def blocks_of(window: Window, side: int) -> list[Window]:
    """The windows that a scene is computed in, row after row."""
    rows, cols = range(window.row, window.stop[0], side), range(window.col, window.stop[1], side)
    return [Window(r, c, side, side) & window for r in rows for c in cols]


def fuse(
    scene: Scene,
    engine,
    output: Output,
    stats: SceneStats,
    provenance: dict[str, str],
    progress: Callable[[float], None] = lambda share: None,
    resume: bool = False,
    memory: int = MEMORY,
    side: int | None = None,
) -> None:
    """Fuses the scene into output.path, or raises and leaves nothing under that name."""
    side = side or block_side(memory, len(scene.ms))
    gdal.SetCacheMax(max(memory // 4, 64) * 2**20)
    windows = blocks_of(scene.window, side)
    key = _key(scene, output, provenance, side)
    done = _finished(output, key) if resume else set()
    if not done:
        clean_up(output)
    try:
        if not done:
            _make_working_file(output, len(scene.ms), scene.grid)
        with open(output.working, "r+b", buffering=0) as image:
            todo = [i for i in range(len(windows)) if i not in done]
            _stream(scene, engine, stats, [(i, windows[i]) for i in todo], image, output, key, done, progress)
        finish(scene, output, provenance)
    except (RuntimeError, OSError) as error:
        if isinstance(error, SSDiffError):
            raise
        raise RasterError(f"{output.path} cannot be written: {one_line(error)}") from None
    clean_up(output)


def _key(scene: Scene, output: Output, provenance: dict[str, str], side: int) -> str:
    """What must be the same for finished blocks to be worth anything."""
    parts = (scene, str(output.dtype), output.nodata, side, sorted(provenance.items()))
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _finished(output: Output, key: str) -> set[int]:
    """The blocks that an interrupted run of the very same work has left in the working file."""
    try:
        lines = output.journal.read_text(encoding="utf-8").splitlines()
        if not output.working.exists() or not lines or json.loads(lines[0])["key"] != key:
            return set()
    except (OSError, ValueError, KeyError):
        return set()
    return {int(line) for line in lines[1:] if line.isdigit()}


def _make_working_file(output: Output, bands: int, grid: Grid) -> None:
    """A flat file, band after band, with the header that lets GDAL read it."""
    kind = gdal_array.NumericTypeCodeToGDALTypeCode(output.dtype.type)
    gdal.GetDriverByName("ENVI").Create(str(output.working), grid.width, grid.height, bands, kind)
    with open(output.working, "r+b") as image:
        image.truncate(bands * grid.height * grid.width * output.dtype.itemsize)


def _stream(scene, engine, stats, todo, image, output: Output, key: str, done: set[int], progress) -> None:
    """Reads, computes and writes in three threads; an error in any of them ends all."""
    read: queue.Queue = queue.Queue(maxsize=1)
    fused: queue.Queue = queue.Queue(maxsize=1)
    failed: list[BaseException] = []
    stop = threading.Event()

    def reading() -> None:
        reader = Reader(scene, stats)
        for i, window in todo:
            _put(read, (i, window, reader.read(window, engine.reach, engine.ms_halo)), stop)

    def writing() -> None:
        with open(output.journal, "a" if done else "w", encoding="utf-8") as journal:
            if not done:
                print(json.dumps({"key": key}), file=journal, flush=True)
            since, last = [], time.monotonic()
            try:
                for _ in todo:
                    i, window, pixels = _get(fused, stop)
                    _put_block(image, in_counts(pixels, output), window, scene.window)
                    since.append(i)
                    if time.monotonic() - last > ON_DISK:
                        _vouch(image, journal, since)
                        last = time.monotonic()
            finally:
                _vouch(image, journal, since)

    def guarded(work) -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)
            stop.set()

    threads = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in (reading, writing)]
    for thread in threads:
        thread.start()

    def computing() -> None:
        total = len(todo) + len(done)
        for n in range(len(todo)):
            i, window, block = _get(read, stop)
            before = len(done) + n
            pixels = engine.fuse(block, lambda share, before=before: progress((before + share) / total))
            _put(fused, (i, window, pixels), stop)
            progress((before + 1) / total)

    guarded(computing)
    for thread in threads:
        thread.join()
    real = [error for error in failed if not isinstance(error, _Stopped)]
    if real:
        raise real[0]


def _put_block(image, counts: np.ndarray, window: Window, scene: Window) -> None:
    """Writes a block row by row: mapped into memory, the file would count as memory used."""
    rows, cols = window.within(scene)
    for band, rectangle in enumerate(np.ascontiguousarray(counts)):
        for r, line in enumerate(rectangle, rows.start):
            image.seek(((band * scene.height + r) * scene.width + cols.start) * counts.itemsize)
            image.write(line)


def _vouch(image, journal, blocks: list[int]) -> None:
    """Brings the image to the disk, and only then says which blocks are there."""
    os.fsync(image.fileno())
    for i in blocks:
        print(i, file=journal)
    journal.flush()
    blocks.clear()


class _Stopped(Exception):
    "Another thread has failed."


def _put(line: queue.Queue, item, stop: threading.Event) -> None:
    while not stop.is_set():
        with contextlib.suppress(queue.Full):
            return line.put(item, timeout=0.1)
    raise _Stopped


def _get(line: queue.Queue, stop: threading.Event):
    while not stop.is_set():
        with contextlib.suppress(queue.Empty):
            return line.get(timeout=0.1)
    raise _Stopped


def in_counts(pixels: np.ndarray, output: Output) -> np.ndarray:
    """Fused values as the output holds them: rounded and within the type, nodata where NaN and nowhere else."""
    kind, nodata = output.dtype, output.nodata
    if kind.kind == "f":
        counts = pixels.astype(kind)
        if nodata is None or np.isnan(nodata):
            return counts
        counts = np.where(counts == nodata, np.nextafter(counts, kind.type(np.inf)), counts)
        return np.where(np.isnan(pixels), kind.type(nodata), counts)
    info = np.iinfo(kind)
    whole = np.rint(pixels)
    np.clip(whole, info.min, info.max, out=whole)
    with np.errstate(invalid="ignore"):  # NaN has no count; it becomes nodata below
        counts = whole.astype(kind)
    if nodata is not None:
        counts[counts == int(nodata)] = int(nodata) + 1 if nodata < info.max else int(nodata) - 1
        counts[np.isnan(pixels)] = int(nodata)
    return counts


# --- the file --------------------------------------------------------------------------------------------------------


def finish(scene: Scene, output: Output, provenance: dict[str, str]) -> None:
    """From the working file to the output, with all that belongs to it, moved to its name at the end."""
    plain = gdal.Translate("", str(output.working), format="VRT")
    _describe(plain, scene, output, provenance)
    driver = "COG" if output.format == "cog" else "GTiff"
    gdal.Translate(str(output.finished), plain, format=driver, creationOptions=creation_options(output))
    os.replace(output.finished, output.path)


def creation_options(output: Output) -> list[str]:
    """The user's options before the usual ones."""
    codecs = gdal.GetDriverByName("GTiff").GetMetadataItem("DMD_CREATIONOPTIONLIST") or ""
    usual = {"COMPRESS": "ZSTD" if "ZSTD" in codecs else "DEFLATE", "BIGTIFF": "IF_SAFER", "NUM_THREADS": "ALL_CPUS"}
    if output.format == "cog":
        usual |= {"PREDICTOR": "YES", "OVERVIEW_RESAMPLING": "AVERAGE"}
    else:
        usual |= {"TILED": "YES", "PREDICTOR": "3" if output.dtype.kind == "f" else "2"}
    asked = {key.upper(): value for key, value in (option.split("=", 1) for option in output.options)}
    if asked.get("COMPRESS", "").upper() in ("NONE", "JPEG", "WEBP", "LERC"):
        usual.pop("PREDICTOR")
    return [f"{key}={value}" for key, value in {**usual, **asked}.items()]


def _describe(image: gdal.Dataset, scene: Scene, output: Output, provenance: dict[str, str]) -> None:
    grid = scene.grid
    if grid.placed:
        image.SetGeoTransform(grid.transform)
        image.SetProjection(grid.crs)
    image.SetMetadata({f"SSDIFF_{key.upper()}": str(value) for key, value in provenance.items()})
    for index, source in enumerate(scene.ms, 1):
        band = image.GetRasterBand(index)
        held = open_raster(source.path)  # a band dies with its dataset
        original = held.GetRasterBand(source.index)
        band.SetDescription(source.name)
        band.SetMetadata({k: v for k, v in original.GetMetadata().items() if not k.startswith("STATISTICS_")})
        if output.nodata is not None:
            band.SetNoDataValue(output.nodata)
        band.SetColorInterpretation(original.GetColorInterpretation())
        for get, put in (("GetScale", "SetScale"), ("GetOffset", "SetOffset")):
            if getattr(original, get)() is not None:
                getattr(band, put)(getattr(original, get)())
        with contextlib.suppress(RuntimeError):  # a band without one valid pixel has no statistics
            band.ComputeStatistics(False)


def clean_up(output: Output) -> None:
    """Removes what a run leaves beside its output before it is whole."""
    for path in output.leftovers:
        path.unlink(missing_ok=True)
