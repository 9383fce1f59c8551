"""The sample scene in the project."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsProcessingUtils, QgsProject, QgsRasterLayer, QgsRasterMinMaxOrigin

from ...ssdiff_core.raster import sample
from . import compat
from .i18n import tr

NATURAL_BANDS = (3, 2, 1)


def add_sample() -> list[QgsRasterLayer]:
    """Writes the sample into the temporary folder of Processing and adds PAN and MS to the project."""
    files = sample.unpack(Path(QgsProcessingUtils.tempFolder()) / "ssdiff-sample")
    pan = QgsRasterLayer(str(files["pan"]), tr("Sample PAN"))
    ms = QgsRasterLayer(str(files["ms"]), tr("Sample MS"))
    renderer = ms.renderer()
    for band, set_band in zip(NATURAL_BANDS, (renderer.setRedBand, renderer.setGreenBand, renderer.setBlueBand)):
        set_band(band)
    for layer in (pan, ms):
        layer.setContrastEnhancement(compat.STRETCH, QgsRasterMinMaxOrigin.Limits.CumulativeCut)
    QgsProject.instance().addMapLayers([ms, pan])
    return [pan, ms]
