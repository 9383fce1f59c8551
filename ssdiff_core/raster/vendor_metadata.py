"""Metadata of a raster: GDAL's, and that of the vendor's files next to it.

Reads DigitalGlobe's .IMD and .XML, DIMAP (Pléiades, SPOT), Landsat's MTL.txt and GaoFen's .xml.
"""

from __future__ import annotations

import contextlib
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from xml.parsers import expat

from osgeo import gdal

from . import metadata

DOMAINS = ("IMD", "IMAGERY", "")
"GDAL's metadata domains that are read"
EXTENSIONS = (".imd", ".xml", ".txt")
"file name extensions of the vendors' metadata"
MAXIMUM_BYTES = 2**22
"size of a metadata file up to which it is read"
MAXIMUM_DEPTH = 64
"nested groups or elements whose names are part of a key; deeper ones are ignored"
MAXIMUM_ENTRIES = 20_000
"entries that are read of a metadata file"
MAXIMUM_NAME = 80
"characters of the name of a group or an element; without a bound, each entry in it would repeat megabytes"
MAXIMUM_VALUE = 2000
"characters of a value in which a sensor is looked for"
Entries = list[tuple[str, str]]
"dotted keys and their values; keys may repeat"


@dataclass(frozen=True)
class VendorMetadata:
    """Metadata of one raster."""

    metadata: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    "entries by GDAL's domain or by metadata file"
    bands: tuple[str, ...] = ()
    "names of the raster's bands in file order; () if unknown"


def read_metadata(source: gdal.Dataset) -> VendorMetadata:
    """Reads the metadata of an open raster, and of the files next to it."""
    entries_by_source = {domain: metadata.entries(source, domain) for domain in DOMAINS}
    names: tuple[str, ...] = ()
    for file in metadata_files(metadata.files(source)):
        entries = parsed(read_text(file))
        cut = ((key, value[:MAXIMUM_VALUE]) for key, value in reversed(entries))
        entries_by_source[file] = dict(cut)  # the first of repeated keys counts
        names = names or band_names(entries)
    return VendorMetadata(entries_by_source, names if len(names) == source.RasterCount else ())


def metadata_files(files: list[str]) -> Iterator[str]:
    """Yields the vendors' metadata files of a raster: those that GDAL lists, and those with a usual name; no URLs."""
    listed = [file for file in files if file.lower().endswith(EXTENSIONS)]
    guessed = [guess for file in files if file not in listed for guess in usual_names(file)]
    candidates = (file for file in dict.fromkeys(listed + guessed) if not file.startswith("/vsicurl"))
    return (file for file in candidates if _is_regular(file))


def _is_regular(file: str) -> bool:
    """Returns whether it is a file of which all can be read; a pipe, for example, may never end."""
    status = gdal.VSIStatL(file)
    return status is not None and stat.S_IFMT(status.mode) in (0, stat.S_IFREG) and status.size <= MAXIMUM_BYTES


def usual_names(file: str) -> list[str]:
    """Returns the vendors' names of a raster's metadata file: DIM_X.XML of IMG_X_R1C1.TIF, X_MTL.txt of X_B4.TIF."""
    folder, name = re.match(r"(.*[/\\])?(.*)", file).groups("")  # not by pathlib: /vsizip//a has two slashes
    stem = name.rpartition(".")[0]
    scene = re.sub(r"_R\d+C\d+$", "", stem)
    stems = [f"{start}{suffix}" for start in dict.fromkeys((stem, scene)) for suffix in (".IMD", ".XML", ".xml")]
    if scene.startswith("IMG_"):
        stems.append(f"DIM_{scene[4:]}.XML")
    band = re.search(r"_((SR|ST)_)?B\d+(_VCID_\d)?$", stem)
    if band:
        stems.append(f"{stem[: band.start()]}_MTL.txt")
    return [folder + name for name in stems]


def parsed(text: str) -> Entries:
    """Returns the entries of an XML document or of a text with groups and assignments; [] for any other text."""
    if text.lstrip("\ufeff \r\n\t").startswith("<"):
        with contextlib.suppress(expat.ExpatError, ValueError):
            return LeafParser().parse(text)
        return []
    return list(islice(_assignments(text), MAXIMUM_ENTRIES))


def band_names(entries: Entries) -> tuple[str, ...]:
    """Returns the names of the bands in file order: DigitalGlobe's groups BAND_C ..., or DIMAP's list of indices."""
    groups = [found[1] for key, _ in entries if (found := re.search(r"(?:^|\.)BAND_([A-Z]+\d?)\.", key))]
    ids = [value for key, value in entries if key.endswith("Raster_Index.BAND_ID")]
    indices = [value for key, value in entries if key.endswith("Raster_Index.BAND_INDEX")]
    indices = [int(value) for value in indices if re.fullmatch("[0-9]{1,6}", value)]
    if ids and len(ids) == len(indices):
        return tuple(name for _, name in sorted(zip(indices, ids)))
    return tuple(dict.fromkeys(groups))


class LeafParser:
    """Collects the texts of the leaf elements of an XML document.

    Rejects documents that declare entities, which can expand without bound.
    """

    def __init__(self):
        self.path: list[str] = []
        self.texts: list[str] = []
        self.is_leaf = False
        self.found: Entries = []

    def parse(self, document: str) -> Entries:
        parser = expat.ParserCreate("utf-8")
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler, parser.EntityDeclHandler = self._append_text, _reject_entity
        parser.Parse(document.encode(), True)
        return self.found

    def _start(self, tag: str, _attributes: dict[str, str]) -> None:
        self.path.append(tag.rpartition(":")[2][:MAXIMUM_NAME])
        self.texts, self.is_leaf = [], True

    def _append_text(self, text: str) -> None:
        self.texts.append(text)

    def _end(self, _tag: str) -> None:
        if self.is_leaf and len(self.path) <= MAXIMUM_DEPTH and len(self.found) < MAXIMUM_ENTRIES:
            text = "".join(self.texts).strip()
            self.found += [(".".join(self.path), text)] if text else []
        self.path.pop()
        self.is_leaf = False


def _reject_entity(name: str, *_details) -> None:
    raise ValueError(f"the document declares the entity {name}")


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    groups: list[str] = []
    for line in text.splitlines():
        key, _, value = (part.strip(' \t\r";') for part in line.partition("="))
        if key in ("BEGIN_GROUP", "GROUP"):
            groups.append(value[:MAXIMUM_NAME])
        elif key == "END_GROUP":
            del groups[-1:]
        elif value and len(groups) <= MAXIMUM_DEPTH:
            yield ".".join([*groups, key[:MAXIMUM_NAME]]), value


def read_text(file: str) -> str:
    """Returns the text of a file; "" if it is none or too large."""
    if not _is_regular(file):
        return ""
    handle = gdal.VSIFOpenL(file, "rb")
    if handle is None:
        return ""
    try:
        return bytes(gdal.VSIFReadL(1, MAXIMUM_BYTES, handle) or b"").decode("utf-8", "replace")
    finally:
        gdal.VSIFCloseL(handle)
