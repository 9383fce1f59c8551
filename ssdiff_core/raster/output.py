"""The files that a run makes, and those beside them while they are not whole.

Pixels go into a working file, OUT.part, a tiled TIFF without compression; a journal tells which blocks are there. If
the output shall be such a TIFF, the working file becomes it; else it is copied, compressed. Either takes the name OUT
in one move at the end, so a half image never bears it. A run may make two: the image, and how far the samples that it
is the mean of lie apart. They are written together, and get their names when both are whole.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from osgeo import gdal, gdal_array

from ..common.errors import RasterError, SSDiffError, one_line
from ..common.locks import move
from ..common.notices import Notice, notice
from ..common.progress import file_size
from ..domain.exact_sums import Sums
from ..domain.scene import Scene
from .reader import open_raster
from .tiled_tiff import Layout, layout_of

PACKED = 0.5
"of its plain size: what a compressed file is reckoned to take before it is known"
BESIDE = ("", ".aux.xml", ".ovr.tmp", ".msk.ovr.tmp")
"ends of the names of what GDAL writes with a file"
SPREAD = "standard deviation of the samples, in counts"
"what a file says that it shows, if that is not the image"
OF_COUNTS = ("NBITS", "PREDICTOR", "PHOTOMETRIC", "ALPHA", "DISCARD_LSB", "COMPRESS=JPEG", "COMPRESS=WEBP")
"creation options for whole numbers or pictures, which a spread is not"
FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


@dataclass(frozen=True)
class Output:
    path: Path
    dtype: np.dtype
    nodata: float | None
    "what masked pixels get; None where no pixel can be masked"
    format: str = "cog"
    options: tuple[str, ...] = ()
    "creation options KEY=VALUE; they win over the usual ones"
    spread: bool = False
    "whether it shows how far samples lie apart, and not what they are"

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
        "What a run that was killed has left."
        files = [Path(f"{file}{end}") for file in (self.working, self.finished) for end in BESIDE]
        return [file for file in (*files, self.journal) if file.exists()]


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


def spread_beside(output: Output, path: str | Path) -> Output:
    """The output for how far the samples lie apart whose mean goes into another: with a value where that has one."""
    nodata = None if output.nodata is None else float("nan")
    options = tuple(option for option in output.options if not option.upper().startswith(OF_COUNTS))
    return replace(output, path=Path(path), dtype=np.dtype(np.float32), nodata=nodata, options=options, spread=True)


def _holds(kind: np.dtype, value: float) -> bool:
    if kind.kind == "f":
        return True
    info = np.iinfo(kind)
    return float(value).is_integer() and info.min <= value <= info.max


def creation_options(output: Output) -> dict[str, str]:
    """The user's options before the usual ones."""
    known = _known_options(output)
    usual = {"COMPRESS": "ZSTD" if "ZSTD" in known else "DEFLATE", "BIGTIFF": "IF_SAFER", "NUM_THREADS": "ALL_CPUS"}
    if output.format == "cog":
        usual |= {"PREDICTOR": "YES", "OVERVIEW_RESAMPLING": "AVERAGE"}
    else:
        usual |= {"TILED": "YES", "INTERLEAVE": "BAND", "PREDICTOR": "3" if output.dtype.kind == "f" else "2"}
    asked = {key.upper(): value for key, value in (option.split("=", 1) for option in output.options)}
    if asked.get("COMPRESS", "").upper() in ("NONE", "JPEG", "WEBP", "LERC"):
        usual.pop("PREDICTOR")
    return {**usual, **asked}


def _known_options(output: Output) -> str:
    return _driver(output).GetMetadataItem("DMD_CREATIONOPTIONLIST") or ""


def ignored_options(output: Output) -> list[Notice]:
    """Returns notices about creation options that GDAL ignores or may ignore."""
    known, notices = _values(_known_options(output)), []
    for key, _, value in (option.partition("=") for option in output.options):
        values = known.get(key.upper())
        if values is None:
            notices.append(notice("creation_option_unknown", key=key, known=list(known)))
        elif values and value.upper() not in values:
            notices.append(notice("creation_option_value_unknown", key=key, value=value, values=values))
    return notices


