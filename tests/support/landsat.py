"""Real Landsat 7 and 8 scenes, as arrays and as files with the names of the original products."""

from functools import cache
from pathlib import Path

import numpy as np
from files import utm, write

DATA = Path(__file__).parents[1] / "data" / "scenes"
BANDS = ("blue", "green", "red", "nir")
SCENES = {
    "landsat8": ("LC08_L1TP_017051_20160101_20170101_02_T1", ("B2", "B3", "B4", "B5"), 0.0),
    "landsat7": ("LE07_L1TP_017051_20000101_20170101_02_T1", ("B1", "B2", "B3", "B4"), 0.5),
}
"stem and suffixes of the file names, and row and column in PAN of the centre of the first MS sample"


@cache
def scene(name):
    with np.load(DATA / f"{name}.npz") as file:
        return file["pan"], np.stack([file[band] for band in BANDS])


def files(folder, name, pan, ms, pixel=15.0, off=0.0):
    """Writes a pair with one file per band, like the original product. off: position error of MS, in PAN pixels."""
    stem, codes, at = SCENES[name]
    corner = (at + off - 0.5) * pixel  # of MS, from PAN's, right and down
    pan_at = (400_000.0, pixel, 0.0, 1_400_000.0, 0.0, -pixel)
    ms_at = (400_000.0 + corner, 2 * pixel, 0.0, 1_400_000.0 - corner, 0.0, -2 * pixel)
    bands = [write(folder / f"{stem}_{code}.TIF", band, ms_at, utm(16)) for code, band in zip(codes, ms)]
    return write(folder / f"{stem}_B8.TIF", pan, pan_at, utm(16)), bands
