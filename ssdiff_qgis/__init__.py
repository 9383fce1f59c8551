"""The QGIS plugin: Processing provider, algorithms and panel. All pixels are computed by ssdiff_core."""
