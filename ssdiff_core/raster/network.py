"""Offline mode for rasters: with SSDIFF_OFFLINE=1 no raster on the network is opened, by whatever file it is named."""

from __future__ import annotations

import os
import re

from ..common.errors import RasterError
from ..common.files import identity
from ..common.notices import notice
from ..common.texts import printable
from ..weights.http import DEFAULT_CONNECTION
from .vendor_metadata import parsed, read_text

REMOTE = re.compile(
    r"/vsi(curl|s3|gs|az|adls|oss|swift|hdfs|webhdfs)(_streaming)?[/?]|\b(https?|ftp)://|"
    r"^(wms|wmts|wcs|wfs|ogcapi|stacta|stacit|pg|postgresql|mysql|eedai|daas|ngw|plmosaic|iip):",
    re.IGNORECASE,
)
"names of sources that GDAL reads from the network"
ROOT = re.compile(r"\s*(<\?xml[^>]*\?>)?\s*<(VRTDataset|GDAL_W\w+|WCS_\w+)\b")
"beginning of a document that names the sources of a raster"
OTHER_TEXTS = ("MDI", "SRS", "Description", "WKT")
"elements of such a document that name no source"
MAXIMUM_DOCUMENTS = 10_000
"documents that are read, of those that name each other"


def check(path: str) -> None:
    """Raises RasterError in offline mode if a raster, or one that it consists of, is on the network."""
    remote = remote_source(path) if DEFAULT_CONNECTION.forbidden else None
    if remote:
        raise RasterError(notice("offline", path=str(path), address=printable(remote)[:200]))


def remote_source(path: str) -> str | None:
    """Returns a source of a raster that is on the network, or None. Each document that it names is read once."""
    if REMOTE.search(path) and not ROOT.match(path):
        return path
    waiting, seen = [path], set()
    while waiting:
        path = waiting.pop()
        for name in _sources(path):
            if REMOTE.search(name):
                return name
            for document in _documents(path, name):
                file = identity(document)
                if file not in seen and len(seen) < MAXIMUM_DOCUMENTS:
                    seen.add(file)
                    waiting.append(document)
    return None


def _sources(path: str) -> list[str]:
    """Returns the texts of a document that may name sources; none if it is no document that names any."""
    text = path if ROOT.match(path) else read_text(path)
    entries = parsed(text) if ROOT.match(text) else []
    return [value for key, value in entries if key.rpartition(".")[2] not in OTHER_TEXTS]


def _documents(path: str, name: str) -> tuple[str, ...]:
    """Returns the paths of a document that another one names: relative to it, and as it is named."""
    if not name.lower().endswith((".vrt", ".xml")):
        return ()
    return os.path.join(os.path.dirname(path), name), name
