"""Pansharpening of several scenes: those of the project or of a folder become the rows of Processing's batch dialog."""

from __future__ import annotations

import re
from pathlib import Path

from qgis.core import QgsProject
from qgis.gui import QgsFileWidget, QgsMessageBar
from qgis.PyQt.QtWidgets import QDialog, QDialogButtonBox, QFormLayout, QRadioButton, QWidget

from ...ssdiff_core.common.notices import Notify
from ...ssdiff_core.deliveries import Delivery, find_scenes
from ...ssdiff_core.deliveries.at_place import cached_pair, place_of
from ..services.dialogs import PANSHARPEN, open_batch
from ..services.i18n import tr
from .layer_pairs import pairs_of_project
from .search_message import TITLE, Search

MAXIMUM_NAME = 80
"characters of a scene's name in the name of its output file"
PATH_WIDTH = 350
"least width of paths, in pixels"


class SceneChooser(QDialog):
    """Asks where the scenes are and where the results go."""

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self.setWindowTitle(tr("Pansharpen several scenes"))
        self.project = QRadioButton(tr("Layers of the project"), self)
        self.deliveries = QRadioButton(tr("Deliveries in the folder"), self)
        self.folder, self.results = QgsFileWidget(self), QgsFileWidget(self)
        for widget in (self.folder, self.results):
            widget.setMinimumWidth(PATH_WIDTH)
            widget.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
            widget.fileChanged.connect(lambda path: self._check())
        self.deliveries.toggled.connect(lambda chosen: self._check())
        standard = QDialogButtonBox.StandardButton
        self.buttons = QDialogButtonBox(standard.Ok | standard.Cancel, self)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        layout = QFormLayout(self)
        layout.addRow(self.project)
        layout.addRow(self.deliveries, self.folder)
        layout.addRow(tr("Folder for the results"), self.results)
        layout.addRow(self.buttons)
        self.results.setFilePath(QgsProject.instance().homePath())
        (self.project if pairs_of_project() else self.deliveries).setChecked(True)
        self._check()

    def _check(self) -> None:
        """Enables what can be used."""
        self.folder.setEnabled(self.deliveries.isChecked())
        complete = self.results.filePath() and (self.project.isChecked() or self.folder.filePath())
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(bool(complete))


class SeveralScenes:
    """Asks for scenes and opens the batch dialog with a row for each; messages tell what could not be done."""

    def __init__(self, message_bar: QgsMessageBar, parent: QWidget | None = None):
        self._message_bar, self._parent = message_bar, parent
        self._search = Search(message_bar)

    def open(self) -> None:
        chooser = SceneChooser(self._parent)
        accepted = chooser.exec()
        chooser.deleteLater()
        if not accepted:
            return
        folder, results = chooser.folder.filePath(), chooser.results.filePath()
        if chooser.project.isChecked():
            self._open_batch(_project_scenes(), results)
        else:
            self._search.start(lambda watch: _folder_scenes(folder, watch), lambda found: self._found(found, results))

    def stop(self) -> None:
        """Ends a search."""
        self._search.stop()

    def _found(self, found: tuple[list[tuple[str, dict]], int], results: str) -> None:
        scenes, unusable = found
        if scenes and unusable:
            text = tr("Scenes left out because they are incomplete or damaged: {}. ssdiff scenes lists the reasons.")
            self._message_bar.pushInfo(TITLE, text.format(unusable))
        self._open_batch(scenes, results)

    def _open_batch(self, scenes: list[tuple[str, dict]], results: str) -> None:
        if not scenes:
            self._message_bar.pushWarning(TITLE, tr("No scenes with PAN and MS that can be fused were found."))
            return
        files = _output_files(results, [name for name, _ in scenes])
        rows = [{**values, "OUTPUT": file} for (_, values), file in zip(scenes, files)]
        if not open_batch(PANSHARPEN, rows):
            text = tr("This version of QGIS does not let plugins fill in the batch dialog.")
            self._message_bar.pushWarning(TITLE, text)


def _project_scenes() -> list[tuple[str, dict]]:
    """Returns the name of each scene of the project and the parameters that select it."""
    return [(ms.name, {"SPECTRAL": ms.id, "PANCHROMATIC": pan.id}) for pan, ms in pairs_of_project()]


def _folder_scenes(folder: str, watch: Notify) -> tuple[list[tuple[str, dict]], int]:
    """Returns the same for the deliveries in a folder that can be fused, and the number of others."""
    found = find_scenes([folder], watch=watch)
    complete = [delivery for delivery in found if delivery.complete]
    selecting = [(each.name, _selecting(each, [other for other in complete if other is not each])) for each in complete]
    return selecting, len(found) - len(complete)


def _selecting(delivery: Delivery, others: list[Delivery]) -> dict:
    """Returns the parameters that select a delivery: its place, or its files if others are at the same place."""
    place = place_of(delivery, others)
    if place:
        return {"DELIVERY": place, "SPECTRAL": None, "PANCHROMATIC": None}
    pair = cached_pair(delivery, one_file=True)
    return {"SPECTRAL": pair.ms, "PANCHROMATIC": pair.pan, "SENSOR": pair.sensor}


def _output_files(folder: str, names: list[str]) -> list[str]:
    """Returns an output file for each scene, with a number where the name is taken."""
    files: list[Path] = []
    for name in names:
        stem = re.sub(r"[^\w.-]+", "_", name)[:MAXIMUM_NAME].strip("._") or "scene"
        file, number = Path(folder, f"{stem}_pansharpened.tif"), 2
        while file in files or file.exists():
            file, number = Path(folder, f"{stem}_pansharpened_{number}.tif"), number + 1
        files.append(file)
    return [str(file) for file in files]
