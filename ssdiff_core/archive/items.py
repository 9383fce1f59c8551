"""The STAC item of a fused scene, which also records what was done: a scene whose item has its key is complete."""

from __future__ import annotations

import math
import os
import posixpath
from datetime import datetime, timezone
from pathlib import Path

from osgeo import gdal, osr

from .. import __version__
from ..domain.grid import apply
from .job import SceneJob
from .storage import Storage, size_of

STAC_VERSION = "1.1.0"
EXTENSIONS = tuple(
    f"https://stac-extensions.github.io/{name}/v{version}/schema.json"
    for name, version in (("projection", "1.0.0"), ("raster", "1.0.0"), ("eo", "1.0.0"), ("processing", "1.1.0"))
)
COMMON_NAMES = {
    **{name: name for name in ("coastal", "blue", "green", "yellow", "red", "rededge", "nir")},
    **{"nir1": "nir08", "nir2": "nir09", "swir1": "swir16", "swir2": "swir22"},
}
"names of bands in the extension eo, by those of SSDiff"
COG = "image/tiff; application=geotiff; profile=cloud-optimized"
GEOTIFF = "image/tiff; application=geotiff"
STATISTICS = {"minimum": "MINIMUM", "maximum": "MAXIMUM", "mean": "MEAN", "stddev": "STDDEV"}
"statistics of the extension raster, and the ends of GDAL's names"
EDGE_POINTS = 8
"points of each edge of the footprint, as edges are curved in geographic coordinates"


def complete(job: SceneJob, storage: Storage) -> dict | None:
    """Returns the item of a scene that is complete and of which nothing has changed; otherwise None."""
    item = storage.read_json(job.item)
    try:
        if not item or item["properties"]["ssdiff:key"] != job.key:
            return None
        folder = posixpath.dirname(job.item)
        assets = [(posixpath.join(folder, asset["href"]), asset["file:size"]) for asset in item["assets"].values()]
    except (KeyError, TypeError):
        return None
    return item if all(storage.size(posixpath.normpath(name)) == size for name, size in assets) else None


def item_of(job: SceneJob, grid, provenance: dict[str, str], files: dict[str, Path | None], record: dict) -> dict:
    """Returns the item of a fused scene.

    grid: of the image. files: the files of the assets `fused`, `uncertainty` and `report`; None: there is none. record:
    method, weights, seconds, quality and notices of the run.
    """
    geometry = _footprint(grid) if grid.placed and grid.crs else None
    bounds = {"bbox": _bounds(geometry)} if geometry else {}
    fused = gdal.Open(os.fspath(files["fused"]))
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": list(EXTENSIONS),
        "id": job.name,
        **bounds,
        "geometry": geometry,
        "properties": {
            **_time(job.delivery.acquired),
            "created": _now(),
            **({"eo:cloud_cover": job.delivery.cloud_cover} if job.delivery.cloud_cover is not None else {}),
            **({"gsd": _gsd(grid)} if geometry else {}),
            **_projection(grid),
            "processing:software": {"SSDiff for QGIS": __version__},
            "processing:lineage": _lineage(provenance, record),
            "ssdiff:key": job.key,
            "ssdiff:sensor": job.sensor,
            **{f"ssdiff:{name}": value for name, value in record.items()},
        },
        "assets": {name: _asset(name, path, job, fused) for name, path in files.items() if path},
        "links": [
            {"rel": "derived_from", "href": _reference(path), "title": _title(path, job)} for path in job.delivery.files
        ],
    }


def _time(acquired: str) -> dict:
    """Returns the time of acquisition; if it is unknown, the time of processing, marked as such."""
    try:
        time = datetime.fromisoformat(acquired.replace("Z", "+00:00"))
    except ValueError:
        return {"datetime": _now(), "ssdiff:datetime": "processing"}
    return {"datetime": (time if time.tzinfo else time.replace(tzinfo=timezone.utc)).isoformat()}


def _now() -> str:
    return datetime.now(timezone.utc).replace(microsecond=0).isoformat()


def _lineage(provenance: dict[str, str], record: dict) -> str:
    weights = f" with weights {record['weights']}" if record["weights"] else ""
    adapted = f", adapted to the scene ({provenance['adapted']})" if "adapted" in provenance else ""
    return f"Pansharpened by {record['method']}{weights}{adapted}"


# --- position ---------------------------------------------------------------------------------------------------------


def _projection(grid) -> dict:
    """Returns the fields of the extension projection."""
    shape = {"proj:shape": [grid.height, grid.width]}
    if not (grid.placed and grid.crs):
        return {"proj:epsg": None, **shape}
    x, a, b, y, c, d = grid.transform
    crs = osr.SpatialReference(wkt=grid.crs)
    code = crs.GetAuthorityCode(None) if crs.GetAuthorityName(None) == "EPSG" else None
    wkt = {} if code else {"proj:wkt2": crs.ExportToWkt(["FORMAT=WKT2"])}
    return {"proj:epsg": int(code) if code else None, **wkt, **shape, "proj:transform": [a, b, x, c, d, y, 0, 0, 1]}


