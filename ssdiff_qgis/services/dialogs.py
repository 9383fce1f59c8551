"""The algorithms' own dialogs, filled in: what is run there is in Processing's history."""

from __future__ import annotations

from qgis.core import QgsApplication, QgsProject, QgsRasterLayer

from .styling import SIGNED

FUSE, ASSESS, ADAPT, INSTALL = "ssdiff:pansharpen", "ssdiff:assess", "ssdiff:adapt", "ssdiff:installruntime"

_open: set = set()
"dialogs whose Python half would be lost if nobody held it"


def exists(algorithm: str) -> bool:
    return QgsApplication.processingRegistry().algorithmById(algorithm) is not None


def open_dialog(algorithm: str, **parameters):
    """The dialog, which is shown and goes on by itself."""
    import processing  # is not on the path before QGIS has started

    dialog = processing.createAlgorithmDialog(algorithm, parameters)
    _open.add(dialog)
    dialog.destroyed.connect(lambda: _open.discard(dialog))
    dialog.rejected.connect(lambda: _closed(dialog))
    dialog.show()
    return dialog


def _closed(dialog) -> None:
    """Nobody else deletes it; unless something runs still, after which QGIS does."""
    if not dialog.cancelButton().isEnabled():
        dialog.deleteLater()


def close_all() -> None:
    """Before the algorithms go: a dialog that outlives its algorithm's provider brings QGIS down."""
    for dialog in list(_open):
        dialog.close()


def fused_layer(preferred: QgsRasterLayer | None = None) -> QgsRasterLayer | None:
    """A layer that SSDiff has made: the preferred one, else the topmost."""
    layers = [preferred, *QgsProject.instance().layerTreeRoot().layerOrder()]
    return next((layer for layer in layers if isinstance(layer, QgsRasterLayer) and is_fused(layer)), None)


def is_fused(layer: QgsRasterLayer) -> bool:
    return any(SIGNED in line for line in layer.metadata().history())
