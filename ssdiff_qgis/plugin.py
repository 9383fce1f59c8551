from __future__ import annotations

from qgis.core import QgsApplication

from . import runtime
from .provider import Provider


class Plugin:
    """What QGIS loads. Works without an interface, so that qgis_process can start it."""

    def __init__(self, iface=None):
        self.iface = iface
        self.provider = None

    def initProcessing(self):
        self.provider = Provider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self):
        self.initProcessing()

    def unload(self):
        if self.provider:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
        runtime.close()
