"""Raster files and simple engines for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from osgeo import gdal, gdal_array, osr

from ssdiff_core.classical.quantise import Quantising

gdal.UseExceptions()


def utm(zone: int = 32) -> str:
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32600 + zone)
    return crs.ExportToWkt()


def write(path: Path, image: np.ndarray, transform=None, crs: str | None = None, driver="GTiff", **band_values) -> Path:
    """Writes an array (h, w) or (bands, h, w) as a raster. band_values: nodata, names, mask (h, w bool), options."""
    image = image[None] if image.ndim == 2 else image
    kind = gdal_array.NumericTypeCodeToGDALTypeCode(image.dtype.type)
    options = list(band_values.get("options", ()))
    file = gdal.GetDriverByName(driver).Create(str(path), image.shape[2], image.shape[1], len(image), kind, options)
    if transform:
        file.SetGeoTransform(transform)
        file.SetProjection(utm() if crs is None else crs)
    if "mask" in band_values:
        file.CreateMaskBand(gdal.GMF_PER_DATASET)
        file.GetRasterBand(1).GetMaskBand().WriteArray(band_values["mask"].astype(np.uint8) * 255)
    for index, band in enumerate(image, 1):
        out = file.GetRasterBand(index)
        if "nodata" in band_values:
            out.SetNoDataValue(band_values["nodata"])
        if "names" in band_values:
            out.SetDescription(band_values["names"][index - 1])
        out.WriteArray(band)
    return path


def read(path: Path) -> np.ndarray:
    return gdal.Open(str(path)).ReadAsArray()


def ramps(height=160, width=200, ratio=4, at=(1.5, 1.5), bands=3, pixel=0.5, dtype=np.uint16):
    """Returns PAN and MS of one ramp, and their geotransforms: an error of phase changes the counts."""
    r, c = np.mgrid[:height, :width]
    pan = 1000 + 4 * r + 8 * c
    i, j = np.mgrid[: height // ratio, : width // ratio]
    ms = 1000 + 4 * (at[0] + i * ratio) + 8 * (at[1] + j * ratio)
    corner = [start - (ratio - 1) / 2 for start in at]
    pan_at = (500_000.0, pixel, 0.0, 4_000_000.0, 0.0, -pixel)
    x, y = 500_000 + corner[1] * pixel, 4_000_000 - corner[0] * pixel
    ms_at = (x, pixel * ratio, 0.0, y, 0.0, -pixel * ratio)
    return pan.astype(dtype), np.stack([ms + 500 * k for k in range(bands)]).astype(dtype), pan_at, ms_at


def sample_files(folder: Path, side: int = 256) -> tuple[Path, Path, Path]:
    """Writes the bundled sample as GeoTIFFs: PAN, MS and the reference."""
    pan_at, ms_at = ((400_000.0, pixel, 0.0, 4_500_000.0, 0.0, -pixel) for pixel in (0.6, 2.4))
    with np.load(Path(__file__).parents[2] / "resources" / "sample" / "eureka.npz") as file:
        pan, ms, truth = (file[name][:n, :n] for name, n in (("pan", side), ("ms", side // 4), ("truth", side)))
    ms, truth = ms.transpose(2, 0, 1), truth.transpose(2, 0, 1)
    names = ("blue", "green", "red", "nir")
    return (
        write(folder / "pan.tif", pan, pan_at),
        write(folder / "ms.tif", ms, ms_at, names=names),
        write(folder / "truth.tif", truth, pan_at, names=names),
    )


class Interpolate(Quantising):
    """The simplest engine: MS interpolated to PAN's pixels."""

    reach, ms_halo = 0, 4

    def fuse(self, block, progress=None):
        import torch

        from ssdiff_core.domain.fill import fill_masked
        from ssdiff_core.fusion import network_inputs

        pan_ok, ms_ok = block.masks()
        lms = network_inputs.upsample(block, torch.from_numpy(fill_masked(block.ms, ms_ok, 2)), "cubic").numpy()
        lms[:, ~(pan_ok & block.nearest_on_ms(ms_ok))] = np.nan
        return lms[(slice(None), *block.core.within(block.window))]

    def fuse_with_spread(self, block, progress=None):
        """Returns the image, and a tenth of it as its standard deviation."""
        fused = self.fuse(block, progress)
        return fused, fused / 10


class Ending(Interpolate):
    """Raises `error` after a number of blocks, as on a full disk, a lost device or a cancelled run."""

    def __init__(self, after, error=None):
        self.left, self.error = after, error

    def fuse(self, block, progress=None):
        self.left -= 1
        if self.left < 0:
            raise self.error
        return super().fuse(block, progress)
