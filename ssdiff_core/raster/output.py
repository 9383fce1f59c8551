"""Output files of a run, and their working files until they are complete.

Pixels are written to a working file, OUT.part, an uncompressed tiled TIFF. If the
output is such a TIFF, the working file becomes the output; otherwise it is copied and compressed. The result is renamed
to OUT at the end, so OUT is never incomplete. A run can have two outputs: the image, and the standard deviation of the
samples whose mean it is (the spread). They are written together and renamed when both are complete.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from osgeo import gdal, gdal_array

from ..common.errors import ConfigError, RasterError, SSDiffError, one_line
from ..common.files import kind_of, move, open_new
from ..common.notices import Notice, notice
from ..common.progress import file_size
from ..domain.exact_sums import Sums
from ..domain.pixel_type import PixelType
from ..domain.scene import Scene
from .image_geometry import ground_control, rpc_of
from .metadata import entries
from .reader import open_raster
from .scene_sample import ms_sample
from .tiled_tiff import Layout, layout_of

COMPRESSION_ESTIMATE = 0.5
"expected size of a compressed file, relative to the uncompressed size"
SIDECAR_SUFFIXES = ("", ".aux.xml", ".ovr.tmp", ".msk.ovr.tmp")
"suffixes of a file and of what GDAL writes next to it"
SPREAD = "standard deviation of the samples, in counts"
"content of the spread file, as written to its metadata"
COUNT_OPTIONS = ("NBITS", "PREDICTOR", "PHOTOMETRIC", "ALPHA", "DISCARD_LSB", "COMPRESS=JPEG", "COMPRESS=WEBP")
"creation options for integers or pictures, which do not apply to the spread"
BLOCK_SIZES = ("BLOCKSIZE", "BLOCKXSIZE", "BLOCKYSIZE")
"creation options that are sides of blocks"
BLOCK_SIDES = range(16, 32769)
"sides of blocks in pixels that GDAL can write"
OF_THE_FILE = re.compile(
    r"^(AREA_OR_POINT|TIFFTAG_(SOFTWARE|[XY]?RESOLUTION(UNIT)?|M(IN|AX)SAMPLEVALUE)|SSDIFF_.*|STATISTICS_.*|OVR_.*)$"
    r"|(^|\.)(num(Rows|Columns|Tiles)|(UL|UR|LL|LR)([XYH]|Lon|Lat)|(col|row)Spacing|productGSD|bitsPerPixel)$"
)
"keys of metadata, also of the domain IMD, that describe a file or its grid"
DISK_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
"error numbers of a full disk"

OTHER_FORMATS = (".png", ".jpg", ".jpeg", ".jp2", ".webp", ".gif", ".bmp", ".img", ".vrt", ".nc", ".pdf", ".gpkg")
"file name endings that a GeoTIFF must not have, since programs would expect another format"


@dataclass(frozen=True)
class Output:
    """An output file and how it is written."""

    path: Path
    pixel_type: PixelType
    format: str = "cog"
    options: tuple[str, ...] = ()
    "creation options KEY=VALUE; they override the defaults"
    spread: bool = False
    "whether it contains the standard deviation of the samples instead of the image"

    @property
    def dtype(self) -> np.dtype:
        return self.pixel_type.dtype

    @property
    def nodata(self) -> float | None:
        return self.pixel_type.nodata

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
    def temporary(self) -> list[Path]:
        "Names of all working files but the journal."
        return [Path(f"{file}{end}") for file in (self.working, self.finished) for end in SIDECAR_SUFFIXES]

    @property
    def sidecars(self) -> list[Path]:
        "Names of files in which GDAL keeps pyramids, statistics and masks of the image with the name of the output."
        return [self.path.with_name(self.path.name + end) for end in (".ovr", ".aux.xml", ".msk", ".msk.ovr")]

    @property
    def beside(self) -> list[Path]:
        "Names of all files that are written or removed together with the output."
        return [self.journal, *self.temporary, *self.sidecars]


def output_for(scene: Scene, path: str | Path, dtype: str | None = None, nodata: float | None = None, **rest) -> Output:
    """Returns the output with defaults from the scene: the data type of MS, and its nodata value or a suitable one."""
    kind = np.dtype(dtype) if dtype else scene.dtype
    if nodata is None and scene.masked:
        nodata = next((band.nodata for band in (*scene.ms, scene.pan) if band.nodata is not None), None)
        if nodata is None or not _holds(kind, nodata):
            nodata = float("nan") if kind.kind == "f" else 0 if kind.kind == "u" else int(np.iinfo(kind).min)
    if nodata is not None and not _holds(kind, nodata):
        raise SSDiffError(notice("nodata_unfit", nodata=nodata, dtype=kind.name))
    return _checked(Output(Path(path), PixelType(kind.name, nodata, _minimum(scene, kind)), **rest))


def _minimum(scene: Scene, kind: np.dtype) -> float | None:
    """Returns the least value of the output: 0 if MS has no negative values, None for any value of the data type.

    Fusion overshoots at edges. Negative radiances and reflectances have no meaning, and break indices and logarithms.
    """
    if kind.kind == "u":
        return None
    if all(np.dtype(band.dtype).kind == "u" for band in scene.ms):
        return 0.0
    sample = ms_sample(scene)
    return None if (sample < 0).any() else 0.0


def _checked(output: Output) -> Output:
    """Returns the output; raises ConfigError for a block size with which GDAL aborts the process."""
    for key, _, value in (option.partition("=") for option in output.options):
        if key.upper() in BLOCK_SIZES and not (re.fullmatch("[0-9]{1,5}", value) and int(value) in BLOCK_SIDES):
            limits = {"minimum": BLOCK_SIDES.start, "maximum": BLOCK_SIDES.stop - 1}
            raise ConfigError(notice("block_size", key=key, value=value, **limits))
    return output


def spread_output(output: Output, path: str | Path) -> Output:
    """Returns the output of the samples' standard deviation, to be written together with their mean."""
    nodata = None if output.nodata is None else float("nan")
    options = tuple(option for option in output.options if not option.upper().startswith(COUNT_OPTIONS))
    return replace(output, path=Path(path), pixel_type=PixelType("float32", nodata), options=options, spread=True)


