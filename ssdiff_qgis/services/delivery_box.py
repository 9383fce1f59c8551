"""Selection of a delivery: a folder, an archive or a metadata file."""

from __future__ import annotations

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QToolButton, QWidget

from .i18n import tr


class DeliveryBox(QWidget):
    """Selects a file or a folder by typing, in a dialog, or by dropping it."""

    changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self.path = QLineEdit(self)
        self.path.setPlaceholderText(tr("Optional"))
        self.path.setClearButtonEnabled(True)
        self.path.textChanged.connect(lambda text: self.changed.emit())
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.path, 1)
        for text, browse in ((tr("File…"), self._browse_files), (tr("Folder…"), self._browse_folders)):
            button = QToolButton(self)
            button.setText(text)
            button.clicked.connect(browse)
            layout.addWidget(button)
        self.path.setAcceptDrops(False)  # it would insert the address of a file
        self.setAcceptDrops(True)

    @property
    def value(self) -> str:
        """The path, without the quotation marks of a path copied in Windows."""
        return self.path.text().strip().strip('"')

    def select(self, value: str) -> None:
        self.path.setText(value)

    def dragEnterEvent(self, event):
        if dropped_path(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event):
        self.select(dropped_path(event.mimeData()))
        event.acceptProposedAction()

    def _browse_files(self) -> None:
        file, _ = QFileDialog.getOpenFileName(self, tr("Select archive or metadata file"), self.value)
        self.select(file or self.value)

    def _browse_folders(self) -> None:
        self.select(QFileDialog.getExistingDirectory(self, tr("Select folder"), self.value) or self.value)


def dropped_path(mime) -> str:
    """Returns the path of the only local file or folder that is dragged; empty for anything else."""
    paths = [url.toLocalFile() for url in mime.urls() if url.isLocalFile()]
    return paths[0] if len(paths) == 1 else ""
