"""The SSDiff panel: select PAN and MS, preview pansharpening in the map extent, and open the algorithms' dialogs."""

from __future__ import annotations

import html
import math

from qgis.core import QgsApplication, QgsGeometry, QgsProject, QgsRasterLayer, QgsReferencedRectangle
from qgis.gui import QgsDockWidget, QgsMapLayerComboBox, QgsRubberBand
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QStackedLayout,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ...ssdiff_core.common.errors import NoPythonError
from ...ssdiff_core.common.progress import duration
from ...ssdiff_core.domain.methods import LABELS
from ...ssdiff_core.domain.options import DEFAULT_PRESET
from ...ssdiff_core.domain.sensors import GENERAL
from ..algorithms.base import path_of
from ..services import compat, runtime
from ..services.dialogs import ADAPT, ASSESS, CLASSICAL, INSTALL, PANSHARPEN, exists, fused_layer, is_fused, open_dialog
from ..services.i18n import tr, tr_notice
from ..services.sample import add_sample
from ..services.tasks import EstimatePresets
from . import layer_pairs, visible_extent
from .compare import Compare
from .delivery_drop import DeliveryDrop
from .presets import CLASSICAL_PRESET, PresetBox
from .preview import BEST_CLASSICAL, Preview, PreviewRequest, PreviewResult
from .weights_manager import WeightsManager
from .welcome import Welcome
from .widgets import AUTO, INFO, SUCCESS, WARNING, MessageLabel, VerticalScrollArea, WeightsBox, describe