def _holds(kind: np.dtype, value: float) -> bool:
    if kind.kind == "f":
        return True
    info = np.iinfo(kind)
    return float(value).is_integer() and info.min <= value <= info.max


def creation_options(output: Output) -> dict[str, str]:
    """Returns the creation options: the defaults, overridden by the user's."""
    known = _known_options(output)
    defaults = {"COMPRESS": "ZSTD" if "ZSTD" in known else "DEFLATE", "BIGTIFF": "IF_SAFER", "NUM_THREADS": "ALL_CPUS"}
    if output.format == "cog":
        defaults |= {"PREDICTOR": "YES", "OVERVIEW_RESAMPLING": "AVERAGE"}
    else:
        defaults |= {"TILED": "YES", "INTERLEAVE": "BAND", "PREDICTOR": "3" if output.dtype.kind == "f" else "2"}
    given = {key.upper(): value for key, value in (option.split("=", 1) for option in output.options)}
    if given.get("COMPRESS", "").upper() in ("NONE", "JPEG", "WEBP", "LERC"):
        defaults.pop("PREDICTOR")
    return {**defaults, **given}


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
    """Returns the allowed values of each creation option of a driver; [] where any value is allowed."""
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
    """A working file that pixels are written to."""

    output: Output
    layout: Layout
    final: bool
    "whether it becomes the output"


def may_be_final(output: Output) -> bool:
    """Returns whether the working file can become the output without a copy."""
    return output.format == "gtiff" and creation_options(output)["COMPRESS"].upper() == "NONE"


def make_working_file(output: Output, scene: Scene, provenance: dict[str, str]) -> Working:
    """Creates the working file with its metadata."""
    if may_be_final(output):
        _create(output, scene, provenance, [f"{key}={value}" for key, value in creation_options(output).items()])
        layout = layout_of(output.working)
        if layout:
            return Working(output, layout, True)
    _create(output, scene, provenance, ["TILED=YES", "INTERLEAVE=BAND", "BIGTIFF=IF_SAFER"])
    layout = layout_of(output.working)
    if not layout:
        raise RasterError(notice("layout_unknown", path=str(output.working), version=gdal.__version__))
    return Working(output, layout, False)


