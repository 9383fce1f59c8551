"""The panel: choose PAN and MS, look at what SSDiff makes of the part that the map shows, and fuse all of it."""

from __future__ import annotations

from qgis.core import QgsApplication, QgsGeometry, QgsProject, QgsRasterLayer, QgsReferencedRectangle
from qgis.gui import QgsDockWidget, QgsMapLayerComboBox, QgsRubberBand
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from ...ssdiff_core.common.errors import SSDiffError
from ...ssdiff_core.common.progress import duration
from ..services import compat, runtime
from ..services.dialogs import ADAPT, ASSESS, FUSE, INSTALL, exists, fused_layer, open_dialog
from ..services.i18n import tr
from . import layer_pairs, visible_extent
from .compare import Compare
from .preview import Made, Preview, Wanted
from .widgets import FINE, INFO, WARNING, Notice, WeightsBox

LONG = 60
"seconds from which on it is worth telling how long the whole layer takes"
FRAME = QColor(230, 120, 30)


class Dock(QgsDockWidget):
    def __init__(self, iface):
        super().__init__(tr("SSDiff"), iface.mainWindow())
        self.setObjectName("SSDiffDock")
        self._iface, self._canvas = iface, iface.mapCanvas()
        self._shown: str | None = None
        "the id of the preview's layer in the project"
        self.preview = Preview(self)
        self._make()
        self._lay_out()
        self._connect()

    # --- what there is -----------------------------------------------------------------------------------------------

    def _make(self) -> None:
        body = QWidget(self)
        self.setWidget(body)
        self.pan, self.ms = QgsMapLayerComboBox(body), QgsMapLayerComboBox(body)
        for box in (self.pan, self.ms):
            box.setFilters(compat.RASTER_LAYERS)
            box.setMinimumContentsLength(12)
            box.setSizeAdjustPolicy(box.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.weights = WeightsBox(body)
        self.fit, self.missing, self.state = Notice(body), Notice(body), Notice(body)
        self.start = QPushButton(QgsApplication.getThemeIcon("/mActionStart.svg"), tr("Preview"), body)
        self.cancel = QPushButton(QgsApplication.getThemeIcon("/mTaskCancel.svg"), tr("Cancel"), body)
        self.install = QPushButton(tr("Install runtime…"), body)
        self.progress = QProgressBar(body)
        self.compare = Compare(body)
        self.run = QPushButton(tr("Run on whole layer…"), body)
        self.assess = QPushButton(tr("Assess…"), body)
        self.adapt = QPushButton(tr("Adapt to this scene…"), body)
        self._frame = QgsRubberBand(self._canvas, compat.POLYGON)
        self._frame.setStrokeColor(FRAME)
        self._frame.setFillColor(QColor(0, 0, 0, 0))
        self._frame.setWidth(2)

    def _lay_out(self) -> None:
        self._choices = QWidget(self.widget())
        choices = QFormLayout(self._choices)
        choices.setContentsMargins(0, 0, 0, 0)
        choices.addRow(tr("Panchromatic"), self.pan)
        choices.addRow(tr("Multispectral"), self.ms)
        choices.addRow(tr("Weights"), self.weights)
        self._running = QWidget(self.widget())
        running = QHBoxLayout(self._running)
        running.setContentsMargins(0, 0, 0, 0)
        running.addWidget(self.progress, 1)
        running.addWidget(self.cancel)
        self._or = QStackedLayout()
        self._or.addWidget(self.start)
        self._or.addWidget(self._running)
        others = QHBoxLayout()
        others.addWidget(self.assess)
        others.addWidget(self.adapt)
        column = QVBoxLayout(self.widget())
        column.setSpacing(8)
        for each in (self.missing, self.install, self._choices, self.fit):
            column.addWidget(each)
        column.addLayout(self._or)
        column.addWidget(self.state)
        column.addWidget(self.compare, 1)
        column.addWidget(self.run)
        column.addLayout(others)

    def _connect(self) -> None:
        project = QgsProject.instance()
        project.layersAdded.connect(self._guess)
        project.layersRemoved.connect(self.refresh)
        self._canvas.extentsChanged.connect(self.refresh)
        self.opened.connect(self._opened)
        for box in (self.pan, self.ms):
            box.layerChanged.connect(self.refresh)
        self.fit.linkActivated.connect(self._show_layers)
        self.install.clicked.connect(self._install)
        self.start.clicked.connect(self._start)
        self.cancel.clicked.connect(self.preview.cancel)
        self.run.clicked.connect(self._run)
        self.assess.clicked.connect(self._assess)
        self.adapt.clicked.connect(self._adapt)
        self.preview.told.connect(self.state.notify)
        self.preview.progressed.connect(self._progressed)
        self.preview.begun.connect(self._begun)
        self.preview.made.connect(self._made)
        self.preview.failed.connect(self._failed)

    # --- what can be done --------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Says what a preview would do, or what is in its way."""
        if not self.isVisible():
            return
        pan, ms = self.pan.currentLayer(), self.ms.currentLayer()
        why, seen = self._obstacle(pan, ms), None
        if why:
            self.fit.notify(why, WARNING if pan and ms else INFO)
        else:
            seen = visible_extent.in_view(pan, ms, self._view(), self.preview.limit)
            self.fit.notify(self._plan(seen), FINE if seen else INFO)
        self.start.setEnabled(bool(seen) and not self.missing.text)
        self.run.setEnabled(not why)
        self.adapt.setEnabled(not why)
        self.adapt.setVisible(exists(ADAPT))
        self.assess.setEnabled(fused_layer() is not None)

    def _obstacle(self, pan: QgsRasterLayer | None, ms: QgsRasterLayer | None) -> str:
        if not pan or not ms:
            return tr("Add a panchromatic and a multispectral layer of the same ground to the project.")
        images = [layer_pairs.image_of(layer, pan.crs()) for layer in (pan, ms)]
        return layer_pairs.obstacle(*images) if all(images) else tr("One of these layers cannot be read.")

    def _plan(self, seen: visible_extent.Part | None) -> str:
        if not seen:
            return tr('The map shows nothing of these layers. <a href="zoom">Show them</a>')
        size = f"{seen.width} × {seen.height}"
        if seen.whole:
            return tr("The preview fuses what the map shows, {} pixels.").format(size)
        middle = tr("The preview fuses the middle of the map, {} pixels.")
        if self.preview.limit == visible_extent.SLOW:
            middle = tr("The preview fuses the middle of the map, {} pixels: a processor does so in seconds.")
        return middle.format(size)

    def _view(self) -> QgsReferencedRectangle:
        return QgsReferencedRectangle(self._canvas.extent(), self._canvas.mapSettings().destinationCrs())

    def _look_for_runtime(self) -> None:
        try:
            runtime.interpreter()
            self.missing.notify("")
        except SSDiffError as error:
            self.missing.notify(str(error), WARNING)
        self.install.setVisible(bool(self.missing.text) and exists(INSTALL))
        self.refresh()

    def _opened(self) -> None:
        self.weights.look()
        self._guess()
        self._look_for_runtime()

    def _guess(self) -> None:
        """Chooses layers where those that are chosen do not fit; looks once more when new ones are styled."""
        pair = (
            layer_pairs.pair_of_project() if self._obstacle(self.pan.currentLayer(), self.ms.currentLayer()) else None
        )
        for box, id in zip((self.pan, self.ms), pair or ()):
            box.setLayer(QgsProject.instance().mapLayer(id))
        QTimer.singleShot(0, self.refresh)

    def _show_layers(self) -> None:
        pan = self.pan.currentLayer()
        self._canvas.setReferencedExtent(QgsReferencedRectangle(pan.extent(), pan.crs()))
        self._canvas.refresh()

    def _install(self) -> None:
        open_dialog(INSTALL).algorithmFinished.connect(self._look_for_runtime)

    # --- the preview -------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._or.setCurrentWidget(self._running)
        self._choices.setEnabled(False)
        self.preview.start(Wanted(self.pan.currentLayer(), self.ms.currentLayer(), self.weights.value, self._view()))

    def _progressed(self, percent: float) -> None:
        self.progress.setRange(0, 0 if percent < 0 else 100)
        self.progress.setValue(round(percent))

    def _begun(self, seen: visible_extent.Part) -> None:
        self._frame.setToGeometry(QgsGeometry.fromRect(seen.box), seen.crs)

    def _ended(self) -> None:
        self._frame.reset(compat.POLYGON)
        self._or.setCurrentWidget(self.start)
        self._choices.setEnabled(True)
        self.refresh()

    def _failed(self, why: str) -> None:
        self.state.notify(why or tr("Cancelled."), WARNING if why else INFO)
        self._ended()

    def _made(self, made: Made) -> None:
        self._put_on_map(made.layer)
        self.compare.show_layers(made.compared)
        self.state.notify(self._summary(made), FINE)
        self._ended()

    def _put_on_map(self, layer: QgsRasterLayer) -> None:
        """In place of the preview before."""
        project = QgsProject.instance()
        if project.mapLayer(self._shown or ""):
            project.removeMapLayer(self._shown)
        layer.setName(tr("{} (preview)").format(layer.name()))
        self._shown = layer.id()
        project.addMapLayer(layer, False)
        project.layerTreeRoot().insertLayer(0, layer)
        for box in (self.pan, self.ms):
            box.setExceptedLayerList([layer])

    def _summary(self, made: Made) -> str:
        seen, pan = made.compared.part, made.compared.pan
        pixels = seen.width * seen.height
        size, took = f"{seen.width} × {seen.height}", duration(made.seconds)
        told = tr("{}: {} pixels in {}.").format(made.used, size, took)
        whole = made.seconds * pan.width() * pan.height() / pixels
        return f"{told} {tr('The whole layer takes about {}.').format(duration(whole))}" if whole > LONG else told

    # --- all of it ---------------------------------------------------------------------------------------------------

    def _layers(self) -> dict:
        return {"PANCHROMATIC": self.pan.currentLayer().id(), "SPECTRAL": self.ms.currentLayer().id()}

    def _run(self) -> None:
        open_dialog(FUSE, **self._layers(), WEIGHTS=self.weights.value)

    def _adapt(self) -> None:
        open_dialog(ADAPT, **self._layers(), BASE=self.weights.value).algorithmFinished.connect(self._adapted)

    def _adapted(self, done: bool, results: dict) -> None:
        """What has come of it is used next; what was cancelled may have left weights too."""
        self.weights.look()
        if results.get("WEIGHTS"):
            self.weights.take(results["WEIGHTS"])

    def _assess(self) -> None:
        open_dialog(ASSESS, INPUT=fused_layer(self._iface.activeLayer()).id())

    def stop(self) -> None:
        """Ends what runs, and takes back what is on the map."""
        self.preview.cancel()
        self.compare.forget()
        self._canvas.scene().removeItem(self._frame)
