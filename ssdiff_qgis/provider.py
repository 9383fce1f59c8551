from __future__ import annotations

from qgis.core import QgsProcessingProvider

from .diagnostics import Diagnostics
from .downloadweights import DownloadWeights


class Provider(QgsProcessingProvider):
    def id(self):
        return "ssdiff"

    def name(self):
        return "SSDiff"

    def longName(self):
        return self.tr("SSDiff pansharpening")

    def loadAlgorithms(self):
        self.addAlgorithm(Diagnostics())
        self.addAlgorithm(DownloadWeights())
