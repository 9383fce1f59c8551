"""Identification of the sensor of a scene and of its bands: by names, wavelengths and metadata files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
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


def identified(scene: Scene, sensor_id: str, notify: Notify, reorder: bool = True) -> tuple[Scene, sensors.Sensor]:
    """Returns the scene and its sensor, restricted to the scene's bands.

    sensor_id: a sensor, or auto. reorder: whether the bands are put into the order of the sensor's products.
    """
    metadata = metadata_of(scene.ms)
    names = names_of(scene.ms, metadata)
    sensor = _sensor(scene, metadata, names, sensor_id, notify)
    return _in_order(scene, names, sensor, notify) if reorder else (scene, sensor)


def _sensor(
    scene: Scene, metadata: dict[str, VendorMetadata], names: tuple[str, ...], sensor_id: str, notify: Notify
) -> sensors.Sensor:
    """Returns the sensor with this id, or the one recognised, and reports what it was recognised by."""
    count, wavelengths = len(scene.ms), wavelengths_of(scene.ms)
    if sensor_id != "auto":
        return sensors.get(sensor_id, count, names, wavelengths)
    ratio, files = scene.placement.ratio, files_of(scene.ms)
    recognition = sensors.recognise(count, ratio, names, by_file(metadata), None, wavelengths, files)
    notify(recognition.notice)
    return recognition.sensor


def _in_order(
    scene: Scene, names: tuple[str, ...], sensor: sensors.Sensor, notify: Notify
) -> tuple[Scene, sensors.Sensor]:
    """Returns the scene with its bands in the sensor's order, if names or wavelengths identify them."""
    order = sensors.usual_order(names, wavelengths_of(scene.ms), sensor)
    if order == list(range(len(scene.ms))):
        return scene, sensor
    ordered = sensor.only([sensor.bands[i] for i in order])
    notify(notice("bands_reordered", bands=list(ordered.bands)))
    return replace(scene, ms=tuple(scene.ms[i] for i in order)), ordered


def metadata_of(bands: Sequence[Band]) -> dict[str, VendorMetadata]:
    """Returns the metadata of each of the bands' files, by path."""
    return {path: read_metadata(open_raster(path)) for path in dict.fromkeys(band.path for band in bands)}


def by_file(metadata: dict[str, VendorMetadata]) -> dict:
    """Returns the metadata entries of each file, as `sensors.recognise` takes them."""
    return {path: one.metadata for path, one in metadata.items()}


def names_of(bands: Sequence[Band], metadata: dict[str, VendorMetadata]) -> tuple[str, ...]:
    """Returns the name of each band: its description, else from the metadata, else its file; () if one has no name."""
    one_band_per_file = len({band.path for band in bands}) == len(bands) > 1
    names = [_name(band, metadata[band.path].bands, one_band_per_file) for band in bands]
    return tuple(names) if all(names) else ()


def _name(band: Band, metadata_names: Sequence[str], one_band_per_file: bool) -> str:
    if band.name:
        return band.name
    if metadata_names:
        return metadata_names[band.index - 1]
    return Path(band.path).name if one_band_per_file else ""


def wavelengths_of(bands: Sequence[Band]) -> tuple[float, ...]:
    """Returns the centre wavelengths in nm; () if one is unknown."""
    nm = [band.wavelength for band in bands]
    return () if None in nm else tuple(nm)


def files_of(bands: Sequence[Band]) -> list[str]:
    """Returns the names of the bands' files."""
    return sorted({Path(band.path).name for band in bands})
