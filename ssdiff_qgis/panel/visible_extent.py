"""The part of a scene that a preview fuses: what the map shows, as much of it as takes seconds."""

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

SLOW, FAST = 512**2, 2048**2
"PAN pixels that a processor, and a GPU, fuses in seconds"


@dataclass(frozen=True)
class Part:
    box: QgsRectangle
    "in the CRS of PAN"
    crs: QgsCoordinateReferenceSystem
    width: int
    height: int
    "in PAN pixels"
    share: float
    "of the pixels that the map shows"

    @property
    def whole(self) -> bool:
        """Whether it is all that the map shows."""
        return self.share == 1

    @property
    def extent(self) -> QgsReferencedRectangle:
        return QgsReferencedRectangle(self.box, self.crs)


def in_view(pan: QgsRasterLayer, ms: QgsRasterLayer, view: QgsReferencedRectangle, limit: int) -> Part | None:
    """What lies in the middle of the view, with no more pixels than the limit; None where the view shows nothing."""
    try:
        box = _ground(pan, ms).intersect(_moved(view, view.crs(), pan.crs()))
    except QgsCsException:
        return None
    across, down = pan.rasterUnitsPerPixelX(), pan.rasterUnitsPerPixelY()
    pixels = box.width() * box.height() / (across * down)
    if box.isEmpty() or pixels < 1:
        return None
    share = min(1.0, limit / pixels)
    box.scale(math.sqrt(share))
    return Part(box, pan.crs(), round(box.width() / across), round(box.height() / down), share)


def _ground(pan: QgsRasterLayer, ms: QgsRasterLayer) -> QgsRectangle:
    """What both layers show."""
    return pan.extent().intersect(_moved(ms.extent(), ms.crs(), pan.crs()))


def _moved(box: QgsRectangle, from_: QgsCoordinateReferenceSystem, to: QgsCoordinateReferenceSystem) -> QgsRectangle:
    return QgsCoordinateTransform(from_, to, QgsProject.instance()).transformBoundingBox(box)
