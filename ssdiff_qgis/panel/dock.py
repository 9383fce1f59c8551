"""The SSDiff panel: select PAN and MS, preview pansharpening in the map extent, and open the algorithms' dialogs."""

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
from ..services.dialogs import ADAPT, ASSESS, INSTALL, PANSHARPEN, exists, fused_layer, open_dialog
from ..services.i18n import tr
from . import layer_pairs, visible_extent
from .compare import Compare
from .delivery_drop import accept_deliveries
from .preview import Preview, PreviewRequest, PreviewResult
from .widgets import INFO, SUCCESS, WARNING, MessageLabel, WeightsBox

LONG_RUN = 60
"seconds from which on the panel shows how long the whole layer would take"
FRAME_COLOUR = QColor(230, 120, 30)
"outline of the preview on the map"


class Dock(QgsDockWidget):
    """The dock widget of the panel."""

    def __init__(self, iface):
        super().__init__(tr("SSDiff"), iface.mainWindow())
        self.setObjectName("SSDiffDock")
        self._iface, self._canvas = iface, iface.mapCanvas()
        self._preview_layer: str | None = None
        "ID of the preview layer in the project"
        self.preview = Preview(self)
        self._create_widgets()
        self._lay_out()
        self._connect()
        accept_deliveries(self)

    # --- widgets -----------------------------------------------------------------------------------------------------

    def _create_widgets(self) -> None:
        body = QWidget(self)
        self.setWidget(body)
        self.pan, self.ms = QgsMapLayerComboBox(body), QgsMapLayerComboBox(body)
        for box in (self.pan, self.ms):
            box.setFilters(compat.RASTER_LAYERS)
            box.setMinimumContentsLength(12)
            box.setSizeAdjustPolicy(box.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.weights = WeightsBox(body)
        self.fit, self.missing, self.state = MessageLabel(body), MessageLabel(body), MessageLabel(body)
        self.start = QPushButton(QgsApplication.getThemeIcon("/mActionStart.svg"), tr("Preview"), body)
        self.cancel = QPushButton(QgsApplication.getThemeIcon("/mTaskCancel.svg"), tr("Cancel"), body)
        self.install = QPushButton(tr("Install runtime…"), body)
        self.progress = QProgressBar(body)
        self.compare = Compare(body)
        self.run = QPushButton(tr("Pansharpen whole layer…"), body)
        self.assess = QPushButton(tr("Assess…"), body)
        self.adapt = QPushButton(tr("Adapt to this scene…"), body)
        self._frame = QgsRubberBand(self._canvas, compat.POLYGON)
        self._frame.setStrokeColor(FRAME_COLOUR)
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
        self._start_or_progress = QStackedLayout()
        self._start_or_progress.addWidget(self.start)
        self._start_or_progress.addWidget(self._running)
        others = QHBoxLayout()
        others.addWidget(self.assess)
        others.addWidget(self.adapt)
        column = QVBoxLayout(self.widget())
        column.setSpacing(8)
        for widget in (self.missing, self.install, self._choices, self.fit):
            column.addWidget(widget)
        column.addLayout(self._start_or_progress)
        column.addWidget(self.state)
        column.addWidget(self.compare, 1)
        column.addWidget(self.run)
        column.addLayout(others)

    def _connect(self) -> None:
        project = QgsProject.instance()
        project.layersAdded.connect(self._select_pair)
        project.layersRemoved.connect(self._layers_removed)
        self._canvas.extentsChanged.connect(self.refresh)
        self.opened.connect(self._panel_opened)
        for box in (self.pan, self.ms):
            box.layerChanged.connect(self.refresh)
        self.fit.linkActivated.connect(self._show_layers)
        self.install.clicked.connect(self._install)
        self.start.clicked.connect(self._start)
        self.cancel.clicked.connect(self.preview.cancel)
        self.run.clicked.connect(self._run)
        self.assess.clicked.connect(self._assess)
        self.adapt.clicked.connect(self._adapt)
        self.preview.statusChanged.connect(self.state.set_message)
        self.preview.progressChanged.connect(self._show_progress)
        self.preview.extentChosen.connect(self._show_frame)
        self.preview.succeeded.connect(self._preview_succeeded)
        self.preview.failed.connect(self._preview_failed)

    # --- state -------------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Updates the messages and enables the buttons that can be used with the selected layers."""
        if not self.isVisible():
            return
        pan, ms = self.pan.currentLayer(), self.ms.currentLayer()
        problem, extent = self._problem(pan, ms), None
        if problem:
            self.fit.set_message(problem, WARNING if pan and ms else INFO)
        else:
            extent = visible_extent.preview_extent(pan, ms, self._view(), self.preview.maximum)
            self.fit.set_message(self._extent_message(extent), SUCCESS if extent else INFO)
        self.start.setEnabled(bool(extent) and not self.missing.text)
        self.run.setEnabled(not problem)
        self.adapt.setEnabled(not problem)
        self.adapt.setVisible(exists(ADAPT))
        self.assess.setEnabled(fused_layer() is not None)

    def _problem(self, pan: QgsRasterLayer | None, ms: QgsRasterLayer | None) -> str:
        """Returns why the selected layers cannot be pansharpened; empty if they can."""
        if not pan or not ms:
            return tr("Add a panchromatic and a multispectral layer of the same area to the project.")
        layers = [layer_pairs.info_of(layer, pan.crs()) for layer in (pan, ms)]
        if not all(layers):
            return tr("One of the layers is invalid or cannot be transformed to the CRS of the other.")
        return layer_pairs.problem(*layers)

    def _extent_message(self, extent: visible_extent.PreviewExtent | None) -> str:
        if not extent:
            return tr('The layers are outside the map extent. <a href="zoom">Zoom to layers</a>')
        size = f"{extent.width} × {extent.height}"
        if extent.complete:
            return tr("The preview covers the map extent, {} pixels.").format(size)
        centre = tr("The preview covers the centre of the map, {} pixels.")
        if self.preview.maximum == visible_extent.PIXELS_CPU:
            centre = tr("The preview covers the centre of the map, {} pixels, which a CPU processes within seconds.")
        return centre.format(size)

    def _view(self) -> QgsReferencedRectangle:
        return QgsReferencedRectangle(self._canvas.extent(), self._canvas.mapSettings().destinationCrs())

    def _check_runtime(self) -> None:
        """Shows a warning and the install button if there is no Python with PyTorch."""
        try:
            runtime.interpreter()
            self.missing.set_message("")
        except SSDiffError as error:
            self.missing.set_message(str(error), WARNING)
        self.install.setVisible(bool(self.missing.text) and exists(INSTALL))
        self.refresh()

    def _panel_opened(self) -> None:
        self.weights.refresh()
        self._select_pair()
        self._check_runtime()

    def _select_pair(self) -> None:
        """Selects a PAN and an MS layer of the project, unless those that are selected fit."""
        pair = None
        if self._problem(self.pan.currentLayer(), self.ms.currentLayer()):
            pair = layer_pairs.pair_of_project()
        for box, id in zip((self.pan, self.ms), pair or ()):
            box.setLayer(QgsProject.instance().mapLayer(id))
        QTimer.singleShot(0, self.refresh)  # after new layers have been set up completely

    def _show_layers(self) -> None:
        pan = self.pan.currentLayer()
        self._canvas.setReferencedExtent(QgsReferencedRectangle(pan.extent(), pan.crs()))
        self._canvas.refresh()

    def _install(self) -> None:
        open_dialog(INSTALL).algorithmFinished.connect(self._check_runtime)

    # --- preview -----------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._start_or_progress.setCurrentWidget(self._running)
        self._choices.setEnabled(False)
        pan, ms = self.pan.currentLayer(), self.ms.currentLayer()
        self.preview.start(PreviewRequest(pan, ms, self.weights.value, self._view()))

    def _show_progress(self, percent: float) -> None:
        self.progress.setRange(0, 0 if percent < 0 else 100)
        self.progress.setValue(round(percent))

    def _show_frame(self, extent: visible_extent.PreviewExtent) -> None:
        self._frame.setToGeometry(QgsGeometry.fromRect(extent.box), extent.crs)

    def _preview_ended(self) -> None:
        self._frame.reset(compat.POLYGON)
        self._start_or_progress.setCurrentWidget(self.start)
        self._choices.setEnabled(True)
        self.refresh()

    def _preview_failed(self, error: str) -> None:
        self.state.set_message(error or tr("Cancelled."), WARNING if error else INFO)
        self._preview_ended()

    def _preview_succeeded(self, result: PreviewResult) -> None:
        self._add_to_map(result.output)
        self.compare.show_layers(result.layers)
        self.state.set_message(self._summary(result), SUCCESS)
        self._preview_ended()

    def _add_to_map(self, layer: QgsRasterLayer) -> None:
        """Adds the layer at the top of the project, in place of the previous preview."""
        project = QgsProject.instance()
        if project.mapLayer(self._preview_layer or ""):
            project.removeMapLayer(self._preview_layer)
        layer.setName(tr("{} (preview)").format(layer.name()))
        self._preview_layer = layer.id()
        project.addMapLayer(layer, False)
        project.layerTreeRoot().insertLayer(0, layer)
        for box in (self.pan, self.ms):
            box.setExceptedLayerList([layer])

    def _layers_removed(self, layers: list[str]) -> None:
        """Forgets the preview layer: QGIS would go on comparing new layers with an address that is no longer its."""
        if self._preview_layer in layers:
            self._preview_layer = None
            for box in (self.pan, self.ms):
                box.setExceptedLayerList([])
        self.refresh()

    def _summary(self, result: PreviewResult) -> str:
        """Returns size and duration of the preview, and an estimate for the whole layer if that takes long."""
        extent, pan = result.layers.extent, result.layers.pan
        size = f"{extent.width} × {extent.height}"
        summary = tr("{}: {} pixels in {}.").format(result.weights, size, duration(result.seconds))
        seconds = result.seconds * pan.width() * pan.height() / (extent.width * extent.height)
        if seconds <= LONG_RUN:
            return summary
        return f"{summary} {tr('The whole layer would take about {}.').format(duration(seconds))}"

    # --- dialogs of the algorithms -----------------------------------------------------------------------------------

    def _layers(self) -> dict:
        return {"PANCHROMATIC": self.pan.currentLayer().id(), "SPECTRAL": self.ms.currentLayer().id()}

    def _run(self) -> None:
        open_dialog(PANSHARPEN, **self._layers(), WEIGHTS=self.weights.value)

    def _adapt(self) -> None:
        open_dialog(ADAPT, **self._layers(), BASE=self.weights.value).algorithmFinished.connect(self._adapted)

    def _adapted(self, done: bool, results: dict) -> None:
        """Selects the adapted weights. Also after cancelling, which may leave new weights in the list."""
        self.weights.refresh()
        if results.get("WEIGHTS"):
            self.weights.select(results["WEIGHTS"])

    def _assess(self) -> None:
        open_dialog(ASSESS, INPUT=fused_layer(self._iface.activeLayer()).id())

    def stop(self) -> None:
        """Cancels a running preview and removes its frame from the map."""
        self.preview.stop()
        self.compare.stop()
        self._canvas.scene().removeItem(self._frame)
