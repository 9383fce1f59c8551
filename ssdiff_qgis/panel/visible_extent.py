"""The extent of a preview: the map extent, limited to as many pixels as are processed within seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsReferencedRectangle,
)

PIXELS_CPU, PIXELS_GPU = 512**2, 2048**2
"maximum number of PAN pixels of a preview: what a CPU, and a GPU, processes within seconds"


@dataclass(frozen=True)
class PreviewExtent:
    """A rectangle of a scene, with its size in PAN pixels."""

    box: QgsRectangle
    "in the CRS of PAN"
    crs: QgsCoordinateReferenceSystem
    width: int
    height: int
    "in PAN pixels"
    fraction: float
    "of the visible pixels"

    @property
    def complete(self) -> bool:
        """Whether it covers all visible pixels."""
        return self.fraction == 1

    @property
    def referenced(self) -> QgsReferencedRectangle:
        return QgsReferencedRectangle(self.box, self.crs)


def preview_extent(
    pan: QgsRasterLayer, ms: QgsRasterLayer, view: QgsReferencedRectangle, maximum: int
) -> PreviewExtent | None:
    """Returns the centre of the view, with at most `maximum` pixels; None where the view does not show both layers."""
    try:
        box = _common_extent(pan, ms).intersect(_transformed(view, view.crs(), pan.crs()))
    except QgsCsException:
        return None
    pixel_width, pixel_height = pan.rasterUnitsPerPixelX(), pan.rasterUnitsPerPixelY()
    pixels = box.width() * box.height() / (pixel_width * pixel_height)
    if box.isEmpty() or pixels < 1:
        return None
    fraction = min(1.0, maximum / pixels)
    box.scale(math.sqrt(fraction))
    return PreviewExtent(box, pan.crs(), round(box.width() / pixel_width), round(box.height() / pixel_height), fraction)


def _common_extent(pan: QgsRasterLayer, ms: QgsRasterLayer) -> QgsRectangle:
    """Returns the intersection of both layers, in the CRS of PAN."""
    return pan.extent().intersect(_transformed(ms.extent(), ms.crs(), pan.crs()))


def _transformed(
    box: QgsRectangle, source: QgsCoordinateReferenceSystem, target: QgsCoordinateReferenceSystem
) -> QgsRectangle:
    return QgsCoordinateTransform(source, target, QgsProject.instance()).transformBoundingBox(box)
