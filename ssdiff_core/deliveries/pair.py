"""The two rasters of a delivery: its files, or virtual rasters of tiles and bands in a working folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from osgeo import gdal

from ..common.errors import ConfigError, RasterError
from ..common.files import open_to_read, write_whole
from ..common.notices import notice
from ..common.paths import ensure_folder
from .delivery import Delivery, Image
from .mosaic import mosaic_text


@dataclass(frozen=True)
class Pair:
    """The rasters of a delivery, as `raster.open_pair` takes them."""

    name: str
    "of the delivery"
    pan: str
    ms: str | list[str]
    "one file, or files whose bands follow each other"
    sensor: str
    "id of the sensor, or auto"


def delivery_pair(delivery: Delivery, folder: str | Path, one_file: bool = False) -> Pair:
    """Returns the rasters of a delivery; writes virtual rasters of tiles and chosen bands into the folder.

    one_file: whether MS is one file, also if the delivery has several. A file that is used as a whole stays what it is.
    The same delivery gives the same bytes under the same names, so that an interrupted run can be resumed. Raises
    ConfigError if the delivery is incomplete.
    """
    if not delivery.complete:
        raise ConfigError(notice("delivery_incomplete", name=delivery.name, doubts=delivery.doubts))
    pan = _raster([Image(delivery.pan)], Path(folder, "pan.vrt"))
    groups = [delivery.ms] if one_file else [[image] for image in delivery.ms]
    names = ["ms.vrt"] if len(groups) == 1 else [f"ms{number}.vrt" for number in range(1, len(groups) + 1)]
    ms = [_raster(images, Path(folder, name)) for images, name in zip(groups, names)]
    return Pair(delivery.name, pan, ms[0] if len(ms) == 1 else ms, delivery.sensor or "auto")


def _raster(images: Sequence[Image], target: Path) -> str:
    """Returns the raster of images: their file, if they are all of one, or a virtual raster."""
    if images[0].whole and len(images) == 1:
        return images[0].files[0]
    path = target.as_posix()
    text = mosaic_text(images)
    if path.startswith("/vsimem/"):
        gdal.FileFromMemBuffer(path, text.encode())
        return path
    ensure_folder(target.parent)
    try:
        if not _holds(target, text):
            write_whole(target, text)
    except OSError as error:
        raise RasterError(notice("cannot_write", path=str(target), reason=error.strerror or str(error))) from None
    return path


def _holds(target: Path, text: str) -> bool:
    """Returns whether a file has this text; a link, a pipe or another file is replaced."""
    try:
        with open_to_read(target) as file:
            return not target.is_symlink() and file.read(len(text.encode()) + 1) == text.encode()
    except OSError:
        return False
