"""Landsat 7 to 9: one file for each band, and an MTL.txt file that lists them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...common.notices import notice
from ...domain import sensors
from ..delivery import Delivery, Image
from ..files import Files, folder_of
from ..parts import MetadataValues, entries_of

LAYOUT = "Landsat"
BAND = r"(?P<scene>L[CEOT]0?\d\w*?)_(?P<band>B\d{1,2})\.(tiff?|jp2)"
PAN_BAND = "B8"


def find(files: Files) -> Iterator[Delivery]:
    """Yields the scenes: the bands of one product in one folder, without thermal and quality bands."""
    scenes: dict[tuple[str, str], dict[str, str]] = {}
    for path, found in files.named(BAND):
        scenes.setdefault((folder_of(path), found["scene"]), {})[found["band"].upper()] = path
    for (folder, scene), bands in scenes.items():
        yield _delivery(files, folder, scene, bands)


def _delivery(files: Files, folder: str, scene: str, bands: dict[str, str]) -> Delivery:
    entries, doubts = entries_of(files.beside(folder, f"{scene}_MTL.txt"))
    values = MetadataValues.of(entries)
    name = sensors.identify_satellite({"SPACECRAFT_ID": values.first("spacecraft_id")}, [f"{scene}_B2.TIF"])[0]
    wanted = _bands_of(name) if name else sorted(set(bands) - {PAN_BAND}, key=lambda band: int(band[1:]))
    missing = [band for band in wanted if band not in bands]
    if missing and len(missing) < len(wanted):
        doubts = (*doubts, notice("delivery_bands_missing", bands=missing))
    pan = bands.get(PAN_BAND)
    return Delivery(
        scene,
        files.place,
        LAYOUT,
        (pan,) if pan else (),
        tuple(Image((bands[band],)) for band in wanted if band in bands),
        name,
        cloud_cover=values.percent("cloud_cover"),
        acquired="T".join(filter(None, (values.first("date_acquired"), values.first("scene_center_time")))),
        doubts=doubts,
    )


def _bands_of(sensor_id: str) -> list[str]:
    """Returns the names of the files of the bands that a sensor is pansharpened with, in their order."""
    aliases = sensors.get(sensor_id).aliases
    return [name for names in aliases for name in names if re.fullmatch(r"B\d+", name)]
