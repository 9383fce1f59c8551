"""Files that are read when a raster or a vector file is opened: sidecars, sources of virtual rasters, archives."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from osgeo import gdal

from ..common.errors import RasterError
from ..common.files import BLOCKING, kind_notice, kind_of
from ..common.notices import notice
from . import metadata, network
from .vendor_metadata import metadata_files

SOURCES = ("SourceFilename", "SourceDataset", "SourceFile", "BlockFile", "ImageFile")
"elements of a virtual raster that name another file"
SIDECARS = (".ovr", ".msk", ".aux.xml")
"ends of the names of pyramids, masks and statistics next to a raster"
INSIDE = re.compile(r"/vsi(?:zip|tar|gzip|7z|rar|cached|subfile)/(?:[\d_]+,)?")
"names that GDAL gives to what is in another file"


def files_read(paths: Iterable[str | Path]) -> list[str]:
    """Returns all files that GDAL and SSDiff read for these rasters or vector files, each once, sorted.

    For files within an archive, that is the archive; files elsewhere, such as /vsicurl/, are returned by GDAL's names.
    Raises RasterError if one is a pipe or a device.
    """
    found, seen, waiting = set(), set(), [str(path) for path in paths]
    blocking_in = functools.cache(_blocking_in)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        _check_readable(name, blocking_in)
        local = _local(name)
        if local or name.startswith("/vsi"):
            found.add(local or name)
        if local or not name.startswith("/vsi"):
            waiting += _listed(name)
    return sorted(found)


def check_readable(path: str) -> None:
    """Raises RasterError if opening a file would wait without end: for a pipe or a device, or one that stands beside.

    GDAL opens files whose name begins with that of a raster without being asked to.
    """
    _check_readable(path, _blocking_in)


def _check_readable(path: str, blocking_in: Callable[[str], list[str]]) -> None:
    file = _local(path)
    folder, name = os.path.split(file)
    stem = name.rpartition(".")[0] or name
    beside = [
        os.path.join(folder, other) for other in blocking_in(folder) if re.match(rf"{re.escape(stem)}[._]", other)
    ]
    for other in (file, *beside) if file else ():
        kind = kind_of(other)
        if kind in BLOCKING:
            raise RasterError(notice("blocks_reading", path=other, kind=kind_notice(kind)))


def _blocking_in(folder: str) -> list[str]:
    """Returns the names in a folder that are neither files nor folders."""
    try:
        return [entry.name for entry in os.scandir(folder or ".") if not (entry.is_file() or entry.is_dir())]
    except OSError:  # it may be allowed to read a file and not to list its folder
        return []


def _listed(name: str) -> list[str]:
    """Returns the files that a raster or vector file consists of or refers to; [] for anything else."""
    try:
        network.check(name)
        source = gdal.OpenEx(name, gdal.OF_RASTER | gdal.OF_VECTOR)
    except RuntimeError:
        return []
    if source is None:
        return []
    beside = [name + suffix for suffix in SIDECARS if os.path.isfile(name + suffix)]
    files = [*metadata.files(source), *beside]  # GDAL is not asked for its list if a text is too large for it
    return [*files, *metadata_files(files), *_sources(source)]


def _sources(source: gdal.Dataset) -> Iterator[str]:
    """Yields the sources of a virtual raster; GDAL does not list those that are parts of a file."""
    if source.GetDriver().ShortName == "VRT":
        for text in source.GetMetadata("xml:VRT") or ():
            raw = isinstance(text, bytes)  # it is not UTF-8
            for node in _nodes(gdal.ParseXMLString(text.decode("latin-1") if raw else text)):
                texts = [part[1] for part in node[2:] if part[0] == gdal.CXT_Text]
                relative = any(part[1] == "relativeToVRT" and part[2][1] == "1" for part in node[2:] if len(part) > 2)
                for name in (os.fsdecode(text.encode("latin-1")) for text in texts) if raw else texts:
                    yield os.path.join(os.path.dirname(source.GetDescription()), name) if relative else name


def _nodes(node) -> Iterator[list]:
    """Yields the elements below an element of parsed XML that name another file."""
    if node[0] == gdal.CXT_Element and node[1] in SOURCES:
        yield node
    for part in node[2:]:
        yield from _nodes(part)


def _local(name: str) -> str:
    """Returns the local file with this name, or the archive that contains it; "" for folders and other names."""
    path = name
    while found := INSIDE.match(path):
        path = path[found.end() :]
        path = path[1:].rpartition("}")[0] if path.startswith("{") else path
        while not os.path.lexists(path) and not INSIDE.match(path) and os.path.dirname(path) not in ("", path):
            path = os.path.dirname(path)
    return path if os.path.lexists(path) and not os.path.isdir(path) else ""