def _create(output: Output, scene: Scene, provenance: dict[str, str], options: list[str]) -> None:
    kind = gdal_array.NumericTypeCodeToGDALTypeCode(output.dtype.type)
    size = scene.window.width, scene.window.height
    _make_empty(output.working)
    with _closed(
        gdal.GetDriverByName("GTiff").Create(str(output.working), *size, len(scene.ms), kind, options)
    ) as image:
        _describe(image, output, scene, provenance)


def _make_empty(path: Path) -> None:
    """Makes an empty file that GDAL then writes: GDAL itself would write through a link."""
    path.unlink(missing_ok=True)
    open_new(path).close()


@contextlib.contextmanager
def _closed(image: gdal.Dataset):
    """Closes a dataset explicitly, so that errors of closing are raised; a destructor would only print them.

    It is closed after a failure too, because Windows does not remove open files.
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
    points, crs = ground_control(scene)
    if points:
        image.SetGCPs(points, crs)
    sources = [open_raster(source.path) for source in (scene.pan, *scene.ms)]  # keeps the bands valid
    imagery = {**entries(sources[0], "IMAGERY"), **entries(sources[1], "IMAGERY")}
    provenance = {**provenance, "shows": SPREAD} if output.spread else provenance
    metadata = {f"SSDIFF_{key.upper()}": str(value) for key, value in provenance.items()}
    _set_metadata(image, {**acquisition(sources[1]), **imagery, **metadata}, imagery)
    rpc = rpc_of(scene)
    if rpc:
        image.SetMetadata(rpc, "RPC")
    for index, (source, file) in enumerate(zip(scene.ms, sources[1:]), 1):
        band, original = image.GetRasterBand(index), file.GetRasterBand(source.index)
        imagery = entries(original, "IMAGERY")
        metadata = {key: value for key, value in entries(original).items() if not key.startswith("STATISTICS_")}
        _set_metadata(band, {**imagery, **metadata}, imagery)
        band.SetDescription(source.name)
        if original.GetScale() is not None:
            band.SetScale(original.GetScale())
        if output.spread:  # neither colours nor an offset apply
            continue
        band.SetColorInterpretation(original.GetColorInterpretation())
        if original.GetOffset() is not None:
            band.SetOffset(original.GetOffset())


def acquisition(source: gdal.Dataset) -> dict[str, str]:
    """Returns the metadata of MS that holds for the fused image too: of the acquisition, not of the file and its grid.

    Entries of DigitalGlobe's domain IMD get that prefix, because a GeoTIFF cannot hold this domain.
    """
    vendor = {f"IMD.{key}": value for key, value in entries(source, "IMD").items()}
    return {key: value for key, value in {**vendor, **entries(source)}.items() if not OF_THE_FILE.search(key)}


def _set_metadata(target: gdal.MajorObject, metadata: dict[str, str], imagery: dict[str, str]) -> None:
    """Writes metadata; IMAGERY also to the default domain, as not every GDAL copies domains into a COG."""
    target.SetMetadata(metadata)
    if imagery:
        target.SetMetadata(imagery, "IMAGERY")


# --- from the working files to the outputs ---------------------------------------------------------------------------


def finish(files: Sequence[Working], sums: Sequence[Sequence[Sums]], stop: threading.Event) -> None:
    """Writes statistics to the working files, and renames the complete images to their outputs: all of them or none."""
    ready = [_ready(file, of_bands, stop) for file, of_bands in zip(files, sums)]
    named = []
    try:
        for file, whole in reversed(list(zip(files, ready))):  # the image last: if it exists, all outputs do
            with write_errors(file.output):
                for path in file.output.sidecars:  # those of the image that is replaced
                    _remove_file(path)
                move(whole, file.output.path)
            named.append(file.output.path)
    except RasterError:
        for path in named:
            path.unlink()
        raise


def _ready(file: Working, sums: Sequence[Sums], stop: threading.Event) -> Path:
    """Returns the complete image, which only has to be renamed."""
    output = file.output
    with write_errors(output):
        with _closed(
            gdal.OpenEx(str(output.working), gdal.OF_RASTER | gdal.OF_UPDATE, sibling_files=[output.working.name])
        ) as image:
            _write_statistics(image, output, sums)
        if not file.final:
            _copy(output, stop)
        ready = output.working if file.final else output.finished
        with open(ready, "r+b") as whole:
            os.fsync(whole.fileno())
        return ready


def _write_statistics(image: gdal.Dataset, output: Output, sums: Sequence[Sums]) -> None:
    pixels = image.RasterXSize * image.RasterYSize
    for index, band_sums in enumerate(sums, 1):
        band = image.GetRasterBand(index)
        if output.nodata is not None:
            band.SetNoDataValue(output.nodata)
        if band_sums.count:  # a band without one valid pixel has no statistics
            band.SetStatistics(*map(float, (band_sums.minimum, band_sums.maximum, band_sums.mean, band_sums.deviation)))
            band.SetMetadataItem("STATISTICS_VALID_PERCENT", f"{100 * band_sums.count / pixels:.4g}")


def _copy(output: Output, stop: threading.Event) -> None:
    options = creation_options(output)
    if "COPY_SRC_MDD" in _known_options(output):
        options.setdefault("COPY_SRC_MDD", "YES")

    def not_cancelled(*_) -> int:
        return int(not stop.is_set())

    listed = [f"{key}={value}" for key, value in options.items()]
    gdal.PushErrorHandler("CPLQuietErrorHandler")  # errors are raised; warnings do not concern the user
    try:
        with _closed(gdal.OpenEx(str(output.working), gdal.OF_RASTER, sibling_files=[output.working.name])) as image:
            _make_empty(output.finished)
            made = _driver(output).CreateCopy(str(output.finished), image, options=listed, callback=not_cancelled)
            with _closed(made):
                pass
    finally:
        gdal.PopErrorHandler()


def clean_up(outputs: Iterable[Output]) -> None:
    """Removes the working files of a run but its journals, which mark them as such."""
    for output in outputs:
        for path in output.temporary:
            _remove_file(path)


def _remove_file(path: Path) -> None:
    """Removes a regular file or a link, if there is one."""
    if kind_of(path, follow=False) in ("", "a link"):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def write_errors(output: Output) -> Iterator[None]:
    """Raises errors of GDAL and the system within the block as RasterError that names the output."""
    try:
        yield
    except (RuntimeError, OSError) as error:
        if getattr(error, "errno", None) in DISK_FULL:
            raise RasterError(notice("disk_full", path=str(output.path))) from None
        reason = getattr(error, "strerror", None) or one_line(error)
        raise RasterError(notice("cannot_write", path=str(output.path), reason=reason)) from None


def check_names(outputs: Sequence[Output]) -> None:
    """Raises RasterError if an output cannot be replaced: on Windows, if it is open, for example as a layer in QGIS."""
    for output in outputs:
        if output.path.exists():
            with write_errors(output):
                os.rename(output.path, output.path)


# --- space on the disk ------------------------------------------------------------------------------------------------


def check_room(outputs: Sequence[Output], scene: Scene) -> None:
    """Raises RasterError if the disks have too little space for the outputs."""
    disks: dict[int, list[Output]] = {}
    for output in outputs:
        with contextlib.suppress(OSError):  # a missing folder is reported when it is written to
            disks.setdefault(os.stat(_folder(output)).st_dev, []).append(output)
    for together in disks.values():
        needed = sum(_room(output, scene) for output in together)
        free = shutil.disk_usage(_folder(together[0])).free
        if free < needed:
            names = " with ".join(str(output.path) for output in together)
            raise RasterError(notice("too_little_room", path=names, needed=file_size(needed), free=file_size(free)))


def _folder(output: Output) -> Path:
    return output.path.absolute().parent


def _room(output: Output, scene: Scene) -> float:
    uncompressed = scene.window.height * scene.window.width * len(scene.ms) * output.dtype.itemsize
    return uncompressed * (1 if may_be_final(output) else 1 + COMPRESSION_ESTIMATE)
