"""SSDiff in QGIS's window: the menu Raster, a button among those of the plugins, and the panel."""

from __future__ import annotations

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction, QToolButton

from .algorithms.base import ICON
from .panel.dock import Dock
from .panel.layer_pairs import pair_of_project
from .services.dialogs import FUSE, close_all, open_dialog
from .services.i18n import tr

MENU = "SSDiff"


class Interface:
    """The panel is made when it is first wanted."""

    def __init__(self, iface):
        self._iface, self._dock = iface, None
        window, icon = iface.mainWindow(), QIcon(str(ICON))
        self.panel = QAction(icon, tr("SSDiff panel"), window)
        self.panel.setObjectName("ssdiffPanel")
        self.panel.setCheckable(True)
        self.panel.setToolTip(tr("Preview pansharpening on what the map shows"))
        self.panel.toggled.connect(self._first_wanted)
        self.fuse = QAction(icon, tr("Pansharpen (SSDiff)…"), window)
        self.fuse.setObjectName("ssdiffPansharpen")
        self.fuse.triggered.connect(_open_for_pair)
        self._actions = self.panel, self.fuse
        for action in self._actions:
            iface.addPluginToRasterMenu(MENU, action)
        self._on_bar = iface.addToolBarWidget(self._button())

    def _button(self) -> QToolButton:
        button = QToolButton(self._iface.mainWindow())
        button.setObjectName("ssdiffButton")
        button.setPopupMode(QToolButton.ToolButtonPopupMode.MenuButtonPopup)
        button.setDefaultAction(self.panel)
        button.addAction(self.fuse)
        return button

    def _first_wanted(self, wanted: bool) -> None:
        self.panel.toggled.disconnect(self._first_wanted)
        self._dock = Dock(self._iface)
        self._iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self._dock)
        self._dock.setToggleVisibilityAction(self.panel)
        self._dock.setUserVisible(wanted)

    def remove(self) -> None:
        close_all()
        for action in self._actions:
            self._iface.removePluginRasterMenu(MENU, action)
            action.deleteLater()
        self._iface.removeToolBarIcon(self._on_bar)
        if self._dock:
            self._dock.stop()
            self._iface.removeDockWidget(self._dock)
            self._dock.deleteLater()


def _open_for_pair() -> None:
    pair = pair_of_project()
    open_dialog(FUSE, **(dict(zip(("PANCHROMATIC", "SPECTRAL"), pair)) if pair else {}))
