"""Selection of a sensor by its name."""

from __future__ import annotations

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QWidget

from ...ssdiff_core.domain import sensors
from .i18n import tr

AUTO = "auto"


class SensorBox(QComboBox):
    """Selects a sensor: the list shows names, the value is an id."""

    changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        for id in (AUTO, *sensors.ids()):
            self.addItem(name_of(id), id)
        self.currentIndexChanged.connect(lambda index: self.changed.emit())

    @property
    def value(self) -> str:
        return self.currentData()

    def select(self, value: str) -> None:
        """Selects a sensor by its id."""
        self.setCurrentIndex(max(self.findData(value or AUTO), 0))


def name_of(id: str) -> str:
    """Returns the name of a sensor for lists."""
    if id == AUTO:
        return tr("auto (recognised)")
    return tr("any sensor") if id == sensors.GENERAL else sensors.get(id).label
