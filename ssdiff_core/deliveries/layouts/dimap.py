"""Airbus: Pléiades, Pléiades Neo and SPOT as DIMAP, a DIM_*.XML file with the IMG_* files that it lists."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from xml.parsers import expat

from ...common.notices import notice
from ...raster.vendor_metadata import MAXIMUM_DEPTH, Entries, LeafParser, band_names, read_text
from ..delivery import Delivery, Image
from ..files import Files, name_of, stem_of
from ..parts import MS, PAN, MetadataValues, Part, deliveries_of, with_tiles

LAYOUT = "DIMAP"
RASTER = r"\.(tiff?|jp2)"
KINDS = {"p": PAN, "pan": PAN, "ms": MS, "ms-fs": MS, "ms-n": MS, "xs": MS}
"words in names; fused images (PMS, PMS-FS) are left out"
GROUPS = (("RGB", ("red", "green", "blue")), ("NED", ("nir", "rededge", "coastal")))
"bands of the two files of Pléiades Neo, by the word in their names"
MAXIMUM_TILES = 10_000


class DimapParser(LeafParser):
    """Collects the file names in attributes too, under the key href."""

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        super()._start(tag, attributes)
        if "href" in attributes and len(self.found) < MAXIMUM_TILES and len(self.path) <= MAXIMUM_DEPTH:
            self.found.append((f"{'.'.join(self.path)}.href", attributes["href"]))


def find(files: Files) -> Iterator[Delivery]:
    """Yields the scenes: images of one satellite and time."""
    return deliveries_of(files.place, LAYOUT, _parts(files))


def _parts(files: Files) -> Iterator[Part]:
    for path, _ in files.named(r"DIM_.*\.(xml|dim)"):
        part = _part(files, path)
        if part:
            yield part


def _part(files: Files, path: str) -> Part | None:
    words = stem_of(path).split("_")[1:]
    kind = next((word for word in words if word.lower() in KINDS), "")
    entries = _entries(path)
    values = MetadataValues.of(entries)
    role = KINDS.get(kind.lower()) or KINDS.get(values.first("band_mode", "spectral_processing").lower(), "")
    listed = [value for key, value in entries if key.endswith("DATA_FILE_PATH.href")]
    tiles = [name_of(tile.replace("\\", "/")) for tile in listed] or _beside(files, path)
    images, missing = _images(files, path, tiles, entries)
    if not role or not images:
        return None
    time = re.search(r"\d{12,}", stem_of(path))
    return Part(
        "_".join([words[0], time[0]] if time else [word for word in words if word != kind]).upper(),
        role,
        images,
        f"{values.first('mission')} {values.first('mission_index')}".strip() or words[0],
        values.percent("cloud_coverage"),
        "T".join(filter(None, (values.first("imaging_date"), values.first("imaging_time")))),
        (*(() if entries else (notice("delivery_metadata_unreadable", path=path),)), *missing),
    )


def _entries(path: str) -> Entries:
    with contextlib.suppress(expat.ExpatError, ValueError):
        return DimapParser().parse(read_text(path))
    return []


def _beside(files: Files, path: str) -> list[str]:
    """Returns the images whose names go with that of a metadata file that lists none."""
    start = f"IMG_{stem_of(path)[4:]}"
    rest = re.compile(rf"(_RGB|_NED|_P)?(_R\d+C\d+)?{RASTER}", re.IGNORECASE)
    return [image for image in files.beginning(path, start) if rest.fullmatch(name_of(image)[len(start) :])]


def _images(files: Files, path: str, tiles: Sequence[str], entries: Entries):
    """Returns the images of tiles: one, or the two of Pléiades Neo; and doubts about them."""
    groups = [(names, [t for t in tiles if f"_{word}_" in name_of(t).upper()]) for word, names in GROUPS]
    if not all(group for _, group in groups):
        image, doubts = with_tiles(files, path, tiles)
        if len(image.files) > 1:
            image = Image(image.files, names=band_names(entries))
        return ((image,) if image.files else ()), doubts
    found = [(names, *with_tiles(files, path, group)) for names, group in groups]
    images = tuple(Image(image.files, (1, 2, 3), names) for names, image, _ in found if image.files)
    return images, tuple(doubt for _, _, doubts in found for doubt in doubts)
