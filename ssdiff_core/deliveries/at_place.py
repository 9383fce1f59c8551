"""The pair of a place that is given instead of two rasters: a folder or an archive with one delivery."""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from pathlib import Path

from osgeo import gdal

from ..common import paths
from ..common.errors import ConfigError
from ..common.files import kind_of
from ..common.notices import Notify, ignore, notice
from ..domain import sensors
from .delivery import Delivery
from .discover import find_scenes
from .files import ARCHIVES, folder_of, inside
from .layouts.registry import DOCUMENTS
from .pair import Pair, delivery_pair

METADATA = (".imd", ".til", ".xml", ".dim", "_mtl.txt")
"ends of the names of metadata files, which stand for the delivery that they are part of"
MAXIMUM_NAMES = 10
"scenes that an error lists"


def is_place(path: str | Path) -> bool:
    """Returns whether a path is a folder, an archive, a list of scenes or metadata of a delivery, and not a raster."""
    name = str(path)
    if inside(name) or name.lower().endswith((*DOCUMENTS, *METADATA)):
        return True
    if not name.startswith("/vsi"):
        return kind_of(name) == "a folder"
    try:
        status = gdal.VSIStatL(name)
    except RuntimeError:
        return False
    return status is not None and stat.S_ISDIR(status.mode)


def pair_at(place: str | Path, notify: Notify, scene: str = "", one_file: bool = False, watch: Notify = ignore) -> Pair:
    """Returns the rasters of the only scene at a place, or of the one with this name, and reports which it is.

    one_file: whether MS is one file, also if the delivery has several. Virtual rasters are kept in the cache folder, so
    that they are the same at the next run. watch: see `find_scenes`. Raises ConfigError if there is no scene, or more
    than one.
    """
    delivery = delivery_at(place, notify, scene, watch)
    for doubt in delivery.doubts:
        notify(notice("delivery_doubt", name=delivery.name, doubt=doubt))
    pair = cached_pair(delivery, one_file)
    label = sensors.get(delivery.sensor).label if delivery.sensor else "?"
    counts = {"pan": len(delivery.pan), "ms": len(delivery.files) - len(delivery.pan)}
    notify(notice("delivery_found", name=delivery.name, layout=delivery.layout, sensor=label, **counts))
    return pair


def cached_pair(delivery: Delivery, one_file: bool = False) -> Pair:
    """Returns the rasters of a delivery, with virtual rasters in the cache folder."""
    return delivery_pair(delivery, paths.cache() / "deliveries" / _folder_name(delivery), one_file)


def place_of(delivery: Delivery, others: Iterable[Delivery]) -> str:
    """Returns the archive or the folder that has the files of a delivery and none of the others; empty: there is none.

    `pair_at` opens this delivery there, if the others are all those at the place that they were found in which can be
    fused.
    """
    folder = _common_folder(delivery.files)
    taken = [file for other in others for file in other.files]
    places = (*_archives(folder), folder)
    return next((place for place in places if place and not any(map(_is_below(place), taken))), "")


def delivery_at(place: str | Path, notify: Notify, scene: str = "", watch: Notify = ignore) -> Delivery:
    """Returns the only scene at a place with this name (empty: any); of several, the only one that can be fused."""
    is_metadata = str(place).lower().endswith(METADATA)
    found = _around(str(place), notify, watch) if is_metadata else find_scenes([place], notify, watch)
    found = [delivery for delivery in found if scene in ("", delivery.name)]
    complete = [delivery for delivery in found if delivery.complete]
    if len(complete) == 1 or len(found) == 1:
        return (complete or found)[0]
    if not found:
        kind, named = ("scene_not_found", {"scene": scene}) if scene else ("nothing_found", {})
        raise ConfigError(notice(kind, place=str(place), **named))
    names = [delivery.name for delivery in complete or found]
    listed = ", ".join(names[:MAXIMUM_NAMES]) + (", ..." if len(names) > MAXIMUM_NAMES else "")
    raise ConfigError(notice("scenes_several", place=str(place), count=len(names), names=listed))


def _common_folder(files: Sequence[str]) -> str:
    """Returns the innermost folder that all files are in; GDAL's names keep their two slashes, unlike in os.path."""
    parts = zip(*(folder_of(file).split("/")[:-1] for file in files))
    return "/".join(names[0] for names in takewhile(lambda names: len(set(names)) == 1, parts))


def _archives(folder: str) -> list[str]:
    """Returns the archive that a folder is in, or nothing."""
    prefixes, endings = ("|".join({re.escape(archive[i]): None for archive in ARCHIVES}) for i in (1, 0))
    found = re.match(rf"(?:{prefixes})(.+?(?:{endings}))(?=/|$)", folder, re.IGNORECASE)
    return [found[1]] if found else []


def _is_below(place: str) -> Callable[[str], bool]:
    """Returns a function that tells whether a file is in an archive or a folder, or in an archive in this folder."""
    content = inside(place)
    starts = (content,) if content else (place, *(f"{prefix}{place}" for _, prefix in ARCHIVES))
    return lambda file: file.startswith(tuple(f"{start}/" for start in starts))


def _around(metadata: str, notify: Notify, watch: Notify) -> list[Delivery]:
    """Returns the scenes with files in the folder of a metadata file; PAN or MS may be in a folder beside it."""
    folder = Path(metadata).resolve().parent
    found: list[Delivery] = []
    for place in (folder, folder.parent):
        near = f"{folder.as_posix()}/"
        scenes = find_scenes([place], notify, watch)
        found = [each for each in scenes if any(file.startswith(near) for file in each.files)]
        if any(delivery.complete for delivery in found):
            break
    return found


def _folder_name(delivery: Delivery) -> str:
    """Returns a name that is readable, and different for each delivery."""
    name = re.sub(r"[^\w.-]+", "_", delivery.name)[:60].strip("._")
    digest = hashlib.sha256(repr((delivery.pan, delivery.ms)).encode("utf-8", "replace")).hexdigest()[:12]
    return f"{name}-{digest}"