ESTIMATE_DELAY = 300
"milliseconds between a change and the estimate of the time"
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
        self._scene: tuple[str, ...] = ("", "")
        "IDs of the layers that the panel shows the state of"
        self._chosen: tuple[str, ...] = ("", "")
        "the same, before layers that are being removed have left the lists"
        self._adapted_weights = ""
        "ID of the weights that were adapted to this scene from the panel"
        self.preview = Preview(self)
        self._create_widgets()
        self._lay_out()
        self._connect()
        self._delivery_drop = DeliveryDrop(self, iface.messageBar())

    # --- widgets -----------------------------------------------------------------------------------------------------

    def _create_widgets(self) -> None:
        self._body = body = QWidget(self)
        self.setWidget(VerticalScrollArea(body, self))
        self.pan, self.ms = QgsMapLayerComboBox(body), QgsMapLayerComboBox(body)
        for box in (self.pan, self.ms):
            box.setFilters(compat.RASTER_LAYERS)
            box.setMinimumContentsLength(12)
            box.setSizeAdjustPolicy(box.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.weights = WeightsBox(body)
        self.manage = QToolButton(body)
        self.manage.setIcon(QgsApplication.getThemeIcon("/mActionOptions.svg"))
        self.fit, self.missing, self.state, self.details = (MessageLabel(body) for _ in range(4))
        self.welcome = Welcome(body)
        self.start = QPushButton(QgsApplication.getThemeIcon("/mActionStart.svg"), tr("Preview"), body)
        self.cancel = QPushButton(QgsApplication.getThemeIcon("/mTaskCancel.svg"), tr("Cancel"), body)
        self.install = QPushButton(tr("Install runtime…"), body)
        self.presets, self.estimate = PresetBox(body), MessageLabel(body)
        self.progress = QProgressBar(body)
        self.compare = Compare(self._canvas, body)
        self.run = QPushButton(tr("Pansharpen whole layer…"), body)
        self.assess = QPushButton(tr("Assess…"), body)
        self.adapt = QPushButton(tr("Adapt to this scene…"), body)
        self._frame = QgsRubberBand(self._canvas, compat.POLYGON)
        self._frame.setStrokeColor(FRAME_COLOUR)
        self._frame.setFillColor(QColor(0, 0, 0, 0))
        self._frame.setWidth(2)
        self._describe_widgets()

    def _describe_widgets(self) -> None:
        """Sets accessible names and tooltips."""
        describe(self.pan, tr("Panchromatic layer"), tr("Layer with one band and fine pixels"))
        describe(self.ms, tr("Multispectral layer"), tr("Layer of the same area with several bands and coarse pixels"))
        describe(self.manage, tr("Manage weights"), tr("List, rename and delete your own weights"))
        describe(self.install, tr("Install runtime"), tr("Installs PyTorch, which the network needs, beside QGIS"))
        describe(self.start, tr("Preview"), tr("Pansharpens the visible part of the map and adds it as a layer"))
        describe(self.cancel, tr("Cancel"), tr("Ends the preview; a result without adapting is kept"))
        describe(self.progress, tr("Progress of the preview"))
        describe(
            self.run, tr("Pansharpen whole layer"), tr("Opens the dialog to pansharpen the whole scene into a file")
        )
        describe(self.assess, tr("Assess"), tr("Opens the dialog to measure the quality of a pansharpened layer"))
        describe(
            self.adapt, tr("Adapt to this scene"), tr("Opens the dialog to train weights on this scene for longer")
        )

    def _lay_out(self) -> None:
        self._choices = QWidget(self._body)
        choices = QFormLayout(self._choices)
        choices.setContentsMargins(0, 0, 0, 0)
        choices.addRow(tr("Panchromatic"), self.pan)
        choices.addRow(tr("Multispectral"), self.ms)
        weights = QHBoxLayout()
        weights.addWidget(self.weights, 1)
        weights.addWidget(self.manage)
        choices.addRow(tr("Weights"), weights)
        choices.addRow(tr("Preset"), self.presets)
        self._running = QWidget(self._body)
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
        column = QVBoxLayout(self._body)
        column.setSpacing(8)
        for widget in (self.missing, self.install, self._choices, self.fit):
            column.addWidget(widget)
        column.addLayout(self._start_or_progress)
        for widget in (self.state, self.details):
            column.addWidget(widget)
        column.addWidget(self.compare, 1)
        column.addWidget(self.welcome, 1)
        column.addWidget(self.estimate)
        column.addWidget(self.run)
        column.addLayout(others)

    def _connect(self) -> None:
        project = QgsProject.instance()
        project.layersAdded.connect(self._layers_added)
        project.layersRemoved.connect(self._layers_removed)
        self._canvas.extentsChanged.connect(self.refresh)
        self.opened.connect(self._panel_opened)
        for box in (self.pan, self.ms):
            box.layerChanged.connect(self._scene_changed)
        self.welcome.sampleRequested.connect(self._load_sample)
        self.manage.clicked.connect(self._manage_weights)
        self._estimate_timer = QTimer(self, singleShot=True, interval=ESTIMATE_DELAY)
        self._estimate_timer.timeout.connect(self._start_estimate)
        self.weights.changed.connect(self._estimate_timer.start)
        self.presets.currentIndexChanged.connect(self._show_estimate)
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
        self.welcome.setVisible(not pan and not ms)
        self.compare.setVisible(not self.welcome.isVisibleTo(self._body))
        if problem:
            self.fit.set_message(problem, WARNING if pan and ms else INFO)
        else:
            extent = visible_extent.preview_extent(pan, ms, self._view(), self.preview.maximum)
            self.fit.set_message(self._extent_message(extent), SUCCESS if extent else INFO)
        self.start.setEnabled(bool(extent))
        self.run.setEnabled(not problem)
        self.adapt.setEnabled(not problem and self._has_runtime)
        self.adapt.setVisible(exists(ADAPT))
        self.estimate.setVisible(not problem and bool(self.estimate.text))
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

    @property
    def _has_runtime(self) -> bool:
        return not self.missing.text

    def _check_runtime(self) -> None:
        """Says what the runtime would add, and shows the install button, if there is no Python with PyTorch."""
        try:
            runtime.interpreter()
            self.missing.set_message("")
        except NoPythonError:
            text = tr(
                "The runtime for the network SSDiff is not installed. Until then, previews and results are made with "
                "the classical method MTF-GLP-FS. The network adapts to each scene; on ten real scenes its error "
                "was 4 to 30 % below that of the best classical method, even without that."
            )
            self.missing.set_message(text, INFO)
        self.install.setVisible(bool(self.missing.text) and exists(INSTALL))
        for widget in (self.weights, self.manage, self.presets):
            widget.setEnabled(self._has_runtime)
        self.presets.select(DEFAULT_PRESET if self._has_runtime else CLASSICAL_PRESET)
        self._estimate_timer.start()
        self.refresh()

    def _panel_opened(self) -> None:
        self.weights.refresh()
        self._select_pair()
        self._check_runtime()

    # --- scene -------------------------------------------------------------------------------------------------------

    def _select_pair(self, anew: bool = False) -> None:
        """Selects a PAN and an MS layer of the project, unless those that are selected fit. anew: in any case."""
        pair = None
        if anew or self._problem(self.pan.currentLayer(), self.ms.currentLayer()):
            pair = layer_pairs.pair_of_project()
        for box, id in zip((self.pan, self.ms), pair or ()):
            box.setLayer(QgsProject.instance().mapLayer(id))
        QTimer.singleShot(0, self.refresh)  # after new layers have been set up completely

    def _selected_ids(self) -> tuple[str, ...]:
        layers = self.pan.currentLayer(), self.ms.currentLayer()
        return tuple(layer.id() if layer else "" for layer in layers)

    def _scene_changed(self) -> None:
        """Forgets what belongs to the scene that was selected before."""
        selected = self._selected_ids()
        if selected != self._scene:
            self._scene = selected
            self.compare.clear()
            for label in (self.state, self.details):
                label.set_message("")
            self._check_weights()
            self.presets.show_estimates({})
            self._show_estimate()
            self._estimate_timer.start()
            QTimer.singleShot(0, self._remember_choice)
        self.refresh()

    def _remember_choice(self) -> None:
        self._chosen = self._scene

    def _check_weights(self) -> None:
        """Selects auto, with a word, if the selected weights do not fit the scene or were adapted to another one."""
        ms, entry, value = self.ms.currentLayer(), self.weights.entry(), self.weights.value
        if not entry or not ms:
            return
        fits = entry.sensor == GENERAL or len(entry.bands) == ms.bandCount()
        if not fits or value == self._adapted_weights:
            self.weights.select(AUTO)
            self._adapted_weights = ""
            text = tr("The weights {} do not belong to this scene: auto is selected instead.")
            self.state.set_message(text.format(value), INFO)

    def _start_estimate(self) -> None:
        """Estimates in the background how long the whole layer takes with each preset."""
        pan, ms = self.pan.currentLayer(), self.ms.currentLayer()
        if self.isVisible() and not self._problem(pan, ms):
            scene = self._scene

            def show(task: EstimatePresets) -> None:
                if not sip.isdeleted(self) and scene == self._scene:  # the plugin may be unloaded meanwhile
                    self.presets.show_estimates(task.found)
                    self._show_estimate()

            EstimatePresets(path_of(pan), path_of(ms), self.weights.value, show).start()

    def _show_estimate(self) -> None:
        found = self.presets.estimate
        self.estimate.set_message(tr_notice(found.notice) if found else "", INFO)

    def _layers_added(self, layers: list) -> None:
        self._select_pair()
        ids = [layer.id() for layer in layers]
        QTimer.singleShot(0, lambda: self._place_preview(ids))  # after Processing has recorded their history

    def _place_preview(self, added: list[str]) -> None:
        """Moves the preview layer below a finished result."""
        project = QgsProject.instance()
        root, preview = project.layerTreeRoot(), project.mapLayer(self._preview_layer or "")
        results = [project.mapLayer(id) for id in added if id != self._preview_layer]
        results = [layer for layer in results if isinstance(layer, QgsRasterLayer) and is_fused(layer)]
        order = root.layerOrder()
        if not preview or not results or order.index(preview) > order.index(results[0]):
            return
        node, result = root.findLayer(preview), root.findLayer(results[0])
        parent = result.parent()
        parent.insertChildNode(parent.children().index(result) + 1, node.clone())
        node.parent().removeChildNode(node)

    def _load_sample(self) -> None:
        """Adds the sample scene to the project, with natural colours, and zooms to it."""
        add_sample()
        self._select_pair()
        self._show_layers()

    def _manage_weights(self) -> None:
        dialog = WeightsManager(self)
        dialog.select(self.weights.value)
        dialog.exec()
        selected = self.weights.entry()
        self.weights.refresh()
        if selected and not self.weights.entry():  # renamed or deleted
            self.weights.select(AUTO)

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
        self.details.set_message("")
        self.preview.start(PreviewRequest(pan, ms, self.weights.value, self._view(), self._has_runtime))

    def _show_progress(self, percent: float) -> None:
        self.progress.setRange(0, 0 if percent < 0 else 100)
        self.progress.setValue(round(percent))

    def _show_frame(self, extent: visible_extent.PreviewExtent) -> None:
        self._frame.setToGeometry(QgsGeometry.fromRect(extent.box), extent.crs)

    def _preview_ended(self) -> None:
        self._estimate_timer.start()  # the preview has measured speeds
        self._frame.reset(compat.POLYGON)
        self._start_or_progress.setCurrentWidget(self.start)
        self._choices.setEnabled(True)
        self.refresh()

    def _preview_failed(self, error: str) -> None:
        self.state.set_message(error or tr("Cancelled."), WARNING if error else INFO)
        self._preview_ended()

    def _preview_succeeded(self, result: PreviewResult) -> None:
        self._add_to_map(result)
        self.compare.show_layers(result.layers)
        self.state.set_message(self._summary(result), SUCCESS)
        self.details.set_message("<br>".join(html.escape(tr_notice(each)) for each in result.notices), INFO)
        self._preview_ended()

    def _add_to_map(self, result: PreviewResult) -> None:
        """Adds the layer at the top of the project, in place of the previous preview."""
        project, layer = QgsProject.instance(), result.output
        if project.mapLayer(self._preview_layer or ""):
            project.removeMapLayer(self._preview_layer)
        layer.setName(tr("{} preview ({})").format(result.layers.ms.name(), result.layers.name))
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
        if set(layers) & set(self._chosen):
            self._select_pair(anew=True)
        self.refresh()

    def _summary(self, result: PreviewResult) -> str:
        """Returns size and duration of the preview, and an estimate for the whole layer if that takes long."""
        extent, pan = result.layers.extent, result.layers.pan
        size = f"{extent.width} × {extent.height}"
        name, seconds = LABELS.get(result.used, result.used), math.ceil(result.seconds)
        summary = tr("{}: {} pixels in {}.").format(name, size, duration(seconds))
        seconds = result.seconds * pan.width() * pan.height() / (extent.width * extent.height)
        if seconds <= LONG_RUN:
            return summary
        return f"{summary} {tr('The whole layer would take about {}.').format(duration(seconds))}"

    # --- dialogs of the algorithms -----------------------------------------------------------------------------------

    def _layers(self) -> dict:
        return {"PANCHROMATIC": self.pan.currentLayer().id(), "SPECTRAL": self.ms.currentLayer().id()}

    def _run(self) -> None:
        if self._has_runtime:
            options = {"WEIGHTS": self.weights.value, "PRESET": self.presets.value}
            open_dialog(PANSHARPEN, **self._layers(), **options)
        else:
            open_dialog(CLASSICAL, **self._layers(), METHOD=BEST_CLASSICAL)

    def _adapt(self) -> None:
        open_dialog(ADAPT, **self._layers(), BASE=self.weights.value).algorithmFinished.connect(self._adapted)

    def _adapted(self, done: bool, results: dict) -> None:
        """Selects the adapted weights. Also after cancelling, which may leave new weights in the list."""
        self.weights.refresh()
        if results.get("WEIGHTS"):
            self.weights.select(results["WEIGHTS"])
            self._adapted_weights = results["WEIGHTS"]

    def _assess(self) -> None:
        open_dialog(ASSESS, INPUT=fused_layer(self._iface.activeLayer()).id())

    def stop(self) -> None:
        """Cancels a running preview and removes its frame from the map."""
        self._estimate_timer.stop()
        self.preview.stop()
        self._delivery_drop.stop()
        self.compare.stop()
        self._canvas.scene().removeItem(self._frame)
