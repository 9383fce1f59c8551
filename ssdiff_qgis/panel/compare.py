"""What was fused beside what it was made of, and beside what others make of it."""

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
from qgis.PyQt.QtCore import QRectF, QSize, Qt, QTimer
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import QComboBox, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from ..services.i18n import tr
from .swipe import LEFT, RIGHT, Swipe
from .visible_extent import Part

REST = 80
"milliseconds without a change of the view until it is rendered"


@dataclass(frozen=True)
class Compared:
    """Layers of one part; nobody else has them, so that nobody takes them away."""

    part: Part
    pan: QgsRasterLayer
    ms: QgsRasterLayer
    brovey: QgsRasterLayer
    fused: QgsRasterLayer

    def sides(self) -> dict[str, QgsRasterLayer]:
        """What may be at the left, by the name it has there."""
        return {
            tr("MS"): _read(self.ms, None),
            tr("MS, interpolated"): _read(self.ms, QgsCubicRasterResampler()),
            tr("Brovey"): self.brovey,
            tr("PAN"): self.pan,
        }


class Compare(QWidget):
    """A swipe, and the choice of what is at its left."""

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self.swipe = Swipe(self)
        self.left = QComboBox(self)
        self._compared: Compared | None = None
        self._sides: dict[str, QgsRasterLayer] = {}
        self._jobs: dict[int, QgsMapRendererParallelJob] = {}
        self._rest = QTimer(self, singleShot=True, interval=REST)
        self._rest.timeout.connect(self._render)
        self.swipe.viewChanged.connect(self._rest.start)
        self.left.currentIndexChanged.connect(self._render)
        self._lay_out()

    def _lay_out(self) -> None:
        self._below = QWidget(self)
        row = QHBoxLayout(self._below)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(QLabel(tr("Compare with"), self))
        row.addWidget(self.left, 1)
        row.addWidget(self._zoom("/mActionZoomActual.svg", tr("One pixel of PAN is one of the screen"), 1.0))
        row.addWidget(self._zoom("/mActionZoomFullExtent.svg", tr("All of the preview"), 0.0))
        self._below.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.swipe, 1)
        layout.addWidget(self._below)
        self.swipe.placeholder = tr("The preview will be shown here, beside what it is made of")

    def _zoom(self, icon: str, text: str, scale: float) -> QToolButton:
        button = QToolButton(self)
        button.setIcon(QgsApplication.getThemeIcon(icon))
        button.setToolTip(text)
        button.setAutoRaise(True)
        button.clicked.connect(lambda: self.swipe.zoom(scale))
        return button

    def show_layers(self, compared: Compared) -> None:
        self._compared, self._sides = compared, compared.sides()
        chosen = max(self.left.currentIndex(), 0)
        self.left.blockSignals(True)
        self.left.clear()
        self.left.addItems(list(self._sides))
        self.left.setCurrentIndex(chosen)
        self.left.blockSignals(False)
        self._below.show()
        self.swipe.setToolTip(tr("Drag the line. Turn the wheel to come nearer, and drag the picture then."))
        self.swipe.show_ground(compared.part.width, compared.part.height)
        self._render()

    def forget(self) -> None:
        """Nothing is rendered any more."""
        self._rest.stop()
        for job in self._jobs.values():
            job.cancelWithoutBlocking()
        self._compared = None

    def _render(self) -> None:
        self._rest.stop()
        if self._compared is None or self.swipe.view.isEmpty():
            return
        name = self.left.currentText()
        self._render_side(LEFT, name, self._sides[name])
        self._render_side(RIGHT, tr("SSDiff"), self._compared.fused)

    def _render_side(self, side: int, name: str, layer: QgsRasterLayer) -> None:
        ground = self.swipe.view
        job = QgsMapRendererParallelJob(self._settings(layer, ground))

        def done():
            if self._jobs.get(side) is job:
                self.swipe.show_picture(side, name, job.renderedImage(), ground)

        before = self._jobs.get(side)
        if before is not None and before.isActive():
            before.cancelWithoutBlocking()
        self._jobs[side] = job
        job.finished.connect(done)
        job.start()

    def _settings(self, layer: QgsRasterLayer, ground: QRectF) -> QgsMapSettings:
        part, dots = self._compared.part, self.devicePixelRatioF()
        across, down = part.box.width() / part.width, part.box.height() / part.height
        left, top = part.box.xMinimum() + ground.left() * across, part.box.yMaximum() - ground.top() * down
        size = ground.size() * self.swipe.scale * dots
        settings = QgsMapSettings()
        settings.setLayers([layer])
        settings.setDestinationCrs(part.crs)
        settings.setExtent(QgsRectangle(left, top - ground.height() * down, left + ground.width() * across, top))
        settings.setOutputSize(QSize(max(1, round(size.width())), max(1, round(size.height()))))
        settings.setBackgroundColor(QColor(Qt.GlobalColor.transparent))
        return settings


def _read(layer: QgsRasterLayer, resampler) -> QgsRasterLayer:
    """The layer with its pixels as they are, or smoothed by a resampler, whatever its own settings say."""
    other = layer.clone()
    other.setResamplingStage(Qgis.RasterResamplingStage.ResampleFilter)
    other.resampleFilter().setZoomedInResampler(resampler)
    return other
