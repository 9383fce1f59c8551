"""Metadata of rasters as GDAL has it, from the file and from files next to it.

GDAL reads files next to a raster when its metadata is first requested, and raises an error if one of them is damaged.
The pixels can be used all the same, so such a file counts as missing. Texts that are not UTF-8 are Latin-1.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from osgeo import gdal

from ..common.texts import decoded

TEXTS = (".imd", ".xml", ".txt", ".rpb", ".rpc", ".pvl", ".dim", ".pass", ".att", ".eph", ".geo", ".til", ".met")
"file name extensions of texts that GDAL may read next to a raster"
TEXT_DOMAINS = ("IMD", "IMAGERY", "RPC")
"domains whose metadata is read from texts next to the raster"
MAXIMUM_TEXT = 1 << 16
"size in bytes up to which such a text is read"
MAXIMUM_XML = 1 << 20
"the same for XML"
ATTEMPTS = 3
"calls of a function of GDAL until its result counts as missing"


def entries(source: gdal.MajorObject, domain: str = "") -> dict[str, str]:
    """Returns the metadata of a raster or a band in one of GDAL's domains."""
    if domain in TEXT_DOMAINS and not _may_read_texts(source):
        return {}
    found = _read(lambda: source.GetMetadata(domain)) or {}
    return {decoded(key): decoded(value) for key, value in found.items()}


def entry(source: gdal.MajorObject, key: str, domain: str = "") -> str:
    """Returns the value of a key; "" if there is none."""
    return decoded(_read(lambda: source.GetMetadataItem(key, domain)) or "")


def description(band: gdal.Band) -> str:
    """Returns the name of a band."""
    return decoded(_read(band.GetDescription) or "")


def crs(source: gdal.Dataset) -> str:
    """Returns the CRS as WKT; "" if there is none."""
    return decoded(_read(source.GetProjection) or "")


def files(source: gdal.Dataset) -> list[str]:
    """Returns the files that GDAL reads for a raster; only the raster if one of them must not be read."""
    if not _may_read_texts(source):
        return [decoded(source.GetDescription())]
    return [decoded(file) for file in _read(source.GetFileList) or []]


def _may_read_texts(source: gdal.MajorObject) -> bool:
    """Returns whether GDAL may read the texts next to a raster; GeoTIFFs ignore the list of `siblings`."""
    return not (isinstance(source, gdal.Dataset) and siblings(decoded(source.GetDescription())))


def siblings(path: str) -> dict[str, list[str]]:
    """Returns the argument of OpenEx with the names of the files that GDAL may read next to a raster; {} for all.

    Leaves out text files that are too large for GDAL's reader of groups and assignments, whose time is quadratic, and
    what is no file: a pipe would never end.
    """
    folder = os.path.dirname(path) or "."
    try:
        with os.scandir(folder) as found:
            texts = {each.name: _is_readable(each) for each in found if _is_text(each.name)}
    except (OSError, ValueError):  # a URL, or a path in an archive
        return {}
    if all(texts.values()):
        return {}
    return {"sibling_files": [name for name in os.listdir(folder) if texts.get(name, True)]}


def _is_text(name: str) -> bool:
    return name.lower().endswith(TEXTS) and not name.lower().endswith(".aux.xml")


def _is_readable(entry: os.DirEntry) -> bool:
    try:
        maximum = MAXIMUM_XML if entry.name.lower().endswith((".xml", ".dim")) else MAXIMUM_TEXT
        return entry.is_file() and entry.stat().st_size <= maximum
    except OSError:
        return False


def _read(function: Callable):
    """Returns the result of a function of GDAL, which fails at most once for each damaged file next to a raster."""
    for _ in range(ATTEMPTS):
        try:
            return function()
        except RuntimeError:
            continue
    return None
