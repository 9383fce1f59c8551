"""Code that needs torch and GDAL in one process: the command line only.

QGIS must not import torch, and the computing process has no GDAL, so neither may use this package. `backend` computes
for the workflows in this process; `train`, `simulate` and `imagery` read training imagery; `wald` is Wald's protocol
on files; `benchmark` compares methods on sets of images; `speed` measures speed; `installation` reports what this
Python has installed.
"""
