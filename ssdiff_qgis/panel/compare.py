"""Comparison of the preview with its inputs and with other methods, as a swipe."""

from __future__ import annotations

from dataclasses import dataclass

from qgis.core import (
    Qgis,
    QgsApplication,
    QgsCubicRasterResampler,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsRasterLayer,
    QgsRectangle,
)
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QRectF, QSize, Qt, QTimer
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import QComboBox, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from ..services.i18n import tr
from .map_swipe import MapSwipe
from .swipe import LEFT, RIGHT, Swipe
from .visible_extent import PreviewExtent
from .widgets import describe

RENDER_DELAY = 80
"milliseconds between the last change of the view and its rendering"


@dataclass(frozen=True)
class ComparedLayers:
    """Layers of one preview. They are copies, so that removing layers from the project does not affect them."""

    extent: PreviewExtent
    pan: QgsRasterLayer
    ms: QgsRasterLayer
    classical: dict[str, QgsRasterLayer]
    "results of classical methods, by their labels"
    fused: QgsRasterLayer
    name: str
    "of the method of the fused layer"
    unadapted: QgsRasterLayer | None = None
    "the same without adapting the weights to the scene, if they were adapted"

    def left_layers(self) -> dict[str, QgsRasterLayer]:
        """Returns the layers to choose from for the left side, by their labels."""
        layers = {
            tr("MS"): _with_resampler(self.ms, None),
            tr("Interpolated MS"): _with_resampler(self.ms, QgsCubicRasterResampler()),
            **self.classical,
            tr("PAN"): self.pan,
        }
        return {**layers, tr("SSDiff, not adapted"): self.unadapted} if self.unadapted else layers


class Compare(QWidget):
    """A swipe between the preview at the right and a layer of the user's choice at the left."""

    def __init__(self, canvas: QgsMapCanvas, parent: QWidget | None = None):
        super().__init__(parent)
        self._canvas = canvas
        self.swipe = Swipe(self)
        self.on_map_swipe = MapSwipe(canvas)
        self.left = QComboBox(self)
        describe(self.left, tr("Compare with"), tr("Layer that is shown left of the line"))
        self._layers: ComparedLayers | None = None
        self._left_layers: dict[str, QgsRasterLayer] = {}
        self._jobs: dict[int, QgsMapRendererParallelJob] = {}
        self._render_timer = QTimer(self, singleShot=True, interval=RENDER_DELAY)
        self._render_timer.timeout.connect(self._render)
        self.swipe.viewChanged.connect(self._render_timer.start)
        self.left.currentIndexChanged.connect(self._render)
        self._lay_out()

    def _lay_out(self) -> None:
        self._controls = QWidget(self)
        row = QHBoxLayout(self._controls)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(QLabel(tr("Compare with"), self))
        row.addWidget(self.left, 1)
        self.on_map = self._button("/mActionSplitFeatures.svg", tr("Compare on the map, with a line to drag"))
        self.on_map.setCheckable(True)
        self.on_map.toggled.connect(self._swipe_map)
        self.on_map_swipe.deactivated.connect(lambda: self.on_map.setChecked(False))
        row.addWidget(self.on_map)
        row.addWidget(self._zoom_button("/mActionZoomActual.svg", tr("Zoom to native resolution of PAN (100%)"), 1.0))
        row.addWidget(self._zoom_button("/mActionZoomFullExtent.svg", tr("Zoom to whole preview"), 0.0))
        self._controls.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.swipe, 1)
        layout.addWidget(self._controls)
        self.swipe.placeholder = tr("The preview is displayed here, next to its input layers")

    def _button(self, icon: str, text: str) -> QToolButton:
        button = QToolButton(self)
        button.setIcon(QgsApplication.getThemeIcon(icon))
        describe(button, text)
        button.setAutoRaise(True)
        return button

    def _zoom_button(self, icon: str, text: str, scale: float) -> QToolButton:
        button = self._button(icon, text)
        button.clicked.connect(lambda: self.swipe.zoom(scale))
        return button

    def _swipe_map(self, on: bool) -> None:
        if on:
            self._canvas.setMapTool(self.on_map_swipe)
        else:
            self._canvas.unsetMapTool(self.on_map_swipe)

    def clear(self) -> None:
        """Forgets the preview, as another scene has been selected."""
        self._layers = None
        self.on_map.setChecked(False)
        self._controls.hide()
        self.swipe.setToolTip("")
        self.swipe.clear()

    def show_layers(self, layers: ComparedLayers) -> None:
        self._layers, self._left_layers = layers, layers.left_layers()
        index = max(self.left.currentIndex(), 0)
        self.left.blockSignals(True)
        self.left.clear()
        self.left.addItems(list(self._left_layers))
        self.left.setCurrentIndex(index)
        self.left.blockSignals(False)
        self._controls.show()
        self.swipe.setToolTip(tr("Drag the line to compare. Turn the mouse wheel to zoom, and drag the image to pan."))
        self.swipe.set_extent(layers.extent.width, layers.extent.height)
        self._render()

    def stop(self) -> None:
        """Cancels rendering, for good."""
        self._render_timer.stop()
        for job in self._jobs.values():
            job.cancelWithoutBlocking()
        self._layers = None
        self.on_map_swipe.remove()

    def _render(self) -> None:
        self._render_timer.stop()
        if self._layers is None or self.swipe.view.isEmpty():
            return
        name = self.left.currentText()
        self._render_side(LEFT, name, self._left_layers[name])
        self._render_side(RIGHT, self._layers.name, self._layers.fused)
        self.on_map_swipe.show_layer(self._left_layers[name], name)

    def _render_side(self, side: int, name: str, layer: QgsRasterLayer) -> None:
        view = self.swipe.view
        job = QgsMapRendererParallelJob(self._map_settings(layer, view))

        def finished():
            if self._jobs.get(side) is job:
                self.swipe.show_image(side, name, job.renderedImage(), view)

        previous = self._jobs.get(side)
        if previous is not None and previous.isActive():
            previous.cancelWithoutBlocking()
        self._jobs[side] = job
        job.finished.connect(finished)
        job.start()

    def _map_settings(self, layer: QgsRasterLayer, view: QRectF) -> QgsMapSettings:
        """Returns the settings to render a layer in the given view, which is in pixels of the preview."""
        extent, pixel_ratio = self._layers.extent, self.devicePixelRatioF()
        box = extent.box
        pixel_width, pixel_height = box.width() / extent.width, box.height() / extent.height
        left, top = box.xMinimum() + view.left() * pixel_width, box.yMaximum() - view.top() * pixel_height
        right, bottom = left + view.width() * pixel_width, top - view.height() * pixel_height
        size = view.size() * self.swipe.scale * pixel_ratio
        settings = QgsMapSettings()
        settings.setLayers([layer])
        settings.setDestinationCrs(extent.crs)
        settings.setExtent(QgsRectangle(left, bottom, right, top))
        settings.setOutputSize(QSize(max(1, round(size.width())), max(1, round(size.height()))))
        settings.setBackgroundColor(QColor(Qt.GlobalColor.transparent))
        return settings


def _with_resampler(layer: QgsRasterLayer, resampler) -> QgsRasterLayer:
    """Returns a copy of the layer that is drawn with this resampler; None draws its pixels as they are."""
    copy = layer.clone()
    copy.setResamplingStage(Qgis.RasterResamplingStage.ResampleFilter)
    copy.resampleFilter().setZoomedInResampler(resampler)
    return copy
