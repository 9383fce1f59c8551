"""Reading lists of scenes, and the files that they name relative to themselves."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from osgeo import gdal

from ..common.errors import ConfigError
from ..common.files import BLOCKING, kind_notice, kind_of
from ..common.notices import notice
from ..raster import network
from .files import folder_of

MAXIMUM_BYTES = 1 << 26
"size of a list of scenes up to which it is read"
SCHEMES = {"http": "/vsicurl/http://", "https": "/vsicurl/https://", "s3": "/vsis3/", "gs": "/vsigs/"}
"GDAL's names for what addresses begin with"


def text_of(path: str) -> str:
    """Returns the text of a list. Raises ConfigError if it cannot be read or is too large."""
    network.check(path)
    kind = kind_of(path)
    if kind in (*BLOCKING, "a folder"):
        raise ConfigError(notice("not_a_list", path=str(path), kind=kind_notice(kind)))
    status = gdal.VSIStatL(path)
    if status is None:
        raise ConfigError(notice("does_not_exist", path=str(path)))
    if status.size > MAXIMUM_BYTES:
        raise ConfigError(notice("list_too_large", path=str(path), size=status.size, maximum=MAXIMUM_BYTES))
    handle = gdal.VSIFOpenL(path, "rb")
    if handle is None:
        raise ConfigError(notice("cannot_be_read", path=str(path)))
    try:
        return bytes(gdal.VSIFReadL(1, MAXIMUM_BYTES, handle) or b"").decode("utf-8-sig", "replace")
    finally:
        gdal.VSIFCloseL(handle)


def located(document: str, name: str) -> str:
    """Returns the path of a file that a list names: relative to the list, absolute, or an address."""
    document = document if document.startswith("/vsi") else Path(document).as_posix()
    scheme, separator, rest = name.partition("://")
    if separator and scheme.lower() in SCHEMES:
        return SCHEMES[scheme.lower()] + rest
    if separator and scheme.lower() == "file":
        return unquote(f"/{re.split('[?#]', rest)[0].partition('/')[2]}")
    name = name.replace("\\", "/") if re.match(r"([A-Za-z]:)?\\", name) else name
    absolute = name.startswith("/") or re.match(r"[A-Za-z]:/", name)
    return name if absolute else f"{folder_of(document)}{name}"
