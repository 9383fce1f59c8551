"""GaoFen, ZiYuan (ZY-3) and SuperView: X-PAN1.tiff and X-MSS1.tiff, each with an .xml file (ProductMetaData)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..delivery import Delivery, Image
from ..files import Files, stem_of
from ..parts import MS, PAN, MetadataValues, Part, deliveries_of, entries_of

FILE = r"(?P<scene>(?P<family>GF|ZY|SV)[\w.\-]*?)[-_](?P<kind>(BWD|FWD)?(PAN|MSS|MUX)|NAD)\d?\.(tiff?|img)"
LAYOUTS = {"GF": "GaoFen", "ZY": "ZiYuan", "SV": "SuperView"}
"by the beginning of the name"
PAN_KINDS, MS_KINDS = ("PAN", "BWDPAN", "NAD"), ("MSS", "MUX", "BWDMUX")
"ends of names; of stereo pairs, the one that is taken with the multispectral camera"


def find(files: Files) -> Iterator[Delivery]:
    """Yields the scenes: images that differ only in the end of their names."""
    parts: dict[str, list[Part]] = {}
    for path, found in files.named(FILE):
        kind = found["kind"].upper()
        role = PAN if kind in PAN_KINDS else MS if kind in MS_KINDS else ""
        if role:
            parts.setdefault(LAYOUTS[found["family"].upper()], []).append(_part(files, path, role, found))
    for layout, of_layout in parts.items():
        yield from deliveries_of(files.place, layout, of_layout)


def _part(files: Files, path: str, role: str, found: re.Match) -> Part:
    metadata = next((file for name in _names(path) if (file := files.beside(path, name))), None)
    entries, doubts = entries_of(metadata)
    values = MetadataValues.of(entries)
    return Part(
        found["scene"],
        role,
        (Image((path,)),),
        values.first("satelliteid", "satellite"),
        values.percent("cloudpercent", "cloudcover"),
        values.first("starttime", "centertime", "scenecentertime", "receivetime").replace(" ", "T"),
        doubts,
    )


def _names(path: str) -> list[str]:
    """Returns the names that the metadata of an image may have."""
    stem = stem_of(path)
    return [f"{stem}.xml", f"{stem}.meta.xml", f"{stem}_meta.xml"]
