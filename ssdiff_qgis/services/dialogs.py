"""Dialogs of the plugin's algorithms, opened with parameters filled in. Their runs are in Processing's history."""

from __future__ import annotations

import qgis.utils
from qgis.core import QgsApplication, QgsProcessingContext, QgsProject, QgsRasterLayer

from .styling import HISTORY_MARK

PANSHARPEN, CLASSICAL = "ssdiff:pansharpen", "ssdiff:pansharpenclassical"
ASSESS, ADAPT, INSTALL = "ssdiff:assess", "ssdiff:adapt", "ssdiff:installruntime"

BATCH_PARTS = ("clear", "addRow", "wrappers", "parameter_to_column", "tblParameters")
"attributes of the table in QGIS's batch dialog that rows are filled in by; they are no part of QGIS's API"

_open: set = set()
"open dialogs, referenced here because Python would otherwise delete its half of them"


def exists(algorithm: str) -> bool:
    """Returns whether an algorithm with this ID is registered."""
    return QgsApplication.processingRegistry().algorithmById(algorithm) is not None


def open_dialog(algorithm: str, **parameters):
    """Shows the dialog of an algorithm without waiting for it, and returns it."""
    import processing  # not importable before QGIS has started

    return _shown(processing.createAlgorithmDialog(algorithm, parameters))


def open_batch(algorithm: str, rows: list[dict]) -> bool:
    """Shows the batch dialog of an algorithm, and returns whether the rows could be filled in.

    rows: the values of parameters and outputs by name, for each row.
    """
    from processing.gui.BatchAlgorithmDialog import BatchAlgorithmDialog  # see above

    created = QgsApplication.processingRegistry().createAlgorithmById(algorithm)
    dialog = _shown(BatchAlgorithmDialog(created, qgis.utils.iface and qgis.utils.iface.mainWindow()))
    return _fill(dialog.mainWidget(), rows)


def _fill(panel, rows: list[dict]) -> bool:
    """Replaces the rows of a batch dialog; returns False, and leaves them, if this version of QGIS has others."""
    if not all(hasattr(panel, name) for name in BATCH_PARTS):
        return False
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    panel.clear()
    for values in rows:
        panel.addRow()
        for name, value in values.items():
            column = panel.parameter_to_column[name]
            wrapper = panel.wrappers[-1][column]
            if wrapper:
                wrapper.setParameterValue(value, context)
            else:  # an output
                panel.tblParameters.cellWidget(panel.tblParameters.rowCount() - 1, column).setValue(value)
    return True


def _shown(dialog):
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
