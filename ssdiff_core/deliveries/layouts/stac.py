"""STAC: a file with an Item or an ItemCollection, whose assets tell their bands and resolution."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...common.errors import ConfigError
from ...common.notices import notice
from ...domain import sensors
from ...domain.grid import RATIOS
from ..delivery import Delivery, Image
from ..documents import located, text_of

LAYOUT = "STAC"
PAN_NAMES = ("pan", "panchromatic")
COMMON = {
    "coastal": "coastal",
    "blue": "blue",
    "green": "green",
    "green05": "green",
    "yellow": "yellow",
    "red": "red",
    "rededge": "rededge",
    "rededge071": "rededge",
    "rededge075": "rededge2",
    "nir": "nir",
    "nir08": "nir",
    "nir09": "nir2",
    "swir16": "swir1",
    "swir22": "swir2",
}
"common names of bands that are pansharpened, in order of wavelength, and their names here"
FILE_TYPES = ("tif", "jp2", "jpeg2000", "vrt", "x-erdas", "application/octet-stream")
"parts of the media types of rasters with all their counts; thumbnails are png or jpeg"


COARSEST = 1e6
"metres from which a resolution is a damaged value"
MAXIMUM_TEXT = 200
"characters that are read of an id and a time"


@dataclass(frozen=True)
class Asset:
    """An asset with bands."""

    path: str
    bands: tuple[str, ...]
    "common names"
    gsd: float | None


def read(path: str) -> Iterator[Delivery]:
    """Yields the scenes of a file. Raises ConfigError if it is no STAC Item or ItemCollection."""
    try:
        document = json.loads(text_of(path))
    except (ValueError, RecursionError) as error:
        raise ConfigError(notice("json_damaged", path=str(path), reason=str(error))) from None
    items = document.get("features", [document]) if isinstance(document, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) and "assets" in item for item in items):
        raise ConfigError(notice("stac_without_assets", path=str(path)))
    for number, item in enumerate(items, 1):
        yield _delivery(path, number, item)


def _delivery(path: str, number: int, item: Mapping) -> Delivery:
    properties = _mapping(item.get("properties"))
    assets = [asset for one in _mapping(item.get("assets")).values() if (asset := _asset(path, _mapping(one), item))]
    pans = [asset for asset in assets if len(asset.bands) == 1 and asset.bands[0] in PAN_NAMES]
    pan = min(pans, key=lambda asset: asset.gsd or 0.0, default=None)
    platform = str(properties.get("platform") or "")
    constellation = str(properties.get("constellation") or "")
    cloud = properties.get("eo:cloud_cover")
    return Delivery(
        str(item.get("id") or f"item {number}")[:MAXIMUM_TEXT],
        path,
        LAYOUT,
        (pan.path,) if pan else (),
        _images(assets, pan),
        sensors.identify_satellite({"a.PLATFORM": platform, "b.PLATFORM": constellation})[0],
        cloud_cover=float(cloud) if isinstance(cloud, (int, float)) and 0 <= cloud <= 100 else None,
        acquired=str(properties.get("datetime") or properties.get("start_datetime") or "")[:MAXIMUM_TEXT],
    )


def _images(assets: Sequence[Asset], pan: Asset | None) -> tuple[Image, ...]:
    """Returns MS: the asset with the most bands, or one asset for each band, in order of wavelength."""
    usable = [asset for asset in assets if asset.bands and all(band in COMMON for band in asset.bands)]
    usable = [asset for asset in usable if _fits(asset, pan)]
    whole = max(usable, key=lambda asset: len(asset.bands), default=None)
    if whole and len(whole.bands) > 1:
        return (Image((whole.path,), tuple(range(1, len(whole.bands) + 1)), tuple(COMMON[b] for b in whole.bands)),)
    single = {asset.bands[0]: asset for asset in reversed(usable)}
    return tuple(Image((single[band].path,), (1,), (COMMON[band],)) for band in COMMON if band in single)


def _fits(asset: Asset, pan: Asset | None) -> bool:
    """Returns whether the resolution of an asset, if it is known, is one that PAN can sharpen."""
    if not asset.gsd or not pan or not pan.gsd:
        return True
    return RATIOS[0] * 0.98 <= asset.gsd / pan.gsd <= RATIOS[1] * 1.02


def _asset(document: str, asset: Mapping, item: Mapping) -> Asset | None:
    href, kind = asset.get("href"), str(asset.get("type") or "tif").lower()
    if not isinstance(href, str) or not any(part in kind for part in FILE_TYPES):
        return None
    listed = asset.get("bands") or asset.get("eo:bands")
    bands = [_mapping(band) for band in listed] if isinstance(listed, list) else []
    names = tuple(str(band.get("eo:common_name") or band.get("common_name") or "").lower() for band in bands)
    properties = _mapping(item.get("properties"))
    values = (*(asset.get(key) for key in ("gsd", "raster:spatial_resolution")), *map(_resolution, bands))
    gsd = next(filter(None, map(_metres, values)), None)
    own = gsd or (_metres(properties.get("gsd")) if names and names[0] in PAN_NAMES else None)
    return Asset(located(document, href), names, own)


def _resolution(band: Mapping) -> object:
    return band.get("gsd") or band.get("raster:spatial_resolution")


def _metres(value: object) -> float | None:
    """Returns a resolution; None if the value is none."""
    return float(value) if isinstance(value, (int, float)) and 0 < value < COARSEST else None


def _mapping(value: object) -> Mapping:
    return value if isinstance(value, Mapping) else {}
