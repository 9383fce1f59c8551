from __future__ import annotations

from pathlib import Path

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .adapt import Adapt
from .align import Align
from .assess import Assess
from .diagnostics import Diagnostics
from .downloadweights import DownloadWeights
from .pansharpen import Pansharpen
from .pansharpenclassical import PansharpenClassical

ICON = str(Path(__file__).parents[1] / "resources" / "icon.svg")


class Provider(QgsProcessingProvider):
    def id(self):
        return "ssdiff"

    def name(self):
        return "SSDiff"

    def longName(self):
        return self.tr("SSDiff pansharpening")

    def icon(self):
        return QIcon(ICON)

    def svgIconPath(self):
        return ICON

    def loadAlgorithms(self):
        for algorithm in (Pansharpen, PansharpenClassical, Assess, Align, Adapt, DownloadWeights, Diagnostics):
            self.addAlgorithm(algorithm())
