"""KOMPSAT-3 and 3A: X_P.tif with X_B.tif, X_G.tif, X_R.tif and X_N.tif, and X_Aux.xml."""

from __future__ import annotations

from collections.abc import Iterator

from ...common.notices import notice
from ...domain import sensors
from ..delivery import Delivery, Image
from ..files import Files, folder_of
from ..parts import MetadataValues, entries_of

LAYOUT = "KOMPSAT"
BAND = r"(?P<scene>K3A?_\w+?_L\d\w?)_(?P<band>[PBGRN])\.tiff?"
BANDS = ("B", "G", "R", "N")


def find(files: Files) -> Iterator[Delivery]:
    """Yields the scenes: the bands of one product in one folder."""
    scenes: dict[tuple[str, str], dict[str, str]] = {}
    for path, found in files.named(BAND):
        scenes.setdefault((folder_of(path), found["scene"]), {})[found["band"].upper()] = path
    for (folder, scene), bands in scenes.items():
        entries, doubts = entries_of(files.beside(folder, f"{scene}_Aux.xml"))
        values = MetadataValues.of(entries)
        missing = [band for band in BANDS if band not in bands]
        if missing and len(missing) < len(BANDS):
            doubts = (*doubts, notice("delivery_bands_missing", bands=missing))
        yield Delivery(
            scene,
            files.place,
            LAYOUT,
            (bands["P"],) if "P" in bands else (),
            tuple(Image((bands[band],)) for band in BANDS if band in bands),
            sensors.identify_satellite({"SATELLITE": values.first("satellite", "satellitename")}, [f"{scene}_B.tif"])[
                0
            ],
            cloud_cover=values.percent("cloudcover", "cloudcoverage"),
            acquired=values.first("imagingstarttime", "acquisitiontime", "imagingtime"),
            doubts=doubts,
        )
