"""A delivery: the PAN and MS files of one scene, and what its metadata tell. Plain values."""

from __future__ import annotations

from dataclasses import dataclass

from ..common.notices import Notice

INCOMPLETE = frozenset(
    {"delivery_without_pan", "delivery_without_ms", "delivery_tiles_missing", "delivery_bands_missing"}
    | {"delivery_unusable", "delivery_remote"}
)
"kinds of doubts that keep a delivery from being fused"


@dataclass(frozen=True)
class Image:
    """One raster of a delivery: a file, or the tiles of one image."""

    files: tuple[str, ...]
    bands: tuple[int, ...] = ()
    "numbers of the bands that are used, in order; (): all"
    names: tuple[str, ...] = ()
    "names of these bands; (): the delivery does not tell"

    @property
    def whole(self) -> bool:
        "Whether it is one file as it is."
        return len(self.files) == 1 and not self.bands and not self.names


@dataclass(frozen=True)
class Delivery:
    """One scene that was found: its files, and what is known about it before the pixels are read."""

    name: str
    place: str
    "folder, archive or list that it was found in"
    layout: str
    "vendor or kind of list, for the user"
    pan: tuple[str, ...]
    "one file, or the tiles of PAN; (): missing"
    ms: tuple[Image, ...]
    "the images of MS in band order: one, or one for each band or group of bands; (): missing"
    sensor: str | None = None
    "id of the sensor (see domain.sensors); None: unknown, or without a profile"
    size: tuple[int, int] | None = None
    "columns and rows of PAN"
    ratio: float | None = None
    "PAN pixels per MS pixel"
    cloud_cover: float | None = None
    "percent; None: unknown"
    acquired: str = ""
    "time in ISO 8601; empty: unknown"
    doubts: tuple[Notice, ...] = ()
    "what is missing or doubtful"

    @property
    def complete(self) -> bool:
        "Whether the delivery can be fused."
        return not any(doubt.kind in INCOMPLETE for doubt in self.doubts)

    @property
    def files(self) -> tuple[str, ...]:
        "All raster files, each once: PAN first."
        return tuple(dict.fromkeys((*self.pan, *(file for image in self.ms for file in image.files))))
