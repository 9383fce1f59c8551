from __future__ import annotations

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from . import settings
from .adapt import Adapt
from .algorithm import ICON
from .align import Align
from .assess import Assess
from .diagnostics import Diagnostics
from .downloadweights import DownloadWeights
from .installruntime import InstallRuntime
from .pansharpen import Pansharpen
from .pansharpenclassical import PansharpenClassical
from .words import tr

ALGORITHMS = (Pansharpen, PansharpenClassical, Assess, Align, Adapt, DownloadWeights, InstallRuntime, Diagnostics)


class Provider(QgsProcessingProvider):
    def id(self):
        return "ssdiff"

    def name(self):
        return "SSDiff"

    def longName(self):
        return tr("SSDiff pansharpening")

    def icon(self):
        return QIcon(str(ICON))

    def svgIconPath(self):
        return str(ICON)

    def load(self):
        settings.add()
        return super().load()

    def unload(self):
        settings.remove()

    def loadAlgorithms(self):
        """Also when options have changed, hence the cache."""
        settings.cache()
        for algorithm in ALGORITHMS:
            self.addAlgorithm(algorithm())
