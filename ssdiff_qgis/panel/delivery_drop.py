"""Deliveries that are dropped onto the panel: PAN and MS are found, added to the project and selected."""

from __future__ import annotations

from qgis.core import QgsProject, QgsRasterLayer
from qgis.gui import QgsMessageBar
from qgis.PyQt.QtCore import QEvent, QObject

from ...ssdiff_core.common.notices import ignore
from ...ssdiff_core.deliveries.at_place import is_place, pair_at
from ...ssdiff_core.deliveries.pair import Pair
from ..services.delivery_box import dropped_path
from ..services.i18n import tr
from .search_message import Search
from .widgets import SUCCESS


class DeliveryDrop(QObject):
    """Makes the panel accept folders, archives and metadata files of deliveries that are dropped onto it."""

    def __init__(self, dock, message_bar: QgsMessageBar):
        super().__init__(dock)
        self._dock, self._search = dock, Search(message_bar)
        dock.setAcceptDrops(True)
        dock.installEventFilter(self)

    def stop(self) -> None:
        """Ends a search."""
        self._search.stop()

    def eventFilter(self, watched, event):
        if event.type() not in (QEvent.Type.DragEnter, QEvent.Type.Drop):
            return False
        path = dropped_path(event.mimeData())
        if not path or not is_place(path):
            return False
        event.acceptProposedAction()
        if event.type() == QEvent.Type.Drop:
            self._search.start(lambda watch: pair_at(path, ignore, one_file=True, watch=watch), self._open)
        return True

    def _open(self, pair: Pair) -> None:
        dock = self._dock
        layers = [QgsRasterLayer(file, f"{pair.name} {kind}") for kind, file in (("MS", pair.ms), ("PAN", pair.pan))]
        QgsProject.instance().addMapLayers(layers)
        for box, layer in zip((dock.ms, dock.pan), layers):
            box.setLayer(layer)
        dock.state.set_message(tr("{}: PAN and MS are selected.").format(pair.name), SUCCESS)
        dock.refresh()