def _gsd(grid) -> float:
    """Returns the side of a pixel in metres, about."""
    crs = osr.SpatialReference(wkt=grid.crs)
    unit = crs.GetLinearUnits() if not crs.IsGeographic() else crs.GetAngularUnits() * crs.GetSemiMajor()
    return round(math.hypot(grid.transform[1], grid.transform[4]) * unit, 3)


def _footprint(grid) -> dict:
    """Returns the outline of an image as a polygon in longitudes and latitudes."""
    crs, geographic = osr.SpatialReference(wkt=grid.crs), osr.SpatialReference()
    geographic.ImportFromEPSG(4326)
    for each in (crs, geographic):
        each.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    to_geographic = osr.CoordinateTransformation(crs, geographic)
    corners = [(0, 0), (0, 1), (1, 1), (1, 0), (0, 0)]  # counterclockwise on the ground
    outline = []
    for (r0, r1), (c0, c1) in (zip(start, stop) for start, stop in zip(corners, corners[1:])):
        for step in range(EDGE_POINTS):
            row, col = (start + (stop - start) * step / EDGE_POINTS for start, stop in ((r0, r1), (c0, c1)))
            outline.append(apply(grid.transform, col * grid.width, row * grid.height))
    points = [[round(value, 7) for value in point[:2]] for point in to_geographic.TransformPoints(outline)]
    return {"type": "Polygon", "coordinates": [[*points, points[0]]]}


def _bounds(geometry: dict) -> list[float]:
    xs, ys = zip(*geometry["coordinates"][0])
    return [min(xs), min(ys), max(xs), max(ys)]


# --- assets -----------------------------------------------------------------------------------------------------------


def _asset(name: str, path: Path, job: SceneJob, fused: gdal.Dataset) -> dict:
    asset = {"href": f"./{path.name}", "file:size": size_of(os.fspath(path))}
    if name == "report":
        return {**asset, "title": "Quality report", "type": "text/html", "roles": ["metadata"]}
    image = fused if name == "fused" else gdal.Open(os.fspath(path))
    cloud_optimised = image.GetMetadataItem("LAYOUT", "IMAGE_STRUCTURE") == "COG"
    titles = {"fused": "Pansharpened image", "uncertainty": "Standard deviation of the samples, in counts"}
    return {
        **asset,
        "title": titles[name],
        "type": COG if cloud_optimised else GEOTIFF,
        "roles": ["data"] if name == "fused" else ["metadata"],
        "raster:bands": [_raster_band(image.GetRasterBand(index + 1)) for index in range(image.RasterCount)],
        "eo:bands": [_eo_band(index, job) for index in range(image.RasterCount)],
    }


def _raster_band(band: gdal.Band) -> dict:
    described: dict = {"data_type": gdal.GetDataTypeName(band.DataType).lower(), "sampling": "area"}
    described["data_type"] = described["data_type"].replace("byte", "uint8")
    nodata = band.GetNoDataValue()
    if nodata is not None:
        described["nodata"] = nodata if math.isfinite(nodata) else str(nodata)
    for field, value in (("scale", band.GetScale()), ("offset", band.GetOffset())):
        if value is not None:
            described[field] = value
    metadata = band.GetMetadata()
    found = {field: float(metadata[f"STATISTICS_{key}"]) for field, key in STATISTICS.items() if _finite(metadata, key)}
    return {**described, "statistics": found} if found else described


def _finite(metadata: dict[str, str], key: str) -> bool:
    return math.isfinite(float(metadata.get(f"STATISTICS_{key}", "nan")))


def _eo_band(index: int, job: SceneJob) -> dict:
    name = job.bands[index]
    band: dict = {"name": name}
    if name in COMMON_NAMES:
        band["common_name"] = COMMON_NAMES[name]
    if index < len(job.wavelengths):
        band["center_wavelength"] = round(job.wavelengths[index] / 1000, 4)
    return band


def _reference(path: str) -> str:
    """Returns the address of an input file for a link."""
    for prefix, scheme in (("/vsis3/", "s3://"), ("/vsigs/", "gs://"), ("/vsicurl/", "")):
        if path.startswith(prefix):
            return scheme + path.removeprefix(prefix)
    return path if path.startswith("/vsi") else Path(path).resolve().as_uri()


def _title(path: str, job: SceneJob) -> str:
    return f"{'PAN' if path in job.delivery.pan else 'MS'}: {path.rpartition('/')[2]}"
