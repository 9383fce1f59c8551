"""What scripts that run inside QGIS need: to wait without stopping it, to look at it, and to tell of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path

from qgis.core import QgsContrastEnhancement, QgsProject, QgsRasterLayer, QgsRasterMinMaxOrigin
from qgis.PyQt.QtCore import QEvent, QPointF, QRect, Qt, QTimer
from qgis.PyQt.QtGui import QMouseEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication
from qgis.utils import iface

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


def play(scene) -> None:
    """Writes what the function answers as JSON into $TOLD, and then closes QGIS as a user would."""
    told = Path(os.environ["TOLD"])
    try:
        told.write_text(json.dumps(scene()))
    except BaseException:
        told.write_text(json.dumps({"failed": traceback.format_exc()}))
        picture("failed")
        os._exit(1)
    QgsProject.instance().clear()
    QTimer.singleShot(0, iface.actionExit().trigger)


def wait(until, seconds: float = 120, what: str = "") -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, f"waited {seconds} s in vain {what}"
        QTest.qWait(20)


def click(button) -> None:
    QTest.mouseClick(button, LEFT)


def drag(widget, *points) -> None:
    """The left button goes down at the first point and up at the last."""
    QTest.mousePress(widget, LEFT, NONE, QPointF(*points[0]).toPoint())
    for point in (QPointF(*at) for at in points[1:]):  # QTest.mouseMove only moves the pointer on Qt 5
        QApplication.sendEvent(widget, QMouseEvent(QEvent.Type.MouseMove, point, point, LEFT, LEFT, NONE))
    QTest.mouseRelease(widget, LEFT, NONE, QPointF(*points[-1]).toPoint())


def dialog(title: str):
    """The visible dialog with such words in its title."""
    found = []

    def there():
        found[:] = [one for one in QApplication.topLevelWidgets() if one.isVisible() and title in one.windowTitle()]
        return found

    wait(there, 30, f"for the dialog {title}")
    return found[0]


def computing() -> list[str]:
    """The command lines of processes of this QGIS that compute."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has just ended
            continue
        if parent == os.getpid() and "ssdiff_core" in command:
            found.append(command)
    return found


def add(path: str | Path, name: str, bands: tuple[int, ...] = ()) -> QgsRasterLayer:
    """A layer in the project, on the map; with these bands for red, green and blue."""
    layer = QgsRasterLayer(str(path), name)
    assert layer.isValid(), path
    if bands:
        renderer = layer.renderer()
        for band, put in zip(bands, (renderer.setRedBand, renderer.setGreenBand, renderer.setBlueBand)):
            put(band)
        stretch = QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum
        layer.setContrastEnhancement(stretch, QgsRasterMinMaxOrigin.Limits.CumulativeCut)
    QgsProject.instance().addMapLayer(layer)
    QTest.qWait(50)
    return layer


def picture(name: str, *, of=None, screen: QRect | None = None) -> None:
    """A widget, or what is on the screen, as a file in $PICTURES; nothing where that is not set."""
    folder = os.environ.get("PICTURES")
    if not folder:
        return
    QTest.qWait(100)
    if of is not None:
        of.grab().save(f"{folder}/{name}.png")
    else:
        part = ["-crop", f"{screen.width()}x{screen.height()}+{screen.x()}+{screen.y()}"] if screen else []
        subprocess.run(["import", "-window", "root", *part, f"{folder}/{name}.png"], check=True)


def torch_is_here() -> bool:
    return "torch" in sys.modules
