"""Dialogs of the plugin's algorithms, opened with parameters filled in. Their runs are in Processing's history."""

from __future__ import annotations

from qgis.core import QgsApplication, QgsProject, QgsRasterLayer

from .styling import HISTORY_MARK

PANSHARPEN, CLASSICAL = "ssdiff:pansharpen", "ssdiff:pansharpenclassical"
ASSESS, ADAPT, INSTALL = "ssdiff:assess", "ssdiff:adapt", "ssdiff:installruntime"

_open: set = set()
"open dialogs, referenced here because Python would otherwise delete its half of them"


def exists(algorithm: str) -> bool:
    """Returns whether an algorithm with this ID is registered."""
    return QgsApplication.processingRegistry().algorithmById(algorithm) is not None


def open_dialog(algorithm: str, **parameters):
    """Shows the dialog of an algorithm without waiting for it, and returns it."""
    import processing  # not importable before QGIS has started

    dialog = processing.createAlgorithmDialog(algorithm, parameters)
    _open.add(dialog)
    dialog.destroyed.connect(lambda: _open.discard(dialog))
    dialog.rejected.connect(lambda: _delete_unless_running(dialog))
    dialog.show()
    return dialog


def _delete_unless_running(dialog) -> None:
    """Deletes a closed dialog. If its algorithm is still running, QGIS deletes it afterwards."""
    if not dialog.cancelButton().isEnabled():
        dialog.deleteLater()


def close_all() -> None:
    """Closes all dialogs. Must be called before the provider is removed: QGIS crashes if a dialog outlives it."""
    for dialog in list(_open):
        dialog.close()


def fused_layer(preferred: QgsRasterLayer | None = None) -> QgsRasterLayer | None:
    """Returns a layer that SSDiff has pansharpened: the preferred one if it is one, otherwise the topmost."""
    layers = [preferred, *QgsProject.instance().layerTreeRoot().layerOrder()]
    return next((layer for layer in layers if isinstance(layer, QgsRasterLayer) and is_fused(layer)), None)


def is_fused(layer: QgsRasterLayer) -> bool:
    """Returns whether the layer's history says that SSDiff has made it."""
    return any(HISTORY_MARK in line for line in layer.metadata().history())
