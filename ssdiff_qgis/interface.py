"""The plugin in QGIS's main window: entries in the Raster menu, a toolbar button and the panel."""

from __future__ import annotations

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction, QToolButton

from .algorithms.base import ICON
from .panel.dock import Dock
from .panel.layer_pairs import pair_of_project
from .panel.several_scenes import SeveralScenes
from .services.dialogs import PANSHARPEN, close_all, open_dialog
from .services.i18n import tr

MENU = "SSDiff"


class Interface:
    """Actions of the plugin in the main window. The panel is created when it is first opened."""

    def __init__(self, iface):
        self._iface, self._dock = iface, None
        window, icon = iface.mainWindow(), QIcon(str(ICON))
        self.panel = QAction(icon, tr("SSDiff panel"), window)
        self.panel.setObjectName("ssdiffPanel")
        self.panel.setCheckable(True)
        self.panel.setToolTip(tr("Preview pansharpening in the map extent"))
        self.panel.toggled.connect(self._open_first_time)
        self.pansharpen = QAction(icon, tr("Pansharpen (SSDiff)…"), window)
        self.pansharpen.setObjectName("ssdiffPansharpen")
        self.pansharpen.triggered.connect(_open_for_pair)
        self.several = QAction(icon, tr("Pansharpen several scenes…"), window)
        self.several.setObjectName("ssdiffSeveral")
        self._scenes = SeveralScenes(iface.messageBar(), window)
        self.several.triggered.connect(self._scenes.open)
        self._actions = self.panel, self.pansharpen, self.several
        for action in self._actions:
            iface.addPluginToRasterMenu(MENU, action)
        self._toolbar_action = iface.addToolBarWidget(self._button())

    def _button(self) -> QToolButton:
        button = QToolButton(self._iface.mainWindow())
        button.setObjectName("ssdiffButton")
        button.setPopupMode(QToolButton.ToolButtonPopupMode.MenuButtonPopup)
        button.setDefaultAction(self.panel)
        button.addAction(self.pansharpen)
        return button

    def _open_first_time(self, visible: bool) -> None:
        self.panel.toggled.disconnect(self._open_first_time)
        self._dock = Dock(self._iface)
        self._iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self._dock)
        self._dock.setToggleVisibilityAction(self.panel)
        self._dock.setUserVisible(visible)

    def remove(self) -> None:
        """Removes everything that the plugin has added to the main window."""
        close_all()
        self._scenes.stop()
        for action in self._actions:
            self._iface.removePluginRasterMenu(MENU, action)
            action.deleteLater()
        self._iface.removeToolBarIcon(self._toolbar_action)
        if self._dock:
            self._dock.stop()
            self._iface.removeDockWidget(self._dock)
            self._dock.deleteLater()


def _open_for_pair() -> None:
    """Opens the pansharpening dialog with the PAN and MS layers of the project filled in, if there are any."""
    pair = pair_of_project()
    open_dialog(PANSHARPEN, **(dict(zip(("PANCHROMATIC", "SPECTRAL"), pair)) if pair else {}))
