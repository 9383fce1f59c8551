"""Small parts of the panel."""

from __future__ import annotations

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QAbstractListModel, QSize, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QLabel, QSizePolicy, QToolButton, QWidget

from ...ssdiff_core.common.progress import amount
from ...ssdiff_core.weights import catalogue
from ..services.i18n import tr

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

    def notify(self, sentence: str, icon: str = INFO) -> None:
        side = self.fontMetrics().height()
        self._icon.setPixmap(QgsApplication.getThemeIcon(icon).pixmap(QSize(side, side)))
        self._text.setText(sentence)
        self.setVisible(bool(sentence))

    @property
    def text(self) -> str:
        return self._text.text()


class WeightsBox(QWidget):
    """Weights: chosen among those that are known, or a file, written or looked for."""

    changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self.choice = QComboBox(self)
        self.choice.setModel(_Known(self))
        self.choice.setEditable(True)
        self.choice.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.choice.setMinimumContentsLength(12)
        self.choice.setToolTip(tr("auto takes what suits sensor and bands best, and fetches it if need be"))
        self.choice.editTextChanged.connect(self.changed)
        browse = QToolButton(self)
        browse.setText("…")
        browse.setToolTip(tr("Weights from a file"))
        browse.clicked.connect(self._browse)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.choice, 1)
        layout.addWidget(browse)
        self.look()

    @property
    def value(self) -> str:
        """An id, or the path of a file, which Windows copies in quotation marks."""
        return self.choice.currentText().strip().strip('"') or AUTO

    def look(self) -> None:
        """What is here now, or can be fetched; what was chosen stays."""
        chosen = self.value
        self.choice.model().look()
        self.choice.view().setMinimumWidth(self.choice.view().sizeHintForColumn(0))
        self.take(chosen)

    def take(self, value: str) -> None:
        self.choice.setCurrentIndex(self.choice.findData(value, Qt.ItemDataRole.EditRole))
        self.choice.setEditText(value)

    def _browse(self) -> None:
        kind = tr("Weights (*{})").format(catalogue.SUFFIX)
        file, _ = QFileDialog.getOpenFileName(self, tr("Weights from a file"), "", kind)
        if file:
            self.take(file)


class _Known(QAbstractListModel):
    """Weights, in the list with what they are, and by their id alone once chosen."""

    def __init__(self, parent):
        super().__init__(parent)
        self._told: list[tuple[str, str]] = []

    def look(self) -> None:
        self.beginResetModel()
        self._told = [(AUTO, tr("auto (best)")), *((entry.id, _told(entry)) for entry in catalogue.known())]
        self.endResetModel()

    def rowCount(self, parent=None):
        return len(self._told)

    def data(self, index, role=Qt.ItemDataRole.DisplayRole):
        if not index.isValid():
            return None
        id, told = self._told[index.row()]
        return {Qt.ItemDataRole.EditRole: id, Qt.ItemDataRole.DisplayRole: told}.get(role)


def _told(entry: catalogue.Entry) -> str:
    where = tr("{} to fetch").format(amount(entry.size)) if not entry.path else tr("here")
    return tr("{} ({} bands, ratio {}, {})").format(entry.id, len(entry.bands), entry.ratio, where)
