from __future__ import annotations

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QCoreApplication

from . import runtime, words
from .provider import Provider


class Plugin:
    """What QGIS loads. Works without an interface, so that qgis_process can start it."""

    def __init__(self, iface=None):
        self.iface = iface
        self.provider, self.words = None, words.installed()

    def initProcessing(self):
        self.provider = Provider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self):
        self.initProcessing()

    def unload(self):
        if self.provider:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
        if self.words:
            QCoreApplication.removeTranslator(self.words)
            self.words = None
        runtime.close()
