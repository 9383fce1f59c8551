"""Offline mode for rasters: with SSDIFF_OFFLINE=1 no raster on the network is opened, by whatever file it is named."""

from __future__ import annotations

import os
import re

from ..common.errors import RasterError
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
MAXIMUM_DEPTH = 8
"documents that are followed from one to the next"


def check(path: str) -> None:
    """Raises RasterError in offline mode if a raster, or one that it consists of, is on the network."""
    remote = remote_source(path) if DEFAULT_CONNECTION.forbidden else None
    if remote:
        raise RasterError(
            f"{path} is not opened, as it is on the network ({printable(remote)[:200]}): SSDIFF_OFFLINE=1"
        )


def remote_source(path: str, depth: int = 0) -> str | None:
    """Returns the first source of a raster that is on the network, or None."""
    if REMOTE.search(path) and not ROOT.match(path):
        return path
    text = path if ROOT.match(path) else read_text(path) if depth < MAXIMUM_DEPTH else ""
    if not ROOT.match(text):
        return None
    for key, value in parsed(text):
        if key.rpartition(".")[2] not in OTHER_TEXTS:
            remote = value if REMOTE.search(value) else _in_document(path, value, depth)
            if remote:
                return remote
    return None


def _in_document(path: str, name: str, depth: int) -> str | None:
    """Returns the remote source of a document that another one names, relative to it or not."""
    if not name.lower().endswith((".vrt", ".xml")):
        return None
    candidates = dict.fromkeys((os.path.join(os.path.dirname(path), name), name))
    return next(filter(None, (remote_source(each, depth + 1) for each in candidates)), None)
