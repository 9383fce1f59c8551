"""Dialog that lists the user's own weights, with what they were adapted to, and renames and deletes them."""

from __future__ import annotations

from qgis.PyQt.QtCore import Qt, QUrl
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QInputDialog,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ...ssdiff_core.common import paths
from ...ssdiff_core.common.errors import SSDiffError
from ...ssdiff_core.common.progress import file_size
from ...ssdiff_core.weights import own_weights
from ...ssdiff_core.weights.catalogue import Entry
from ..services.i18n import tr, tr_error
from .widgets import INFO, WARNING, MessageLabel, describe


class WeightsManager(QDialog):
    """Lists, renames and deletes weights."""

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self.setWindowTitle(tr("Manage weights"))
        self.message = MessageLabel(self)
        self.table = QTableWidget(0, 6, self)
        self.rename, self.delete = QPushButton(tr("Rename…"), self), QPushButton(tr("Delete"), self)
        self._entries: list[Entry] = []
        self._lay_out()
        self.table.itemSelectionChanged.connect(self._update_buttons)
        self.rename.clicked.connect(self._ask_name)
        self.delete.clicked.connect(self._ask_delete)
        self.refresh()

    def _lay_out(self) -> None:
        labels = tr("Name"), tr("Bands"), tr("Ratio"), tr("Adapted to"), tr("Held-out error"), tr("Size")
        self.table.setHorizontalHeaderLabels(labels)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.verticalHeader().hide()
        self.table.horizontalHeader().setSectionResizeMode(3, QHeaderView.ResizeMode.Stretch)
        describe(self.table, tr("Your own weights"), tr("Weights that were adapted or imported on this computer"))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        for button in (self.rename, self.delete):
            buttons.addButton(button, QDialogButtonBox.ButtonRole.ActionRole)
        folder = buttons.addButton(tr("Open folder"), QDialogButtonBox.ButtonRole.ActionRole)
        folder.clicked.connect(_open_folder)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        for widget in (self.message, self.table, buttons):
            layout.addWidget(widget)
        self.resize(720, 320)

    def refresh(self) -> None:
        """Reads the weights again."""
        self._entries = own_weights.own_weights()
        self.table.setRowCount(len(self._entries))
        for row, entry in enumerate(self._entries):
            cells = entry.id, len(entry.bands), entry.ratio, own_weights.scenes_of(entry), own_weights.gain_of(entry)
            for column, text in enumerate((*cells, file_size(entry.size))):
                self.table.setItem(row, column, QTableWidgetItem(str(text)))
        self.table.resizeColumnsToContents()
        none = tr("There are no weights of your own yet: adapt weights to a scene, or import a file.")
        self.message.set_message("" if self._entries else none, INFO)
        self._update_buttons()

    def select(self, name: str) -> None:
        """Selects the weights with this name."""
        for item in self.table.findItems(name, Qt.MatchFlag.MatchExactly):
            self.table.selectRow(item.row())

    def _selected(self) -> Entry | None:
        rows = self.table.selectionModel().selectedRows()
        return self._entries[rows[0].row()] if rows else None

    def _update_buttons(self) -> None:
        for button in (self.rename, self.delete):
            button.setEnabled(self._selected() is not None)

    def _ask_name(self) -> None:
        entry = self._selected()
        name, given = QInputDialog.getText(
            self, tr("Rename weights"), tr("New name of {}").format(entry.id), QLineEdit.EchoMode.Normal, entry.id
        )
        if given and name != entry.id:
            self._change(lambda: own_weights.rename(entry, name))

    def _ask_delete(self) -> None:
        entry = self._selected()
        question = tr("Delete the weights {}? This cannot be undone.").format(entry.id)
        if QMessageBox.question(self, tr("Delete weights"), question) == QMessageBox.StandardButton.Yes:
            self._change(lambda: own_weights.delete(entry))

    def _change(self, change) -> None:
        try:
            change()
        except (SSDiffError, OSError) as error:
            return self.message.set_message(tr_error(error), WARNING)
        self.refresh()


def _open_folder() -> None:
    folder = paths.weights()
    folder.mkdir(parents=True, exist_ok=True)
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))
