"""Maxar (DigitalGlobe, Vantor): images with .IMD and .TIL files, in folders such as 056789012345_01_P001_PAN."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ...raster.vendor_metadata import Entries, band_names
from ..delivery import Delivery, Image
from ..files import Files, folder_of, stem_of
from ..parts import MS, PAN, MetadataValues, Part, deliveries_of, entries_of, with_tiles, without_tile

LAYOUT = "Maxar"
NAME = re.compile(r"(\d\d[A-Z]{3}\d{2})\d*-([PMSA])\w{3}-(\w+)", re.IGNORECASE)
"date, kind of image and order in a name such as 16JAN01012345-P2AS-056789012345_01_P001, without the tile"
ROLES = {"P": PAN, "M": MS}
"by the letter of the kind; S is fused already, A is short-wave infrared"
FILES = r".*\.(imd|til|tiff?|ntf|jp2)"


def find(files: Files) -> Iterator[Delivery]:
    """Yields the scenes: images with the same date and order."""
    return deliveries_of(files.place, LAYOUT, _parts(files))


def _parts(files: Files) -> Iterator[Part]:
    images: dict[tuple[str, str], list[str]] = {}
    for path, _ in files.named(FILES):
        stem = without_tile(stem_of(path))
        images.setdefault((folder_of(path), stem.upper()), []).append(path)
    for (_, stem), paths in images.items():
        imd = next((path for path in paths if path.lower().endswith(".imd")), None)
        named = NAME.fullmatch(stem)
        if named or imd:
            part = _part(files, paths, imd, named)
            if part:
                yield part


def _part(files: Files, paths: Sequence[str], imd: str | None, named: re.Match | None) -> Part | None:
    entries, doubts = entries_of(imd or files.beside(paths[0], f"{without_tile(stem_of(paths[0]))}.xml"))
    values = MetadataValues.of(entries)
    role = ROLES.get(named[2].upper()) if named else _role(values)
    rasters = [path for path in paths if not path.lower().endswith((".imd", ".til"))]
    rasters = [path for path in rasters if path[-4:].lower() == rasters[0][-4:].lower()]  # the same in two formats
    til = next((path for path in paths if path.lower().endswith(".til")), None)
    tiles, more = _tiles(til)
    image, missing = with_tiles(files, paths[0], tiles or rasters)
    if not role or not image.files:
        return None
    if len(image.files) > 1 and role == MS:
        image = Image(image.files, names=_names(entries))
    scene = f"{named[1].upper()}-{named[3].upper()}" if named else _scene(values, paths[0])
    return Part(
        scene,
        role,
        (image,),
        values.first("satid"),
        values.percent("cloudcover", whole=1.0),
        values.first("firstlinetime", "earliestacqtime"),
        (*doubts, *more, *missing),
    )


def _role(values: MetadataValues) -> str:
    """Returns what an image with a name of its own is, by its bands."""
    bands = values.first("bandid").upper()
    return PAN if bands == "P" else MS if bands else ""


def _scene(values: MetadataValues, path: str) -> str:
    """Returns the name of a scene with files of other names."""
    return values.first("catid", "productcatalogid", "productorderid") or stem_of(path)


def _tiles(til: str | None):
    """Returns the tiles that a .TIL file lists; none if it is missing or damaged: then those that are there count."""
    entries, doubts = entries_of(til)
    return [value for key, value in entries if key.rpartition(".")[2].lower() == "filename"], doubts


def _names(entries: Entries) -> tuple[str, ...]:
    return band_names([(key.upper(), value) for key, value in entries])
