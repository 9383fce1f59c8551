"""The swipe, used with mouse and keyboard, on Qt 5 and Qt 6."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CODE = """
import json, sys
from bindings import install_stubs
install_stubs(sys.argv[1])
sys.path.insert(0, sys.argv[2])
from qgis.PyQt.QtCore import QEvent, QPoint, QPointF, QRectF, Qt
from qgis.PyQt.QtGui import QColor, QImage, QMouseEvent, QWheelEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication
app = QApplication([])
from ssdiff.ssdiff_qgis.panel.swipe import LEFT, RIGHT, Swipe

LEFT_BUTTON, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
swipe = Swipe()
swipe.resize(400, 200)
swipe.show()
moves = []
swipe.viewChanged.connect(lambda: moves.append(swipe.view))

def drag(first, *others):
    QTest.mousePress(swipe, LEFT_BUTTON, NONE, QPoint(*first))
    for point in others:  # QTest.mouseMove only moves the pointer on Qt 5
        at = QPointF(*point)
        app.sendEvent(swipe, QMouseEvent(QEvent.Type.MouseMove, at, at, LEFT_BUTTON, LEFT_BUTTON, NONE))
    QTest.mouseRelease(swipe, LEFT_BUTTON, NONE, QPoint(*others[-1]))

def wheel(x, y, notches):
    at = QPointF(x, y)
    event = QWheelEvent(at, at, QPoint(), QPoint(0, 120 * notches), Qt.MouseButton.NoButton, NONE,
                        Qt.ScrollPhase.NoScrollPhase, False)
    app.sendEvent(swipe, event)

def state():
    colours = [swipe.grab().toImage().pixelColor(x, 150).name() for x in (50, 350)]
    view = swipe.view
    return {"divider": swipe.divider, "colours": colours, "scale": swipe.scale,
            "view": [view.left(), view.top(), view.right(), view.bottom()]}

swipe.placeholder = "nothing yet"
swipe.grab()
swipe.set_extent(800, 600)
results = {"start": state()}
for side, name, colour in ((LEFT, "before", "#ff0000"), (RIGHT, "after", "#0000ff")):
    image = QImage(8, 6, QImage.Format.Format_RGB32)
    image.fill(QColor(colour))
    swipe.show_image(side, name, image, QRectF(0, 0, 800, 600))
results["shown"] = state()
drag((205, 100), (300, 100), (390, 100))
results["line right"] = state()
drag((390, 100), (200, 100), (-50, 100))
results["line left"] = state()
drag((200, 100), (190, 90), (100, 50))
results["image dragged"] = state()
QTest.keyClick(swipe, Qt.Key.Key_Right)
results["key"] = state()
swipe.zoom(0)
results["all"] = state()
drag((300, 30), (100, 30))
results["drag far from line"] = state()
wheel(0, 0, 8)
results["zoomed in"] = state()
wheel(200, 100, -40)
results["zoomed out"] = state()
results["moves"] = len(moves)
print(json.dumps(results))
"""


@pytest.fixture(scope="module", params=["PyQt5", "PyQt6"])
def results(request, tmp_path_factory):
    """Returns the state of the swipe after each action."""
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "ssdiff").symlink_to(ROOT)
    env = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(ROOT / "tests" / "support")}
    command = [sys.executable, "-c", CODE, request.param, str(folder)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_first_view_is_the_centre_at_full_resolution(results):
    assert results["start"]["scale"] == 1
    assert results["start"]["view"] == [200, 200, 600, 400]


def test_each_image_is_on_its_side_of_the_line(results):
    red, blue = "#ff0000", "#0000ff"
    assert results["shown"]["colours"] == [red, blue]
    assert (results["line right"]["divider"], results["line right"]["colours"]) == (390 / 400, [red, red])
    assert (results["line left"]["divider"], results["line left"]["colours"]) == (0, [blue, blue])
    assert results["key"]["divider"] == pytest.approx(0.02)


def test_dragging_moves_the_image_if_it_is_larger_than_the_widget_and_else_the_line(results):
    assert results["image dragged"]["view"] == [300, 250, 700, 450]
    assert results["image dragged"]["divider"] == 0
    assert results["all"]["view"] == [0, 0, 800, 600]
    assert results["drag far from line"]["view"] == [0, 0, 800, 600]
    assert results["drag far from line"]["divider"] == 0.25


def test_the_wheel_zooms_and_stops_at_the_whole_image(results):
    assert results["zoomed in"]["scale"] > 1.5
    assert results["zoomed in"]["view"][:2] == [0, 0]
    assert results["zoomed out"]["view"] == [0, 0, 800, 600]
    assert results["moves"] > 3
