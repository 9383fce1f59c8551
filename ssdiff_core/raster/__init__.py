"""Rasters through GDAL: PAN and MS as one scene, sensor recognition, masks, and complete or no output files."""