def _values(options: str) -> dict[str, list[str]]:
    """The creation options that a driver tells of, and what each may be; none where that is open."""
    found = {}
    for option in (node[2:] for node in gdal.ParseXMLString(options)[2:]):
        about = {part[1]: part[2][1] for part in option if part[1] in ("name", "type")}
        listed = [part[-1][1].upper() for part in option if part[1] == "Value"]
        found[about["name"].upper()] = listed if about["type"] == "string-select" else []
    return found


def _driver(output: Output) -> gdal.Driver:
    return gdal.GetDriverByName("COG" if output.format == "cog" else "GTiff")


# --- the working file ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Working:
    """A working file that takes pixels."""

    output: Output
    layout: Layout
    final: bool
    "whether it becomes the output"


def may_be_final(output: Output) -> bool:
    """Whether the working file can be made such that it is the output."""
    return output.format == "gtiff" and creation_options(output)["COMPRESS"].upper() == "NONE"


def make_working_file(output: Output, scene: Scene, provenance: dict[str, str]) -> Working:
    """Makes it, with all that is known before there are pixels."""
    if may_be_final(output):
        _create(output, scene, provenance, [f"{key}={value}" for key, value in creation_options(output).items()])
        layout = layout_of(output.working)
        if layout:
            return Working(output, layout, True)
    _create(output, scene, provenance, ["TILED=YES", "INTERLEAVE=BAND", "BIGTIFF=IF_SAFER"])
    layout = layout_of(output.working)
    if not layout:
        raise RasterError(f"{output.working} was made by GDAL {gdal.__version__} in a way that cannot be written to")
    return Working(output, layout, False)


def _create(output: Output, scene: Scene, provenance: dict[str, str], options: list[str]) -> None:
    kind = gdal_array.NumericTypeCodeToGDALTypeCode(output.dtype.type)
    size = scene.window.width, scene.window.height
    with _closed(
        gdal.GetDriverByName("GTiff").Create(str(output.working), *size, len(scene.ms), kind, options)
    ) as image:
        _describe(image, output, scene, provenance)


@contextlib.contextmanager
def _closed(image: gdal.Dataset):
    """GDAL writes much of a file when it closes it. What goes wrong then is raised here; a destructor prints it.

    It is closed after a failure too: on Windows no file can be removed that is open.
    """
    try:
        yield image
    except BaseException:
        with contextlib.suppress(RuntimeError):
            _close(image)
        raise
    _close(image)


def _close(image: gdal.Dataset) -> None:
    if hasattr(image, "Close"):  # GDAL 3.8
        image.Close()
    else:
        gdal.Dataset.__swig_destroy__(image)


def _describe(image: gdal.Dataset, output: Output, scene: Scene, provenance: dict[str, str]) -> None:
    if scene.grid.placed:
        image.SetGeoTransform(scene.grid.transform)
        image.SetProjection(scene.grid.crs)
    sources = [open_raster(source.path) for source in (scene.pan, *scene.ms)]  # a band dies with its dataset
    imagery = {**sources[0].GetMetadata("IMAGERY"), **sources[1].GetMetadata("IMAGERY")}
    provenance = {**provenance, "shows": SPREAD} if output.spread else provenance
    said = {f"SSDIFF_{key.upper()}": str(value) for key, value in provenance.items()}
    _say(image, {**imagery, **said}, imagery)
    for index, (source, file) in enumerate(zip(scene.ms, sources[1:]), 1):
        band, original = image.GetRasterBand(index), file.GetRasterBand(source.index)
        imagery = original.GetMetadata("IMAGERY")
        said = {key: value for key, value in original.GetMetadata().items() if not key.startswith("STATISTICS_")}
        _say(band, {**imagery, **said}, imagery)
        band.SetDescription(source.name)
        if original.GetScale() is not None:
            band.SetScale(original.GetScale())
        if output.spread:  # has no colour, and is the same whatever counts begin at
            continue
        band.SetColorInterpretation(original.GetColorInterpretation())
        if original.GetOffset() is not None:
            band.SetOffset(original.GetOffset())


def _say(what: gdal.MajorObject, said: dict[str, str], imagery: dict[str, str]) -> None:
    """Metadata; that of the domain IMAGERY also among the rest, because not every GDAL copies a domain into a COG."""
    what.SetMetadata(said)
    if imagery:
        what.SetMetadata(imagery, "IMAGERY")


# --- from the working files to the outputs ---------------------------------------------------------------------------


