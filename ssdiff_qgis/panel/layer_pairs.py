"""Finds the raster layers of a project that are PAN and MS of the same scene."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

from qgis.core import QgsCoordinateReferenceSystem, QgsCoordinateTransform, QgsCsException, QgsProject, QgsRasterLayer

from ...ssdiff_core.domain.grid import RATIOS
from ..services.i18n import tr

RATIO_TOLERANCE = 1.05
"factor on the allowed ratios, because they are estimated from bounding boxes, which warped layers do not fill"
MINIMUM_OVERLAP = 0.1
"overlap of the layers of a pair, as a fraction of the smaller layer"
SAME_AREA = 0.5
"the same for pairs that are found without asking: neighbouring scenes overlap less"


@dataclass(frozen=True)
class LayerInfo:
    """Properties of a raster layer that pairs are found by."""

    id: str
    name: str
    bands: int
    width: int
    height: int
    box: tuple[float, float, float, float]
    "xmin, ymin, xmax, ymax, in the same CRS for all layers"
    readable: bool = True
    "whether GDAL reads it from a file"

    @property
    def area(self) -> float:
        return _area(self.box)

    @property
    def pixel_size(self) -> float:
        return math.sqrt(self.area / (self.width * self.height))


def info_of(layer: QgsRasterLayer, crs: QgsCoordinateReferenceSystem) -> LayerInfo | None:
    """Returns the properties of a layer, or None if it is invalid, empty or cannot be transformed to the CRS."""
    transform = QgsCoordinateTransform(layer.crs(), crs, QgsProject.instance())
    try:
        box = transform.transformBoundingBox(layer.extent())
    except QgsCsException:
        return None
    if not layer.isValid() or not layer.width() or not layer.height() or not box.isFinite() or box.isEmpty():
        return None
    size = layer.bandCount(), layer.width(), layer.height()
    corners = box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()
    return LayerInfo(layer.id(), layer.name(), *size, corners, layer.providerType() == "gdal")


def ratio(pan: LayerInfo, ms: LayerInfo) -> float:
    """Returns the ratio of the pixel sizes."""
    return ms.pixel_size / pan.pixel_size


def overlap(one: LayerInfo, other: LayerInfo) -> float:
    """Returns the overlap of two layers as a fraction of the smaller one."""
    a, b = one.box, other.box
    both = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
    return _area(both) / min(one.area, other.area) if both[0] < both[2] and both[1] < both[3] else 0.0


def problem(pan: LayerInfo, ms: LayerInfo) -> str:
    """Returns why two layers cannot be fused, as a message to the user; empty if they can."""
    if pan.id == ms.id:
        return tr("Select two different layers: a panchromatic and a multispectral one.")
    for layer in (pan, ms):
        if not layer.readable:
            return tr("The pixels of {} cannot be read. Export the layer as a GeoTIFF first.").format(layer.name)
    if not overlap(pan, ms):
        return tr("The layers do not overlap.")
    pixel_ratio = ratio(pan, ms)
    if pixel_ratio < 1 / RATIOS[0]:
        return tr("The multispectral layer has a finer resolution than the panchromatic one. Are the layers swapped?")
    if not RATIOS[0] / RATIO_TOLERANCE <= pixel_ratio <= RATIOS[1] * RATIO_TOLERANCE:
        message = tr(
            "The multispectral pixels must be 1.5 to 8 times as large as the panchromatic ones, not {:.1f} times."
        )
        return message.format(pixel_ratio)
    return ""


def pair_of_project() -> tuple[str, str] | None:
    """Returns the IDs of the PAN and MS layers of the project that most likely show the same scene, or None."""
    pair = best_pair(_layers_of_project())
    return pair and (pair[0].id, pair[1].id)


def pairs_of_project() -> list[tuple[LayerInfo, LayerInfo]]:
    """Returns the PAN and MS layers of all scenes of the project, by the names of MS; a layer is in one pair only."""
    candidates = [pair for pair in _candidates(_layers_of_project()) if overlap(*pair) > SAME_AREA]
    pairs, taken = [], set()
    for pan, ms in sorted(candidates, key=lambda pair: _score(*pair), reverse=True):
        if taken.isdisjoint((pan.id, ms.id)):
            taken |= {pan.id, ms.id}
            pairs.append((pan, ms))
    return sorted(pairs, key=lambda pair: pair[1].name)


def _layers_of_project() -> list[LayerInfo]:
    project = QgsProject.instance()
    layers = [layer for layer in project.mapLayers().values() if isinstance(layer, QgsRasterLayer)]
    return list(filter(None, (info_of(layer, project.crs()) for layer in layers)))


def best_pair(layers: Iterable[LayerInfo]) -> tuple[LayerInfo, LayerInfo] | None:
    """Returns the PAN and MS layers that most likely show the same scene, or None."""
    return max(_candidates(list(layers)), key=lambda pair: _score(*pair), default=None)


def _candidates(layers: list[LayerInfo]) -> Iterator[tuple[LayerInfo, LayerInfo]]:
    for pan in layers:
        for ms in layers:
            possible = pan.bands == 1 < ms.bands and not problem(pan, ms)
            if possible and overlap(pan, ms) > MINIMUM_OVERLAP:
                yield pan, ms


def _score(pan: LayerInfo, ms: LayerInfo) -> float:
    """Returns how well two layers match in extent and name; higher is better."""
    covered = overlap(pan, ms) * min(pan.area, ms.area) / max(pan.area, ms.area)
    return covered + SequenceMatcher(None, pan.name.lower(), ms.name.lower()).ratio()


def _area(box: tuple[float, float, float, float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
