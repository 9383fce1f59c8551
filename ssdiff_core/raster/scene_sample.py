"""A sample of the pixels of a raster, read from a few of its rows or from an overview."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from osgeo import gdal

from ..common.errors import RasterError, one_line
from ..common.notices import notice
from ..domain.fill import fill_mask
from ..domain.scene import Band, Scene
from .reader import open_raster

ROWS, COLUMNS = 96, 2048
"largest number of rows and columns of a sample"
SMALL = 16
"number of rows of blocks up to which each may be read; of more an eighth"


def sampled(bands: Sequence[Band]) -> np.ndarray:
    """Returns evenly spaced pixels of bands of one size (bands, rows, columns), with the first and last row and column.

    The pixels are as GDAL stores them. Of a large raster without overviews at most 16 rows of blocks, or an eighth of
    them, are read.
    """
    files = {path: open_raster(path) for path in {band.path for band in bands}}
    reduced = len(files) == 1  # other files may have other overviews
    try:
        return np.stack([_of_band(files[band.path].GetRasterBand(band.index), reduced) for band in bands])
    except RuntimeError as error:
        raise RasterError(notice("cannot_read", path=str(bands[0].path), reason=one_line(error))) from None


def ms_sample(scene: Scene) -> np.ndarray:
    """Returns evenly spaced MS samples as float32 (bands, rows, columns), NaN where there is no data."""
    samples = sampled(scene.ms)
    with np.errstate(over="ignore"):  # values beyond float32 become infinite
        image = samples.astype(np.float32)
    for band, values, target in zip(scene.ms, samples, image):
        for nodata in {band.nodata, band.fill}:
            missing = fill_mask(values, nodata)
            if missing is not None:
                target[missing] = np.nan
    return image


def _of_band(band: gdal.Band, reduced: bool) -> np.ndarray:
    overviews = [band.GetOverview(i) for i in range(band.GetOverviewCount() if reduced else 0)]
    level = min((one for one in overviews if one.YSize >= ROWS), key=lambda one: one.YSize, default=band)
    blocks = -(-level.YSize // level.GetBlockSize()[1])
    rows = _spread(level.YSize, ROWS if blocks <= SMALL else max(SMALL, min(ROWS, blocks // 8)))
    columns = _spread(level.XSize, COLUMNS)
    return np.stack([level.ReadAsArray(0, int(row), level.XSize, 1)[0, columns] for row in rows])


def _spread(size: int, count: int) -> np.ndarray:
    """Returns up to `count` indices spread over 0 to size - 1."""
    return np.unique(np.linspace(0, size - 1, min(size, count)).round().astype(int))
