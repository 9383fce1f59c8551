"""SSDiff as a QGIS plugin: this folder, under the name ssdiff, is what QGIS loads."""


def classFactory(iface):
    from .ssdiff_qgis.plugin import Plugin

    return Plugin(iface)
