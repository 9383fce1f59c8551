"""A swipe: two images of the same extent, with a dividing line to drag."""

from __future__ import annotations

from qgis.PyQt.QtCore import QPointF, QRectF, QSize, QSizeF, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QImage, QPainter, QPalette, QPen, QPolygonF
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget

LEFT, RIGHT = 0, 1
GRIP = 14.0
"radius of the handle, and distance from the line within which a press grabs it, in screen pixels"
ARROW = 4.0
"size of the arrows on the handle, in screen pixels"
ZOOM_STEP = 1.25
"zoom factor of one notch of the mouse wheel"
MAXIMUM_SCALE = 16.0
"screen pixels for each pixel of the extent"
KEYS = {Qt.Key.Key_Left: -0.02, Qt.Key.Key_Right: 0.02}
"movement of the line for each key, as a fraction of the width"
SHADE, LIGHT = QColor(0, 0, 0, 150), QColor(255, 255, 255)
"colours of labels and line on the images, the same in all themes"


class Swipe(QWidget):
    """Shows two images of an extent. Positions in the extent are in pixels from its upper left corner.

    Each image may show any part of the extent at any resolution.
    """

    viewChanged = pyqtSignal()

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self.divider = 0.5
        "position of the line, from 0 (left) to 1 (right)"
        self.placeholder = ""
        "text shown until there is an image"
        self._images: list[tuple[str, QImage, QRectF] | None] = [None, None]
        self._extent = QRectF()
        self._centre, self._scale = QPointF(), 0.0
        "centre of the view and screen pixels for each pixel of the extent; scale 0: fit the extent into the widget"
        self._drag_point: QPointF | None = None
        "last position of the mouse during a drag"
        self._drags_line = False
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(160, 120)

    def sizeHint(self):
        return QSize(320, 180)

    # --- view --------------------------------------------------------------------------------------------------------

    def set_extent(self, width: int, height: int) -> None:
        """Sets a new extent, and zooms to its centre so that it fills the widget, at a scale of at least 1."""
        self._images = [None, None]
        self._extent = QRectF(0, 0, width, height)
        self._centre = self._extent.center()
        self.zoom(max(self.width() / width, self.height() / height, 1.0))

    def clear(self) -> None:
        """Removes the images, so that the placeholder is shown."""
        self._images, self._extent = [None, None], QRectF()
        self._view_changed()

    def show_image(self, side: int, name: str, image: QImage, extent: QRectF) -> None:
        self._images[side] = name, image, extent
        self.update()

    @property
    def complete(self) -> bool:
        """Whether there is an image on both sides."""
        return all(self._images)

    def zoom(self, scale: float) -> None:
        """Sets the number of screen pixels for each pixel of the extent; 0: fit the extent into the widget."""
        scale = min(scale, MAXIMUM_SCALE)
        self._scale = scale if scale > self._fit_scale() else 0.0
        self._view_changed()

    @property
    def scale(self) -> float:
        """Number of screen pixels for each pixel of the extent."""
        return max(self._scale, self._fit_scale())

    @property
    def view(self) -> QRectF:
        """Visible part of the extent."""
        corner = self._to_extent(QPointF(0, 0))
        return QRectF(corner, QSizeF(self.width(), self.height()) / self.scale) & self._extent

    def _fit_scale(self) -> float:
        if self._extent.isEmpty():
            return 1.0
        return min(self.width() / self._extent.width(), self.height() / self._extent.height(), MAXIMUM_SCALE)

    def _to_extent(self, point: QPointF) -> QPointF:
        return self._centre + (point - self._middle()) / self.scale

    def _to_screen(self, part: QRectF) -> QRectF:
        corner = (part.topLeft() - self._centre) * self.scale + self._middle()
        return QRectF(corner, part.size() * self.scale)

    def _middle(self) -> QPointF:
        return QPointF(self.width() / 2, self.height() / 2)

    def _view_changed(self) -> None:
        """Moves the view back into the extent, repaints it and emits the signal."""
        visible, extent = QSizeF(self.width(), self.height()) / self.scale, self._extent
        self._centre = QPointF(
            _clamped(self._centre.x(), extent.left(), extent.right(), visible.width()),
            _clamped(self._centre.y(), extent.top(), extent.bottom(), visible.height()),
        )
        self.update()
        self.viewChanged.emit()

    # --- mouse and keyboard ------------------------------------------------------------------------------------------

    def mousePressEvent(self, event):
        if event.button() != Qt.MouseButton.LeftButton or self._extent.isEmpty():
            return
        point = QPointF(event.pos())
        self._drags_line = self._near_line(point) or not self._scale
        self._drag_point = point
        if self._drags_line:
            self._move_line(point.x())

    def mouseMoveEvent(self, event):
        point = QPointF(event.pos())
        if self._drag_point is None:
            self._update_cursor(point)
        elif self._drags_line:
            self._move_line(point.x())
        else:
            self._centre -= (point - self._drag_point) / self.scale
            self._drag_point = point
            self._view_changed()

    def mouseReleaseEvent(self, event):
        self._drag_point = None
        self._update_cursor(QPointF(event.pos()))

    def wheelEvent(self, event):
        """Zooms about the position of the mouse."""
        point = event.position()
        before = self._to_extent(point)
        notches = event.angleDelta().y() / 120
        self.zoom(self.scale * ZOOM_STEP**notches)
        self._centre += before - self._to_extent(point)
        self._view_changed()
        event.accept()

    def keyPressEvent(self, event):
        if event.key() not in KEYS:
            return super().keyPressEvent(event)
        self._move_line(self.width() * (self.divider + KEYS[event.key()]))

    def resizeEvent(self, event):
        self._view_changed()

    def _near_line(self, point: QPointF) -> bool:
        return abs(point.x() - self.divider * self.width()) <= GRIP

    def _move_line(self, x: float) -> None:
        self.divider = min(max(x / self.width(), 0.0), 1.0)
        self.update()

    def _update_cursor(self, point: QPointF) -> None:
        line = not self._scale or self._near_line(point)
        self.setCursor(Qt.CursorShape.SplitHCursor if line else Qt.CursorShape.OpenHandCursor)

    # --- painting ----------------------------------------------------------------------------------------------------

    def paintEvent(self, event):
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not any(self._images):
            return self._paint_placeholder(painter)
        line, height = self.divider * self.width(), self.height()
        self._paint_image(painter, RIGHT, QRectF(line, 0, self.width() - line, height))
        self._paint_image(painter, LEFT, QRectF(0, 0, line, height))
        paint_line(painter, line, height)

    def _paint_placeholder(self, painter: QPainter) -> None:
        """Paints the placeholder text in a frame, in the colours of the theme."""
        palette = self.palette()
        painter.setPen(QPen(palette.color(QPalette.ColorRole.Mid), 1.0, Qt.PenStyle.DashLine))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 6, 6)
        painter.setPen(palette.color(QPalette.ColorRole.PlaceholderText))
        flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        painter.drawText(self.rect().adjusted(24, 12, -24, -12), flags, self.placeholder)

    def _paint_image(self, painter: QPainter, side: int, clip: QRectF) -> None:
        if not self._images[side]:
            return
        name, image, extent = self._images[side]
        target = self._to_screen(extent)
        painter.save()
        painter.setClipRect(clip)
        painter.drawImage(target, image, QRectF(image.rect()))
        paint_name(painter, side, name, target & QRectF(self.rect()))
        painter.restore()


