"""Deliveries that are dropped onto the panel: PAN and MS are found, added to the project and selected."""

from __future__ import annotations

from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QEvent, QObject, Qt
from qgis.PyQt.QtGui import QCursor, QGuiApplication

from ...ssdiff_core.common.errors import SSDiffError
from ...ssdiff_core.deliveries.at_place import is_place, pair_at
from ..services.delivery_box import dropped_path
from ..services.i18n import tr, tr_error
from .widgets import SUCCESS, WARNING


def accept_deliveries(dock) -> None:
    """Makes the panel accept folders, archives and metadata files of deliveries that are dropped onto it."""
    dock.setAcceptDrops(True)
    dock.installEventFilter(_DeliveryDrop(dock))


class _DeliveryDrop(QObject):
    def __init__(self, dock):
        super().__init__(dock)
        self._dock = dock

    def eventFilter(self, watched, event):
        if event.type() not in (QEvent.Type.DragEnter, QEvent.Type.Drop):
            return False
        path = dropped_path(event.mimeData())
        if not path or not is_place(path):
            return False
        event.acceptProposedAction()
        if event.type() == QEvent.Type.Drop:
            self._open(path)
        return True

    def _open(self, path: str) -> None:
        dock = self._dock
        QGuiApplication.setOverrideCursor(QCursor(Qt.CursorShape.WaitCursor))
        try:
            pair = pair_at(path, lambda message: None, one_file=True)
        except SSDiffError as error:
            dock.state.set_message(tr_error(error), WARNING)
            return
        finally:
            QGuiApplication.restoreOverrideCursor()
        layers = [QgsRasterLayer(file, f"{pair.name} {kind}") for kind, file in (("MS", pair.ms), ("PAN", pair.pan))]
        QgsProject.instance().addMapLayers(layers)
        for box, layer in zip((dock.ms, dock.pan), layers):
            box.setLayer(layer)
        dock.state.set_message(tr("{}: PAN and MS are selected.").format(pair.name), SUCCESS)
        dock.refresh()
