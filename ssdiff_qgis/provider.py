from __future__ import annotations

from qgis.core import QgsProcessingProvider

from . import settings
from .diagnostics import Diagnostics
from .installruntime import InstallRuntime


class Provider(QgsProcessingProvider):
    def id(self):
        return "ssdiff"

    def name(self):
        return "SSDiff"

    def longName(self):
        return self.tr("SSDiff pansharpening")

    def load(self):
        settings.add()
        return super().load()

    def unload(self):
        settings.remove()

    def loadAlgorithms(self):
        """Also when options have changed, hence the cache."""
        settings.cache()
        self.addAlgorithm(Diagnostics())
        self.addAlgorithm(InstallRuntime())
