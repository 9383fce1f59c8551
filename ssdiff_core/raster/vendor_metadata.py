"""What a raster and the files beside it say of where it comes from.

GDAL tells some of it. The rest is in the vendors' files, which are read here: DigitalGlobe's .IMD and .XML, DIMAP
(Pléiades, SPOT), Landsat's MTL.txt, GaoFen's .xml.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from osgeo import gdal

DOMAINS = ("IMD", "IMAGERY", "")
KNOWN = (".imd", ".xml", ".txt")
LARGEST = 2**22
"bytes of a file that is read"
Entries = list[tuple[str, str]]
"keys with dots between their parts, and values; a key may come again"


@dataclass(frozen=True)
class Told:
    metadata: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    "by GDAL's domain or by file"
    bands: tuple[str, ...] = ()
    "names of the raster's bands in their order; empty where nothing says so"


def told(source: gdal.Dataset) -> Told:
    """What is said of an open raster."""
    metadata = {domain: source.GetMetadata(domain) for domain in DOMAINS}
    names: tuple[str, ...] = ()
    for file in beside(source.GetFileList() or []):
        entries = parsed(_text(file))
        metadata[file] = dict(reversed(entries))  # what a file says first counts
        names = names or band_names(entries)
    return Told(metadata, names if len(names) == source.RasterCount else ())


def beside(files: list[str]) -> Iterator[str]:
    """The vendors' files among those of a raster, and those that lie beside them under their usual names; no URLs."""
    listed = [file for file in files if file.lower().endswith(KNOWN)]
    guessed = [guess for file in files if file not in listed for guess in usual_names(file)]
    here = (file for file in dict.fromkeys(listed + guessed) if not file.startswith("/vsicurl"))
    return (file for file in here if gdal.VSIStatL(file) is not None)


def usual_names(file: str) -> list[str]:
    """What the vendors call the file that describes a raster: IMG_X_R1C1.TIF has DIM_X.XML, X_B4.TIF has X_MTL.txt."""
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
    """The entries of an XML document or of a text of groups and assignments; none of anything else."""
    if text.lstrip("\ufeff \r\n\t").startswith("<"):
        with contextlib.suppress(expat.ExpatError, ValueError):
            return Leaves().of(text)
        return []
    return list(_assignments(text))


def band_names(entries: Entries) -> tuple[str, ...]:
    """The bands in the file's order: DigitalGlobe's groups BAND_C, BAND_B ..., or DIMAP's list of indices."""
    groups = [found[1] for key, _ in entries if (found := re.search(r"(?:^|\.)BAND_([A-Z]+\d?)\.", key))]
    ids = [value for key, value in entries if key.endswith("Raster_Index.BAND_ID")]
    indices = [int(value) for key, value in entries if key.endswith("Raster_Index.BAND_INDEX") and value.isdigit()]
    if ids and len(ids) == len(indices):
        return tuple(name for _, name in sorted(zip(indices, ids)))
    return tuple(dict.fromkeys(groups))


class Leaves:
    """What those elements of an XML document say that hold no others. It may declare no entities: they could swell."""

    def __init__(self):
        self.path: list[str] = []
        self.text, self.is_leaf = "", False
        self.found: Entries = []

    def of(self, document: str) -> Entries:
        parser = expat.ParserCreate("utf-8")
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler, parser.EntityDeclHandler = self._more, _refuse
        parser.Parse(document.encode(), True)
        return self.found

    def _start(self, tag: str, _attributes: dict[str, str]) -> None:
        self.path.append(tag.rpartition(":")[2])
        self.text, self.is_leaf = "", True

    def _more(self, text: str) -> None:
        self.text += text

    def _end(self, _tag: str) -> None:
        if self.is_leaf and self.text.strip():
            self.found.append((".".join(self.path), self.text.strip()))
        self.path.pop()
        self.is_leaf = False


def _refuse(name: str, *_what) -> None:
    raise ValueError(f"the document declares the entity {name}")


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    groups: list[str] = []
    for line in text.splitlines():
        key, _, value = (part.strip(' \t\r";') for part in line.partition("="))
        if key in ("BEGIN_GROUP", "GROUP"):
            groups.append(value)
        elif key == "END_GROUP":
            groups = groups[:-1]
        elif value:
            yield ".".join([*groups, key]), value


def _text(file: str) -> str:
    handle = gdal.VSIFOpenL(file, "rb")
    if handle is None:
        return ""
    try:
        return bytes(gdal.VSIFReadL(1, LARGEST, handle) or b"").decode("utf-8", "replace")
    finally:
        gdal.VSIFCloseL(handle)