def paint_name(painter: QPainter, side: int, name: str, target: QRectF) -> None:
    """Paints the name of an image into its upper left or right corner."""
    size = QSizeF(painter.fontMetrics().size(0, name)) + QSizeF(14, 6)
    left = target.left() + 8 if side == LEFT else target.right() - 8 - size.width()
    label = QRectF(QPointF(left, target.top() + 8), size)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(SHADE)
    painter.drawRoundedRect(label, size.height() / 2, size.height() / 2)
    painter.setPen(LIGHT)
    painter.drawText(label, Qt.AlignmentFlag.AlignCenter, name)


def paint_line(painter: QPainter, x: float, height: float) -> None:
    """Paints the dividing line and its handle."""
    middle = QPointF(x, height / 2)
    for colour, width in ((SHADE, 4.0), (LIGHT, 2.0)):
        painter.setPen(QPen(colour, width))
        painter.drawLine(QPointF(x, 0), QPointF(x, height))
    painter.setPen(QPen(SHADE, 1.0))
    painter.setBrush(LIGHT)
    painter.drawEllipse(middle, GRIP, GRIP)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(SHADE)
    for direction in (-1, 1):
        base = middle + QPointF(direction * ARROW, 0)
        tip, up = QPointF(direction * ARROW, 0), QPointF(0, ARROW)
        painter.drawPolygon(QPolygonF([base + tip, base - up, base + up]))


def _clamped(centre: float, low: float, high: float, visible: float) -> float:
    """Returns the nearest centre at which a view of this size shows nothing beyond low and high.

    A view larger than that is centred.
    """
    half = visible / 2
    return (low + high) / 2 if visible >= high - low else min(max(centre, low + half), high - half)
