"""Pansharpening with SSDiff, without QGIS: arrays in, arrays out, and the command line `ssdiff`."""

__version__ = "0.1.0"
