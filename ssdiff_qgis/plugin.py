"""The plugin object that QGIS loads."""

from __future__ import annotations

from qgis.core import QgsApplication

from .provider import Provider
from .services import i18n, runtime


class Plugin:
    """The plugin. It also works without a user interface, so that qgis_process can load it."""

    def __init__(self, iface=None):
        self.iface = iface
        self.provider = self.interface = None
        i18n.load_translations()

    def initProcessing(self):
        self.provider = Provider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self):
        self.initProcessing()
        if self.iface:
            from .interface import Interface  # imports widgets, which qgis_process lacks

            self.interface = Interface(self.iface)

    def unload(self):
        if self.interface:
            self.interface.remove()
            self.interface = None
        if self.provider:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
        runtime.close()
