"""Imagery to train on: folders of rasters, or packs that hold many places in one file and travel well.

A pack is an .npz: one array (pictures, bands, h, w) a place, and what is known of each in one JSON text.
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

SIDE = 256
"of the pictures that a raster is cut into"
CENTRES = {
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
"nm of bands that are known by name alone"


def load(paths: Sequence[str | Path]) -> list[Place]:
    """The places of packs and rasters; of a folder, those of all that it holds."""
    places: list[Place] = []
    for path in map(Path, paths):
        files = sorted(item for item in path.iterdir() if item.is_file()) if path.is_dir() else [path]
        for file in files:
            if file.suffix == ".npz":
                places += read_pack(file)
            elif file.suffix.lower() in (".tif", ".tiff", ".vrt", ".jp2"):
                places += [read_raster(file)]
    if not places:
        raise ConfigError(f"there is no imagery in {', '.join(map(str, paths))}: packs (.npz) or rasters are needed")
    return places


def write_pack(path: Path, places: Sequence[Place]) -> None:
    arrays, known = {}, []
    for index, place in enumerate(places):
        first = place.pictures[0]
        arrays[f"place{index}"] = np.stack([picture.image for picture in place.pictures])
        known += [{"name": place.name, "wavelengths": first.wavelengths, "full": first.full, "soft": first.soft}]
    np.savez_compressed(path, places=np.array(json.dumps(known)), **arrays)


def read_pack(path: Path) -> list[Place]:
    try:
        with np.load(path) as file:
            known = json.loads(str(file["places"]))
            return [_place(file[f"place{index}"], **about) for index, about in enumerate(known)]
    except (KeyError, ValueError, OSError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{path} is no pack of imagery: {error}") from None


def _place(images: np.ndarray, name: str, wavelengths, full: float, soft: bool) -> Place:
    return Place(name, tuple(Picture(image, tuple(wavelengths), full, soft) for image in images))


def read_raster(path: Path) -> Place:
    """A raster cut into pictures without holes. Its bands must say what they are."""
    from ..raster.reader import look, open_raster

    bands, grid = look(str(path))
    wavelengths = tuple(_centre(path, band.name) for band in bands)
    sides = min(SIDE, grid.height), min(SIDE, grid.width)
    try:
        pictures = list(_whole(open_raster(str(path)), [band.index for band in bands], sides))
    except RuntimeError as error:
        raise RasterError(f"{path} cannot be read: {one_line(error)}") from None
    if not pictures:
        raise RasterError(f"{path} has no {sides[1]} x {sides[0]} pixels without a hole to train on")
    full = float(np.median([np.quantile(image, 0.999) for image in pictures])) or 1.0
    return Place(path.stem, tuple(Picture(image, wavelengths, full) for image in pictures))


def _whole(source, bands: Sequence[int], sides: tuple[int, int]) -> Iterator[np.ndarray]:
    """The parts of a raster, of that height and width, that have no hole."""
    (height, width), valid = sides, source.GetRasterBand(bands[0]).GetMaskBand()
    for row in range(0, source.RasterYSize - height + 1, height):
        for col in range(0, source.RasterXSize - width + 1, width):
            window = col, row, width, height
            if valid.ReadAsArray(*window).all():
                yield np.stack([source.GetRasterBand(index).ReadAsArray(*window) for index in bands])


def _centre(path: Path, name: str) -> float:
    plain = "".join(c for c in name.lower() if c.isalnum())
    if plain not in CENTRES:
        raise ConfigError(f"{path} has a band {name!r}; to train on it, its bands must be named: {', '.join(CENTRES)}")
    return float(CENTRES[plain])
