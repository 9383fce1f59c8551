"""Which raster layers of a project are PAN and MS of one scene."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

from qgis.core import QgsCoordinateReferenceSystem, QgsCoordinateTransform, QgsCsException, QgsProject, QgsRasterLayer

from ...ssdiff_core.domain.grid import RATIOS
from ..services.i18n import tr

SLACK = 1.05
"as ratios are guessed from boxes around layers, which may be warped"
SHARED = 0.1
"part of the smaller layer that must lie on the other to guess that they belong together"


@dataclass(frozen=True)
class Image:
    """What a layer is, as far as it helps to find its partner."""

    id: str
    name: str
    bands: int
    width: int
    height: int
    box: tuple[float, float, float, float]
    "xmin, ymin, xmax, ymax, in a CRS that all share"
    readable: bool = True
    "its pixels are in a file"

    @property
    def area(self) -> float:
        return _area(self.box)

    @property
    def pixel(self) -> float:
        return math.sqrt(self.area / (self.width * self.height))


def image_of(layer: QgsRasterLayer, crs: QgsCoordinateReferenceSystem) -> Image | None:
    """None if it has no size, or no place in the CRS."""
    transform = QgsCoordinateTransform(layer.crs(), crs, QgsProject.instance())
    try:
        box = transform.transformBoundingBox(layer.extent())
    except QgsCsException:
        return None
    if not layer.isValid() or not layer.width() or not layer.height() or not box.isFinite() or box.isEmpty():
        return None
    size = layer.bandCount(), layer.width(), layer.height()
    corners = box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()
    return Image(layer.id(), layer.name(), *size, corners, layer.providerType() == "gdal")


def ratio(pan: Image, ms: Image) -> float:
    return ms.pixel / pan.pixel


def shared(one: Image, other: Image) -> float:
    """The part of the smaller one that lies on the other."""
    a, b = one.box, other.box
    both = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
    return _area(both) / min(one.area, other.area) if both[0] < both[2] and both[1] < both[3] else 0.0


def obstacle(pan: Image, ms: Image) -> str:
    """Why these two cannot be fused, in a sentence; empty if nothing speaks against it."""
    if pan.id == ms.id:
        return tr("Choose two layers: a sharp grey one and a coarse coloured one.")
    for one in (pan, ms):
        if not one.readable:
            return tr("The pixels of {} cannot be read. Export it as a GeoTIFF first.").format(one.name)
    if not shared(pan, ms):
        return tr("These layers lie in different places.")
    found = ratio(pan, ms)
    if found < 1 / RATIOS[0]:
        return tr("The multispectral layer is the finer one of the two: are they swapped?")
    if not RATIOS[0] / SLACK <= found <= RATIOS[1] * SLACK:
        why = tr("The panchromatic layer must be 1.5 to 8 times as fine as the multispectral one; this is {:.1f}.")
        return why.format(found)
    return ""


def pair_of_project() -> tuple[str, str] | None:
    """The ids of the PAN and the MS layer that most likely belong together."""
    project = QgsProject.instance()
    layers = [layer for layer in project.mapLayers().values() if isinstance(layer, QgsRasterLayer)]
    pair = guess(filter(None, (image_of(layer, project.crs()) for layer in layers)))
    return pair and (pair[0].id, pair[1].id)


def guess(images: Iterable[Image]) -> tuple[Image, Image] | None:
    """The PAN and MS that most likely belong together."""
    return max(_likely(list(images)), key=lambda pair: _kinship(*pair), default=None)


def _likely(images: list[Image]) -> Iterator[tuple[Image, Image]]:
    for pan in images:
        for ms in images:
            fits = pan.bands == 1 < ms.bands and not obstacle(pan, ms)
            if fits and shared(pan, ms) > SHARED:
                yield pan, ms


def _kinship(pan: Image, ms: Image) -> float:
    """They cover the same ground, and are called alike."""
    covered = shared(pan, ms) * min(pan.area, ms.area) / max(pan.area, ms.area)
    return covered + SequenceMatcher(None, pan.name.lower(), ms.name.lower()).ratio()


def _area(box: tuple[float, float, float, float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
