"""Two pictures of the same ground, with a line to drag between them."""

from __future__ import annotations

from qgis.PyQt.QtCore import QPointF, QRectF, QSize, QSizeF, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QImage, QPainter, QPalette, QPen, QPolygonF
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget

LEFT, RIGHT = 0, 1
GRIP = 14.0
"radius of the handle, and how near to the line one may reach for it, in pixels of the screen"
ARROW = 4.0
STEP = 1.25
"how much nearer one notch of the wheel brings"
NEAREST = 16.0
"pixels of the screen for one of the ground at most"
KEYS = {Qt.Key.Key_Left: -0.02, Qt.Key.Key_Right: 0.02}
SHADE, LIGHT = QColor(0, 0, 0, 150), QColor(255, 255, 255)
"for what lies on pictures, whose colours no theme decides"


class Swipe(QWidget):
    """Ground is measured in pixels of PAN from its upper left. Pictures may be of any part of it, in any size."""

    viewChanged = pyqtSignal()

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self.divider = 0.5
        "where the line is, from 0 at the left to 1"
        self.placeholder = ""
        "what is said as long as there is no picture"
        self._pictures: list[tuple[str, QImage, QRectF] | None] = [None, None]
        self._ground = QRectF()
        self._centre, self._scale = QPointF(), 0.0
        "scale 0: all of the ground, whatever the size of the widget"
        self._held: QPointF | None = None
        "where a drag of the picture has got to"
        self._drags_line = False
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(160, 120)

    def sizeHint(self):
        return QSize(320, 280)

    # --- what is seen ------------------------------------------------------------------------------------------------

    def show_ground(self, width: int, height: int) -> None:
        """Other ground: as much of its middle as fills the widget, and no pixel lost."""
        self._pictures = [None, None]
        self._ground = QRectF(0, 0, width, height)
        self._centre = self._ground.center()
        self.zoom(max(self.width() / width, self.height() / height, 1.0))

    def show_picture(self, side: int, name: str, picture: QImage, ground: QRectF) -> None:
        self._pictures[side] = name, picture, ground
        self.update()

    @property
    def complete(self) -> bool:
        """Whether there is a picture on both sides."""
        return all(self._pictures)

    def zoom(self, scale: float) -> None:
        """To so many pixels of the screen for one of the ground; 0: all of the ground."""
        scale = min(scale, NEAREST)
        self._scale = scale if scale > self._fitting() else 0.0
        self._moved()

    @property
    def scale(self) -> float:
        """Pixels of the screen for one of the ground."""
        return max(self._scale, self._fitting())

    @property
    def view(self) -> QRectF:
        """The ground that is seen."""
        corner = self._on_ground(QPointF(0, 0))
        return QRectF(corner, QSizeF(self.width(), self.height()) / self.scale) & self._ground

    def _fitting(self) -> float:
        if self._ground.isEmpty():
            return 1.0
        return min(self.width() / self._ground.width(), self.height() / self._ground.height(), NEAREST)

    def _on_ground(self, point: QPointF) -> QPointF:
        return self._centre + (point - self._middle()) / self.scale

    def _on_screen(self, ground: QRectF) -> QRectF:
        corner = (ground.topLeft() - self._centre) * self.scale + self._middle()
        return QRectF(corner, ground.size() * self.scale)

    def _middle(self) -> QPointF:
        return QPointF(self.width() / 2, self.height() / 2)

    def _moved(self) -> None:
        """Keeps the view on the ground, and tells of it."""
        seen, ground = QSizeF(self.width(), self.height()) / self.scale, self._ground
        self._centre = QPointF(
            _between(self._centre.x(), ground.left(), ground.right(), seen.width()),
            _between(self._centre.y(), ground.top(), ground.bottom(), seen.height()),
        )
        self.update()
        self.viewChanged.emit()

    # --- hands -------------------------------------------------------------------------------------------------------

    def mousePressEvent(self, event):
        if event.button() != Qt.MouseButton.LeftButton or self._ground.isEmpty():
            return
        point = QPointF(event.pos())
        self._drags_line = self._near_line(point) or not self._scale
        self._held = point
        if self._drags_line:
            self._put_line(point.x())

    def mouseMoveEvent(self, event):
        point = QPointF(event.pos())
        if self._held is None:
            self._show_what_a_drag_would_do(point)
        elif self._drags_line:
            self._put_line(point.x())
        else:
            self._centre -= (point - self._held) / self.scale
            self._held = point
            self._moved()

    def mouseReleaseEvent(self, event):
        self._held = None
        self._show_what_a_drag_would_do(QPointF(event.pos()))

    def wheelEvent(self, event):
        """Nearer or farther; what is under the pointer stays there."""
        point = event.position()
        before = self._on_ground(point)
        notches = event.angleDelta().y() / 120
        self.zoom(self.scale * STEP**notches)
        self._centre += before - self._on_ground(point)
        self._moved()
        event.accept()

    def keyPressEvent(self, event):
        if event.key() not in KEYS:
            return super().keyPressEvent(event)
        self._put_line(self.width() * (self.divider + KEYS[event.key()]))

    def resizeEvent(self, event):
        self._moved()

    def _near_line(self, point: QPointF) -> bool:
        return abs(point.x() - self.divider * self.width()) <= GRIP

    def _put_line(self, x: float) -> None:
        self.divider = min(max(x / self.width(), 0.0), 1.0)
        self.update()

    def _show_what_a_drag_would_do(self, point: QPointF) -> None:
        line = not self._scale or self._near_line(point)
        self.setCursor(Qt.CursorShape.SplitHCursor if line else Qt.CursorShape.OpenHandCursor)

    # --- paint -------------------------------------------------------------------------------------------------------

    def paintEvent(self, event):
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not any(self._pictures):
            return self._paint_placeholder(painter)
        line, height = self.divider * self.width(), self.height()
        self._paint_picture(painter, RIGHT, QRectF(line, 0, self.width() - line, height))
        self._paint_picture(painter, LEFT, QRectF(0, 0, line, height))
        self._paint_line(painter, line)

    def _paint_placeholder(self, painter: QPainter) -> None:
        """Text on a frame in the colours of the theme."""
        palette = self.palette()
        painter.setPen(QPen(palette.color(QPalette.ColorRole.Mid), 1.0, Qt.PenStyle.DashLine))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 6, 6)
        painter.setPen(palette.color(QPalette.ColorRole.PlaceholderText))
        words = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        painter.drawText(self.rect().adjusted(24, 12, -24, -12), words, self.placeholder)

    def _paint_picture(self, painter: QPainter, side: int, clip: QRectF) -> None:
        if not self._pictures[side]:
            return
        name, picture, ground = self._pictures[side]
        place = self._on_screen(ground)
        painter.save()
        painter.setClipRect(clip)
        painter.drawImage(place, picture, QRectF(picture.rect()))
        self._paint_name(painter, side, name, place & QRectF(self.rect()))
        painter.restore()

    def _paint_name(self, painter: QPainter, side: int, name: str, place: QRectF) -> None:
        size = QSizeF(painter.fontMetrics().size(0, name)) + QSizeF(14, 6)
        left = place.left() + 8 if side == LEFT else place.right() - 8 - size.width()
        plate = QRectF(QPointF(left, place.top() + 8), size)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(SHADE)
        painter.drawRoundedRect(plate, size.height() / 2, size.height() / 2)
        painter.setPen(LIGHT)
        painter.drawText(plate, Qt.AlignmentFlag.AlignCenter, name)

    def _paint_line(self, painter: QPainter, x: float) -> None:
        middle = QPointF(x, self.height() / 2)
        for colour, width in ((SHADE, 4.0), (LIGHT, 2.0)):
            painter.setPen(QPen(colour, width))
            painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))
        painter.setPen(QPen(SHADE, 1.0))
        painter.setBrush(LIGHT)
        painter.drawEllipse(middle, GRIP, GRIP)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(SHADE)
        for way in (-1, 1):
            base = middle + QPointF(way * ARROW, 0)
            tip, up = QPointF(way * ARROW, 0), QPointF(0, ARROW)
            painter.drawPolygon(QPolygonF([base + tip, base - up, base + up]))


def _between(at: float, low: float, high: float, seen: float) -> float:
    """As near to `at` as shows nothing beyond the ends; the middle if all is seen."""
    half = seen / 2
    return (low + high) / 2 if seen >= high - low else min(max(at, low + half), high - half)
