"""The sample scene that is part of SSDiff: simulated PAN and MS of a town, and the true image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from osgeo import gdal, osr

from ..common.paths import RESOURCES

FILE = RESOURCES / "sample" / "eureka.npz"
NAMES = ("blue", "green", "red", "nir")
CORNER, PIXEL, EPSG = (400_000.0, 4_510_000.0), 0.6, 26910
"upper left corner and side of a PAN pixel, in metres, and CRS"
RATIO = 4


def unpack(folder: Path) -> dict[str, Path]:
    """Writes the sample as GeoTIFFs into a folder and returns the files of pan, ms and truth."""
    with np.load(FILE) as file:
        images = {"pan": file["pan"][None], **{name: file[name].transpose(2, 0, 1) for name in ("ms", "truth")}}
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: folder / f"{name}.tif" for name in images}
    for name, image in images.items():
        names = ("pan",) if name == "pan" else NAMES
        write(files[name], image, PIXEL * RATIO if name == "ms" else PIXEL, names)
    return files


def source() -> str:
    """Returns where the sample comes from."""
    with np.load(FILE) as file:
        return str(file["source"])


def write(path: Path, image: np.ndarray, pixel: float, names: tuple[str, ...]) -> None:
    """Writes an image (bands, rows, columns) as a GeoTIFF. pixel: side of a pixel in metres; names: of the bands."""
    driver = gdal.GetDriverByName("GTiff")
    bands, height, width = image.shape
    dataset = driver.Create(str(path), width, height, bands, gdal.GDT_UInt16)
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(EPSG)
    dataset.SetGeoTransform((CORNER[0], pixel, 0.0, CORNER[1], 0.0, -pixel))
    dataset.SetProjection(crs.ExportToWkt())
    for number, (band, name) in enumerate(zip(image, names), 1):
        dataset.GetRasterBand(number).WriteArray(band)
        dataset.GetRasterBand(number).SetDescription(name)
