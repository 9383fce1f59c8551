"""PAN and MS of a vendor's delivery as they are found, each with its metadata, and putting them together to scenes."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..common.notices import Notice, notice
from ..domain import sensors
from ..raster.vendor_metadata import Entries, parsed, read_text
from .delivery import Delivery, Image
from .files import Files, folder_of, name_of
from .mosaic import TILE

PAN, MS = "pan", "ms"
MAXIMUM_NAMES = 8
"names of missing tiles that a notice lists"
MAXIMUM_VALUE = 200
"characters that are read of the name of a satellite or scene, a time or a number"


@dataclass(frozen=True)
class MetadataValues:
    """What metadata tell about a scene."""

    entries: Mapping[str, str] = field(default_factory=dict)
    "values by the last parts of their keys, in lower case"

    @classmethod
    def of(cls, entries: Entries) -> MetadataValues:
        found: dict[str, str] = {}
        for key, value in entries:
            found.setdefault(key.rpartition(".")[2].lower(), value[:MAXIMUM_VALUE])
        return cls(found)

    def first(self, *keys: str) -> str:
        """Returns the first value that there is; "" without one."""
        return next((self.entries[key] for key in keys if self.entries.get(key)), "")

    def percent(self, *keys: str, whole: float = 100.0) -> float | None:
        """Returns a share in percent; None if there is none, or if it is no share. whole: how 100 % is written."""
        try:
            value = float(self.first(*keys)) * 100 / whole
        except ValueError:
            return None
        return value if 0 <= value <= 100 else None


@dataclass(frozen=True)
class Part:
    """The PAN or the MS images of a scene."""

    scene: str
    "what PAN and MS of a scene have in common in their names"
    role: str
    images: tuple[Image, ...]
    satellite: str = ""
    cloud_cover: float | None = None
    acquired: str = ""
    doubts: tuple[Notice, ...] = ()

    @property
    def path(self) -> str:
        return self.images[0].files[0]


def deliveries_of(place: str, layout: str, parts: Iterable[Part]) -> Iterator[Delivery]:
    """Yields the scenes of parts: PAN with the MS of the same scene that is nearest to it in the folders."""
    scenes: dict[str, dict[str, list[Part]]] = defaultdict(lambda: {PAN: [], MS: []})
    for part in parts:
        scenes[part.scene][part.role].append(part)
    for scene, roles in scenes.items():
        for pan, ms in _pairs(roles[PAN], roles[MS]):
            yield _delivery(scene, place, layout, [part for part in (ms, pan) if part])


def _pairs(pans: Sequence[Part], spectral: Sequence[Part]) -> Iterator[tuple[Part | None, Part | None]]:
    """Yields each PAN with the MS that shares most folders with it, and what is left. No MS is taken twice."""
    left = dict(enumerate(spectral))
    below: dict[str, deque[int]] = defaultdict(deque)
    for number, ms in left.items():
        for folder in _folders(ms.path):
            below[folder].append(number)
    for pan in pans:
        yield pan, _take_nearest(pan, below, left)
    yield from ((None, ms) for ms in left.values())


def _take_nearest(pan: Part, below: Mapping[str, deque[int]], left: dict[int, Part]) -> Part | None:
    """Removes and returns the MS that shares most folders with a PAN. below: the numbers of MS below each folder."""
    for waiting in (below[folder] for folder in _folders(pan.path) if folder in below):
        while waiting:
            number = waiting.popleft()
            if number in left:
                return left.pop(number)
    return None


def _folders(path: str) -> Iterator[str]:
    """Yields the folders that contain a file, innermost first."""
    while path:
        path = folder_of(path.rstrip("/"))
        yield path


def _delivery(scene: str, place: str, layout: str, parts: Sequence[Part]) -> Delivery:
    """Returns the delivery of its MS and PAN; values come from the first part that has them."""
    images = {part.role: part.images for part in parts}
    clouds = [part.cloud_cover for part in parts if part.cloud_cover is not None]
    files = [name_of(part.path) for part in parts]
    named = [part.satellite for part in parts if part.satellite]
    return Delivery(
        scene,
        place,
        layout,
        images[PAN][0].files if PAN in images else (),
        images.get(MS, ()),
        sensors.identify_satellite({f"{i}.SATELLITEID": text for i, text in enumerate(named)}, files)[0],
        cloud_cover=clouds[0] if clouds else None,
        acquired=next((part.acquired for part in parts if part.acquired), ""),
        doubts=tuple(doubt for part in parts for doubt in part.doubts),
    )


def entries_of(path: str | None) -> tuple[Entries, tuple[Notice, ...]]:
    """Returns the entries of a metadata file, and a doubt if it has none that can be read."""
    if not path:
        return [], ()
    entries = parsed(read_text(path))
    return entries, () if entries else (notice("delivery_metadata_unreadable", path=path),)


def with_tiles(files: Files, path: str, tiles: Sequence[str]) -> tuple[Image, tuple[Notice, ...]]:
    """Returns the image of tiles, and a doubt if some are missing.

    tiles: names that the metadata list in the folder of `path`, or paths.
    """
    found = [(name, files.beside(path, name_of(name))) for name in tiles]
    missing = [name_of(name) for name, file in found if not file]
    there = tuple(file for _, file in found if file)
    missing += _gaps(there) if not missing else []
    doubts = ()
    if missing and there:
        count, names = len(missing), missing[:MAXIMUM_NAMES] + ["..."] * (len(missing) > MAXIMUM_NAMES)
        doubts = (notice("delivery_tiles_missing", count=count, total=count + len(there), names=names),)
    return Image(there), doubts


def _gaps(tiles: Sequence[str]) -> list[str]:
    """Returns the tiles that are missing in the rectangle of rows and columns, as R1C2."""
    cells = {(int(found[1]), int(found[2])) for tile in tiles if (found := TILE.search(name_of(tile)))}
    if not cells:
        return []
    rows, columns = (max(axis) for axis in zip(*cells))
    if rows * columns > 10_000:
        return ["?"]
    full = {(row, column) for row in range(1, rows + 1) for column in range(1, columns + 1)}
    return [f"R{row}C{column}" for row, column in sorted(full - cells)]


def without_tile(stem: str) -> str:
    """Returns a name without the row and column of a tile."""
    return re.sub(r"_R\d{1,4}_?C\d{1,4}(?=$|[_.-])", "", stem, flags=re.IGNORECASE)