def finish(files: Sequence[Working], sums: Sequence[Sequence[Sums]], stop: threading.Event) -> None:
    """Statistics into the working files, and whole images to their names: to all of them, or to none."""
    ready = [_ready(file, of_bands, stop) for file, of_bands in zip(files, sums)]
    named = []
    try:
        for file, whole in reversed(list(zip(files, ready))):  # the image last: where it is, all is
            with blamed(file.output):
                move(whole, file.output.path)
            named.append(file.output.path)
    except RasterError:
        for path in named:
            path.unlink()
        raise


def _ready(file: Working, sums: Sequence[Sums], stop: threading.Event) -> Path:
    """The whole image, which needs nothing but its name."""
    output = file.output
    with blamed(output):
        with _closed(gdal.OpenEx(str(output.working), gdal.OF_RASTER | gdal.OF_UPDATE)) as image:
            _seal(image, output, sums)
        if not file.final:
            _copy(output, stop)
        ready = output.working if file.final else output.finished
        with open(ready, "r+b") as whole:
            os.fsync(whole.fileno())
        return ready


def _seal(image: gdal.Dataset, output: Output, sums: Sequence[Sums]) -> None:
    pixels = image.RasterXSize * image.RasterYSize
    for index, band_sums in enumerate(sums, 1):
        band = image.GetRasterBand(index)
        if output.nodata is not None:
            band.SetNoDataValue(output.nodata)
        if band_sums.count:  # a band without one valid pixel has no statistics
            band.SetStatistics(*map(float, (band_sums.least, band_sums.most, band_sums.mean, band_sums.deviation)))
            band.SetMetadataItem("STATISTICS_VALID_PERCENT", f"{100 * band_sums.count / pixels:.4g}")


def _copy(output: Output, stop: threading.Event) -> None:
    options = creation_options(output)
    if "COPY_SRC_MDD" in _known_options(output):
        options.setdefault("COPY_SRC_MDD", "YES")

    def going_on(*_) -> int:
        return int(not stop.is_set())

    listed = [f"{key}={value}" for key, value in options.items()]
    gdal.PushErrorHandler("CPLQuietErrorHandler")  # errors are raised; warnings are none of the user's
    try:
        with _closed(gdal.OpenEx(str(output.working), gdal.OF_RASTER)) as image:
            made = _driver(output).CreateCopy(str(output.finished), image, options=listed, callback=going_on)
            with _closed(made):
                pass
    finally:
        gdal.PopErrorHandler()


def clean_up(outputs: Sequence[Output]) -> None:
    """Removes what a run leaves beside its outputs before they are whole."""
    for output in outputs:
        for path in output.leftovers:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def blamed(output: Output) -> Iterator[None]:
    """What goes wrong here is told as something about that file."""
    try:
        yield
    except (RuntimeError, OSError) as error:
        if getattr(error, "errno", None) in FULL:
            why = "the disk is full; make room or name another folder"
        else:
            why = getattr(error, "strerror", None) or one_line(error)
        raise RasterError(f"{output.path} cannot be written: {why}") from None


def check_names(outputs: Sequence[Output]) -> None:
    """Windows gives no file the name of one that is open, as a layer of QGIS is: better said now than in the end."""
    for output in outputs:
        if output.path.exists():
            with blamed(output):
                os.rename(output.path, output.path)


# --- room on the disk ------------------------------------------------------------------------------------------------


def check_room(outputs: Sequence[Output], scene: Scene) -> None:
    """Better no start than an end half way."""
    disks: dict[int, list[Output]] = {}
    for output in outputs:
        with contextlib.suppress(OSError):  # a folder that is not there is told of when it is written to
            disks.setdefault(os.stat(_folder(output)).st_dev, []).append(output)
    for together in disks.values():
        needed = sum(_room(output, scene) for output in together)
        free = shutil.disk_usage(_folder(together[0])).free
        if free < needed:
            names = " with ".join(str(output.path) for output in together)
            raise RasterError(
                f"{names} needs about {file_size(needed)} and {file_size(free)} are free there: "
                "make room or name another folder"
            )


def _folder(output: Output) -> Path:
    return output.path.absolute().parent


def _room(output: Output, scene: Scene) -> float:
    plain = scene.window.height * scene.window.width * len(scene.ms) * output.dtype.itemsize
    return plain * (1 if may_be_final(output) else 1 + PACKED)
