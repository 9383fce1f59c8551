"""The two rasters of a delivery: its files, or virtual rasters of tiles and bands in a working folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from osgeo import gdal

from ..common.errors import ConfigError, RasterError
from ..common.files import write_whole
from ..common.paths import ensure_folder
from .delivery import Delivery, Image
from .mosaic import mosaic_text


@dataclass(frozen=True)
class Pair:
    """The rasters of a delivery, as `raster.open_pair` takes them."""

    pan: str
    ms: str | list[str]
    "one file, or files whose bands follow each other"
    sensor: str
    "id of the sensor, or auto"


def delivery_pair(delivery: Delivery, folder: str | Path) -> Pair:
    """Returns the rasters of a delivery; writes virtual rasters of tiles and chosen bands into the folder.

    A file that is used as a whole stays what it is. The same delivery gives the same bytes under the same names, so
    that an interrupted run can be resumed. Raises ConfigError if the delivery is incomplete.
    """
    if not delivery.complete:
        raise ConfigError(f"the delivery {delivery.name} cannot be fused: " + "; ".join(map(str, delivery.doubts)))
    pan = _raster(Image(delivery.pan), Path(folder, "pan.vrt"))
    ms = [_raster(image, Path(folder, f"ms{number}.vrt")) for number, image in enumerate(delivery.ms, 1)]
    return Pair(pan, ms[0] if len(ms) == 1 else ms, delivery.sensor or "auto")


def _raster(image: Image, target: Path) -> str:
    if len(image.files) == 1 and not image.bands and not image.names:
        return image.files[0]
    path = target.as_posix()
    text = mosaic_text(image)
    if path.startswith("/vsimem/"):
        gdal.FileFromMemBuffer(path, text.encode())
        return path
    ensure_folder(target.parent)
    try:
        if not target.exists() or target.read_text("utf-8") != text:
            write_whole(target, text)
    except OSError as error:
        raise RasterError(f"{target} cannot be written: {error.strerror or error}") from None
    return path
