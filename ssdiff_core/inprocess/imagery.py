"""Reads imagery to train on: rasters, folders of them, or packs that contain many places in one file.

A pack is an .npz file with one array (pictures, bands, h, w) per place and one JSON text that describes the places.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ..common.errors import ConfigError, RasterError, one_line
from ..training.simulate import Picture
from ..training.simulated_source import Place

PICTURE_SIDE = 256
"side of the pictures that a raster is cut into, in pixels"
BAND_CENTRES = {
    "coastal": 430,
    "blue": 480,
    "green": 555,
    "yellow": 605,
    "red": 660,
    "rededge": 725,
    "nir": 835,
    "nir1": 835,
    "nir2": 950,
    "swir1": 1610,
    "swir2": 2200,
}
"centre wavelengths of bands by name, in nm"


def load(paths: Sequence[str | Path]) -> list[Place]:
    """Reads the places of packs and rasters, and of all those in folders.

    Raises ConfigError if there is no imagery.
    """
    places: list[Place] = []
    for path in map(Path, paths):
        files = sorted(item for item in path.iterdir() if item.is_file()) if path.is_dir() else [path]
        for file in files:
            if file.suffix == ".npz":
                places += read_pack(file)
            elif file.suffix.lower() in (".tif", ".tiff", ".vrt", ".jp2"):
                places += [read_raster(file)]
    if not places:
        raise ConfigError(
            f"there is no imagery in {', '.join(map(str, paths))}: give packs (.npz), rasters, or folders of them"
        )
    return places


def write_pack(path: Path, places: Sequence[Place]) -> None:
    """Writes places to a pack."""
    arrays, known = {}, []
    for index, place in enumerate(places):
        first = place.pictures[0]
        arrays[f"place{index}"] = np.stack([picture.image for picture in place.pictures])
        known += [{"name": place.name, "wavelengths": first.wavelengths, "full": first.full, "soft": first.soft}]
    np.savez_compressed(path, places=np.array(json.dumps(known)), **arrays)


def read_pack(path: Path) -> list[Place]:
    """Reads the places of a pack."""
    try:
        with np.load(path) as file:
            known = json.loads(str(file["places"]))
            return [_place(file[f"place{index}"], **about) for index, about in enumerate(known)]
    except (KeyError, ValueError, OSError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{path} is not a pack of imagery: {error}") from None


def _place(images: np.ndarray, name: str, wavelengths, full: float, soft: bool) -> Place:
    return Place(name, tuple(Picture(image, tuple(wavelengths), full, soft) for image in images))


def read_raster(path: Path) -> Place:
    """Reads a raster, cut into pictures without masked pixels. The descriptions of its bands must be known names."""
    from ..raster.reader import open_raster, read_header

    bands, grid = read_header(str(path))
    wavelengths = tuple(_centre(path, band.name) for band in bands)
    sides = min(PICTURE_SIDE, grid.height), min(PICTURE_SIDE, grid.width)
    try:
        pictures = list(_valid_pictures(open_raster(str(path)), [band.index for band in bands], sides))
    except RuntimeError as error:
        raise RasterError(f"{path} cannot be read: {one_line(error)}") from None
    if not pictures:
        raise RasterError(
            f"{path} has no area of {sides[1]} x {sides[0]} pixels without masked pixels, as training needs"
        )
    full = float(np.median([np.quantile(image, 0.999) for image in pictures])) or 1.0
    return Place(path.stem, tuple(Picture(image, wavelengths, full) for image in pictures))


def _valid_pictures(source, bands: Sequence[int], sides: tuple[int, int]) -> Iterator[np.ndarray]:
    """Yields the pictures of a raster that have no masked pixels. sides: their height and width."""
    (height, width), valid = sides, source.GetRasterBand(bands[0]).GetMaskBand()
    for row in range(0, source.RasterYSize - height + 1, height):
        for col in range(0, source.RasterXSize - width + 1, width):
            window = col, row, width, height
            if valid.ReadAsArray(*window).all():
                yield np.stack([source.GetRasterBand(index).ReadAsArray(*window) for index in bands])


def _centre(path: Path, name: str) -> float:
    known_name = "".join(c for c in name.lower() if c.isalnum())
    if known_name not in BAND_CENTRES:
        raise ConfigError(
            f"{path} has a band {name!r}, but the bands of training imagery must be described as one of: "
            f"{', '.join(BAND_CENTRES)}"
        )
    return float(BAND_CENTRES[known_name])
