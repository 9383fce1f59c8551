from __future__ import annotations

from qgis.core import QgsApplication

from .provider import Provider
from .services import i18n, runtime


class Plugin:
    """What QGIS loads. Works without an interface, so that qgis_process can start it."""

    def __init__(self, iface=None):
        self.iface = iface
        self.provider = self.interface = None
        i18n.learn()

    def initProcessing(self):
        self.provider = Provider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self):
        self.initProcessing()
        if self.iface:
            from .interface import Interface  # widgets, which qgis_process has none of

            self.interface = Interface(self.iface)

    def unload(self):
        if self.interface:
            self.interface.remove()
            self.interface = None
        if self.provider:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
        runtime.close()
