"""Identification of the sensor of a scene and of its bands: by names, wavelengths and metadata files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..common.notices import Notify, notice
from ..domain import sensors
from ..domain.scene import Band, Scene
from .reader import bands_of, open_raster
from .vendor_metadata import VendorMetadata, read_metadata


def multispectral(ms: str | Path | Sequence[str | Path], sensor_id: str, notify: Notify) -> tuple[int, ...]:
    """Returns the numbers of the bands to fuse, without PAN, thermal and quality bands among a product's files.

    sensor_id: a sensor, or auto. Returns () if no band is left out.
    """
    bands = list(bands_of(ms))
    metadata = metadata_of(bands)
    name = sensor_id
    if sensor_id == "auto":
        name = sensors.identify_satellite(by_file(metadata), files_of(bands))[0] or sensors.GENERAL
    sensor = sensors.get(name)
    unrelated = sensors.unrelated_bands(names_of(bands, metadata), sensor)
    if not unrelated or len(unrelated) == len(bands):
        return ()
    names = [bands[i].name or Path(bands[i].path).name for i in unrelated]
    notify(notice("bands_left_out", label=sensor.label, bands=list(sensor.bands), left_out=names))
    return tuple(i + 1 for i in range(len(bands)) if i not in unrelated)


def identified(scene: Scene, sensor_id: str, notify: Notify) -> sensors.Sensor:
    """Returns the scene's sensor, restricted to the scene's bands, and reports what it was recognised by.

    sensor_id: a sensor, or auto.
    """
    metadata = metadata_of(scene.ms)
    names = names_of(scene.ms, metadata)
    count, wavelengths = len(scene.ms), wavelengths_of(scene.ms)
    if sensor_id != "auto":
        return sensors.get(sensor_id, count, names, wavelengths)
    ratio, files = scene.placement.ratio, files_of(scene.ms)
    recognition = sensors.recognise(count, ratio, names, by_file(metadata), None, wavelengths, files)
    notify(recognition.notice)
    return recognition.sensor


def metadata_of(bands: Sequence[Band]) -> dict[str, VendorMetadata]:
    """Returns the metadata of each of the bands' files, by path."""
    return {path: read_metadata(open_raster(path)) for path in dict.fromkeys(band.path for band in bands)}


def by_file(metadata: dict[str, VendorMetadata]) -> dict:
    """Returns the metadata entries of each file, as `sensors.recognise` takes them."""
    return {path: one.metadata for path, one in metadata.items()}


def names_of(bands: Sequence[Band], metadata: dict[str, VendorMetadata]) -> tuple[str, ...]:
    """Returns the name of each band: its description, else from the metadata, else its file; () if one has no name.

    Colour interpretations count if these do not name all bands.
    """
    one_band_per_file = len({band.path for band in bands}) == len(bands) > 1
    names = [_name(band, metadata[band.path].bands, one_band_per_file) for band in bands]
    if not all(map(sensors.names_a_band, names)) and (colours := colours_of(bands)):
        return colours
    return tuple(names) if all(names) else ()


def _name(band: Band, metadata_names: Sequence[str], one_band_per_file: bool) -> str:
    if band.name:
        return band.name
    if metadata_names:
        return metadata_names[band.index - 1]
    return Path(band.path).name if one_band_per_file else ""


def colours_of(bands: Sequence[Band]) -> tuple[str, ...]:
    """Returns the name of each band by its colour interpretation; () if those do not identify all bands.

    A fourth band with red, green and blue is near infrared. GDAL writes red, green, blue into every raster of three
    bands of uint8, so there it means nothing.
    """
    colours = [band.colour for band in bands]
    if len(colours) == 4 and set(colours) == {"red", "green", "blue", ""}:
        colours[colours.index("")] = "nir"
    default = len(bands) == 3 and all(band.dtype == "uint8" for band in bands)
    return () if default or "" in colours or len(set(colours)) < len(colours) else tuple(colours)


def wavelengths_of(bands: Sequence[Band]) -> tuple[float, ...]:
    """Returns the centre wavelengths in nm; () if one is unknown."""
    nm = [band.wavelength for band in bands]
    return () if None in nm else tuple(nm)


def files_of(bands: Sequence[Band]) -> list[str]:
    """Returns the names of the bands' files."""
    return sorted({Path(band.path).name for band in bands})
