"""The line between two pictures, dragged by hand, on both versions of Qt."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CODE = """
import json, sys
from bindings import stand_in
stand_in(sys.argv[1])
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

def seen():
    colours = [swipe.grab().toImage().pixelColor(x, 150).name() for x in (50, 350)]
    view = swipe.view
    return {"divider": swipe.divider, "colours": colours, "scale": swipe.scale,
            "view": [view.left(), view.top(), view.right(), view.bottom()]}

swipe.placeholder = "nothing yet"
swipe.grab()
swipe.show_ground(800, 600)
told = {"start": seen()}
for side, name, colour in ((LEFT, "before", "#ff0000"), (RIGHT, "after", "#0000ff")):
    image = QImage(8, 6, QImage.Format.Format_RGB32)
    image.fill(QColor(colour))
    swipe.show_picture(side, name, image, QRectF(0, 0, 800, 600))
told["shown"] = seen()
drag((205, 100), (300, 100), (390, 100))
told["line right"] = seen()
drag((390, 100), (200, 100), (-50, 100))
told["line left"] = seen()
drag((200, 100), (190, 90), (100, 50))
told["ground dragged"] = seen()
QTest.keyClick(swipe, Qt.Key.Key_Right)
told["key"] = seen()
swipe.zoom(0)
told["all"] = seen()
drag((300, 30), (100, 30))
told["line far away"] = seen()
wheel(0, 0, 8)
told["near"] = seen()
wheel(200, 100, -40)
told["far"] = seen()
told["moves"] = len(moves)
print(json.dumps(told))
"""


@pytest.fixture(scope="module", params=["PyQt5", "PyQt6"])
def told(request, tmp_path_factory):
    """What is seen after each thing that a hand does."""
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "ssdiff").symlink_to(ROOT)
    env = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(ROOT / "tests" / "support")}
    command = [sys.executable, "-c", CODE, request.param, str(folder)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_first_view_is_the_middle_with_no_pixel_lost(told):
    assert told["start"]["scale"] == 1
    assert told["start"]["view"] == [200, 200, 600, 400]


def test_each_picture_is_on_its_side_of_the_line(told):
    red, blue = "#ff0000", "#0000ff"
    assert told["shown"]["colours"] == [red, blue]
    assert (told["line right"]["divider"], told["line right"]["colours"]) == (390 / 400, [red, red])
    assert (told["line left"]["divider"], told["line left"]["colours"]) == (0, [blue, blue])
    assert told["key"]["divider"] == pytest.approx(0.02)


def test_the_ground_is_dragged_where_the_line_is_not_and_only_if_there_is_more_of_it(told):
    assert told["ground dragged"]["view"] == [300, 250, 700, 450]
    assert told["ground dragged"]["divider"] == 0
    assert told["all"]["view"] == [0, 0, 800, 600]
    assert told["line far away"]["view"] == [0, 0, 800, 600]
    assert told["line far away"]["divider"] == 0.25


def test_the_wheel_goes_near_and_never_farther_than_all(told):
    assert told["near"]["scale"] > 1.5
    assert told["near"]["view"][:2] == [0, 0]
    assert told["far"]["view"] == [0, 0, 800, 600]
    assert told["moves"] > 3
