"""Small parts of the panel."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QSize, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QLabel, QSizePolicy, QToolButton, QWidget

from ..ssdiff_core import catalogue
from ..ssdiff_core.progress import amount
from .words import tr

FINE, WARNING, INFO = "/mIconSuccess.svg", "/mIconWarning.svg", "/mIconInfo.svg"
AUTO = "auto"


class Notice(QWidget):
    """A sentence with an icon; hidden as long as there is nothing to say. Its links come as signal."""

    linkActivated = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self._icon, self._text = QLabel(self), QLabel(self)
        self._text.setWordWrap(True)
        self._text.linkActivated.connect(self.linkActivated)
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self._text, 1)
        self.hide()

    def say(self, sentence: str, icon: str = INFO) -> None:
        side = self.fontMetrics().height()
        self._icon.setPixmap(QgsApplication.getThemeIcon(icon).pixmap(QSize(side, side)))
        self._text.setText(sentence)
        self.setVisible(bool(sentence))

    @property
    def text(self) -> str:
        return self._text.text()


class WeightsBox(QWidget):
    """Weights by what they are, or a file."""

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self.choice = QComboBox(self)
        self.choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.choice.setMinimumContentsLength(12)
        self.choice.addItem(tr("auto (best)"), AUTO)
        self.choice.setToolTip(tr("auto takes what suits sensor and bands best, and fetches it if need be"))
        browse = QToolButton(self)
        browse.setText("…")
        browse.setToolTip(tr("Weights from a file"))
        browse.clicked.connect(self._browse)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.choice, 1)
        layout.addWidget(browse)

    @property
    def value(self) -> str:
        """An id, or the path of a file."""
        return self.choice.currentData()

    def look(self) -> None:
        """What is here now, or can be fetched; what was chosen stays."""
        for entry in catalogue.known():
            place = self.choice.findData(entry.id)
            if place < 0:
                self.choice.addItem("", entry.id)
                place = self.choice.count() - 1
            self.choice.setItemText(place, _told(entry))

    def take(self, file: str) -> None:
        if self.choice.findData(file) < 0:
            self.choice.addItem(Path(file).name, file)
        self.choice.setCurrentIndex(self.choice.findData(file))

    def _browse(self) -> None:
        kind = tr("Weights (*{})").format(catalogue.SUFFIX)
        file, _ = QFileDialog.getOpenFileName(self, tr("Weights from a file"), "", kind)
        if file:
            self.take(file)


def _told(entry: catalogue.Entry) -> str:
    where = tr("{} to fetch").format(amount(entry.size)) if not entry.path else tr("here")
    return tr("{} ({} bands, ratio {}, {})").format(entry.id, len(entry.bands), entry.ratio, where)
