"""A swipe on the map: left of a line, the map shows another layer."""

from __future__ import annotations

from qgis.core import QgsMapRendererParallelJob, QgsMapSettings, QgsRasterLayer
from qgis.gui import QgsMapCanvas, QgsMapCanvasItem, QgsMapTool
from qgis.PyQt.QtCore import QRectF, Qt
from qgis.PyQt.QtGui import QImage

from .swipe import LEFT, paint_line, paint_name


class MapSwipe(QgsMapTool):
    """Map tool that shows a layer left of a line, which follows the mouse while a button is pressed."""

    def __init__(self, canvas: QgsMapCanvas):
        super().__init__(canvas)
        self._layer: QgsRasterLayer | None = None
        self._job: QgsMapRendererParallelJob | None = None
        self._curtain = _Curtain(canvas)
        self.setCursor(Qt.CursorShape.SplitHCursor)

    def show_layer(self, layer: QgsRasterLayer, name: str) -> None:
        """Sets the layer at the left."""
        self._layer, self._curtain.name = layer, name
        if self.isActive():
            self._render()

    @property
    def divider(self) -> float:
        """Position of the line, from 0 (left) to 1 (right)."""
        return self._curtain.divider

    @property
    def complete(self) -> bool:
        """Whether the layer is drawn."""
        return self._curtain.isVisible() and not self._curtain.image.isNull()

    def activate(self):
        super().activate()
        self.canvas().extentsChanged.connect(self._render)
        self._curtain.show()
        self._render()

    def deactivate(self):
        if self._curtain.isVisible():
            self.canvas().extentsChanged.disconnect(self._render)
            self._curtain.hide()
        super().deactivate()

    def remove(self) -> None:
        """Removes the swipe from the map, for good."""
        self.canvas().unsetMapTool(self)
        if self._job:
            self._job.cancelWithoutBlocking()
        self.canvas().scene().removeItem(self._curtain)

    def canvasPressEvent(self, event):
        self._move_line(event)

    def canvasMoveEvent(self, event):
        if event.buttons():
            self._move_line(event)

    def _move_line(self, event) -> None:
        self._curtain.divider = min(max(event.pos().x() / self.canvas().width(), 0.0), 1.0)
        self._curtain.update()

    def _render(self) -> None:
        """Draws the layer at the extent of the map, in the background."""
        if self._layer is None:
            return
        if self._job:
            self._job.cancelWithoutBlocking()
        settings = QgsMapSettings(self.canvas().mapSettings())
        settings.setLayers([self._layer])
        self._job = job = QgsMapRendererParallelJob(settings)

        def finished():
            if self._job is job:
                self._curtain.show_image(job.renderedImage())

        job.finished.connect(finished)
        job.start()


class _Curtain(QgsMapCanvasItem):
    """The image left of the line."""

    def __init__(self, canvas: QgsMapCanvas):
        super().__init__(canvas)
        self._canvas, self.image, self.name, self.divider = canvas, QImage(), "", 0.5
        self.setZValue(100)
        self.hide()

    def show_image(self, image: QImage) -> None:
        self.image = image
        self.updatePosition()

    def updatePosition(self):
        self.setRect(self._canvas.extent())
        self.update()

    def paint(self, painter, option=None, widget=None):
        width, height = self._canvas.width(), self._canvas.height()
        line, whole = self.divider * width, QRectF(0, 0, width, height)
        painter.save()
        painter.setClipRect(QRectF(0, 0, line, height))
        painter.drawImage(whole, self.image, QRectF(self.image.rect()))
        paint_name(painter, LEFT, self.name, whole)
        painter.restore()
        paint_line(painter, line, height)
