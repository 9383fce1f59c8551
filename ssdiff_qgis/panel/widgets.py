"""Widgets of the panel."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QAbstractListModel, QEvent, QSize, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from ...ssdiff_core.common.errors import SSDiffError
from ...ssdiff_core.common.progress import file_size
from ...ssdiff_core.weights import catalogue
from ..services.i18n import tr

SUCCESS, WARNING, INFO = "/mIconSuccess.svg", "/mIconWarning.svg", "/mIconInfo.svg"
AUTO = "auto"


def describe(widget: QWidget, name: str, text: str = "") -> None:
    """Sets the name that screen readers read, and the tooltip."""
    widget.setAccessibleName(name)
    widget.setToolTip(text or name)


class VerticalScrollArea(QScrollArea):
    """Scrolls its content vertically if there is too little room; it is never narrower than its content."""

    def __init__(self, content: QWidget, parent: QWidget | None = None):
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(content)

    def minimumSizeHint(self):
        width = self.widget().minimumSizeHint().width() + self.verticalScrollBar().sizeHint().width()
        return QSize(width, super().minimumSizeHint().height())

    def eventFilter(self, watched, event):
        """Asks for more width when the content needs it."""
        if watched is self.widget() and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)


class MessageLabel(QWidget):
    """A text with an icon, hidden while the text is empty."""

    linkActivated = pyqtSignal(str)
    "target of a link in the text"

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self._icon, self._text = QLabel(self), QLabel(self)
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextBrowserInteraction)
        self._text.linkActivated.connect(self.linkActivated)
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self._text, 1)
        self.hide()

    def set_message(self, text: str, icon: str = INFO) -> None:
        side = self.fontMetrics().height()
        self._icon.setPixmap(QgsApplication.getThemeIcon(icon).pixmap(QSize(side, side)))
        self._text.setText(text)
        self.setVisible(bool(text))

    @property
    def text(self) -> str:
        return self._text.text()


class WeightsBox(QWidget):
    """Selects weights from a list, by typing an ID or a path, or in a file dialog."""

    changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self.choice = QComboBox(self)
        self.choice.setModel(_WeightsModel(self))
        self.choice.setEditable(True)
        self.choice.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.choice.setMinimumContentsLength(12)
        text = tr("auto: the weights that fit sensor and bands best, downloaded if necessary")
        describe(self.choice, tr("Weights"), text)
        self.choice.editTextChanged.connect(self.changed)
        browse = QToolButton(self)
        browse.setText("…")
        describe(browse, tr("Select weights file"))
        browse.clicked.connect(self._browse)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.choice, 1)
        layout.addWidget(browse)
        self.refresh()

    @property
    def value(self) -> str:
        """The ID of the weights, or the path of a file, without the quotation marks of a path copied in Windows."""
        return self.choice.currentText().strip().strip('"') or AUTO

    def refresh(self) -> None:
        """Updates the list of weights and keeps the selection."""
        selected = self.value
        self.choice.model().refresh()
        self.choice.view().setMinimumWidth(self.choice.view().sizeHintForColumn(0))
        self.select(selected)

    def entry(self) -> catalogue.Entry | None:
        """Returns the selected weights; None for auto, and if they cannot be read."""
        entries = {entry.id: entry for entry in self.choice.model().entries}
        if self.value in entries or self.value == AUTO:
            return entries.get(self.value)
        try:
            return catalogue.entry_of(Path(self.value))
        except (SSDiffError, OSError, ValueError):
            return None

    def select(self, value: str) -> None:
        """Selects weights by their ID or path."""
        self.choice.setCurrentIndex(self.choice.findData(value, Qt.ItemDataRole.EditRole))
        self.choice.setEditText(value)

    def _browse(self) -> None:
        file_filter = tr("Weights (*{})").format(catalogue.SUFFIX)
        file, _ = QFileDialog.getOpenFileName(self, tr("Select weights file"), "", file_filter)
        if file:
            self.select(file)


class _WeightsModel(QAbstractListModel):
    """Known weights: the list shows a description, the line edit only the ID."""

    def __init__(self, parent):
        super().__init__(parent)
        self._rows: list[tuple[str, str]] = []
        self.entries: list[catalogue.Entry] = []

    def refresh(self) -> None:
        self.beginResetModel()
        self.entries = catalogue.known()
        self._rows = [(AUTO, tr("auto (best)")), *((entry.id, _description(entry)) for entry in self.entries)]
        self.endResetModel()

    def rowCount(self, parent=None):
        return len(self._rows)

    def data(self, index, role=Qt.ItemDataRole.DisplayRole):
        if not index.isValid():
            return None
        id, description = self._rows[index.row()]
        return {Qt.ItemDataRole.EditRole: id, Qt.ItemDataRole.DisplayRole: description}.get(role)


def _description(entry: catalogue.Entry) -> str:
    state = tr("installed") if entry.path else tr("{} to download").format(file_size(entry.size))
    return tr("{} ({} bands, ratio {}, {})").format(entry.id, len(entry.bands), entry.ratio, state)
