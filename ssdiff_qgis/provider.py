"""The Processing provider with all algorithms of the plugin."""

from __future__ import annotations

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .algorithms.adapt import Adapt
from .algorithms.align import Align
from .algorithms.assess import Assess
from .algorithms.base import ICON
from .algorithms.diagnostics import Diagnostics
from .algorithms.download_weights import DownloadWeights
from .algorithms.install_runtime import InstallRuntime
from .algorithms.pansharpen import Pansharpen
from .algorithms.pansharpen_classical import PansharpenClassical
from .services import settings
from .services.i18n import tr

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

    def supportedOutputRasterLayerExtensions(self):
        """Returns the only format of results, so that dialogs offer no other."""
        return ["tif"]

    def svgIconPath(self):
        return str(ICON)

    def load(self):
        settings.register()
        return super().load()

    def unload(self):
        settings.unregister()

    def loadAlgorithms(self):
        """Adds the algorithms. QGIS also calls this after settings have changed, so the cache folder is set anew."""
        settings.cache()
        for algorithm in ALGORITHMS:
            self.addAlgorithm(algorithm())
