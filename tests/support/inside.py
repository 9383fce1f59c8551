"""Helpers for scripts that run inside QGIS: waiting, clicking, taking pictures and returning results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path

from qgis.core import QgsApplication, QgsContrastEnhancement, QgsProject, QgsRasterLayer, QgsRasterMinMaxOrigin
from qgis.PyQt.QtCore import QEvent, QPointF, QRect, Qt, QTimer
from qgis.PyQt.QtGui import QMouseEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication
from qgis.utils import iface

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


def play(scene) -> None:
    """Writes the result of the function as JSON to $RESULT, then closes QGIS as a user would."""
    result = Path(os.environ["RESULT"])
    try:
        result.write_text(json.dumps(scene()))
    except BaseException:
        result.write_text(json.dumps({"failed": traceback.format_exc()}))
        picture("failed")
        os._exit(1)
    QgsProject.instance().clear()
    try:  # QGIS asks before it closes with active tasks, such as those that were cancelled just now
        wait(lambda: not QgsApplication.taskManager().countActiveTasks(), 120, "for tasks to end")
    except AssertionError:
        traceback.print_exc()
        os._exit(1)
    QTimer.singleShot(0, iface.actionExit().trigger)


def wait(until, seconds: float = 300, what: str = "") -> None:
    """Processes events until the condition holds; fails after so many seconds."""
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, f"timeout after {seconds} s {what}"
        QTest.qWait(20)


def click(button) -> None:
    QTest.mouseClick(button, LEFT)


def drag(widget, *points) -> None:
    """Drags with the left mouse button from the first point to the last."""
    QTest.mousePress(widget, LEFT, NONE, QPointF(*points[0]).toPoint())
    for point in (QPointF(*at) for at in points[1:]):  # QTest.mouseMove only moves the pointer on Qt 5
        QApplication.sendEvent(widget, QMouseEvent(QEvent.Type.MouseMove, point, point, LEFT, LEFT, NONE))
    QTest.mouseRelease(widget, LEFT, NONE, QPointF(*points[-1]).toPoint())


def dialog(title: str):
    """Waits for a visible dialog whose title contains this text, and returns it."""
    found = []

    def visible():
        widgets = QApplication.topLevelWidgets()
        found[:] = [widget for widget in widgets if widget.isVisible() and title in widget.windowTitle()]
        return found

    wait(visible, what=f"for the dialog {title}")
    return found[0]


def workers() -> list[str]:
    """Returns the command lines of the worker processes of this QGIS."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent != os.getpid():
                continue
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # the process has just ended
            continue
        if "ssdiff_core" in command:
            found.append(command)
    return found


def add(path: str | Path, name: str, bands: tuple[int, ...] = ()) -> QgsRasterLayer:
    """Adds a layer to the project and returns it. bands: shown as red, green and blue."""
    layer = QgsRasterLayer(str(path), name)
    assert layer.isValid(), path
    if bands:
        renderer = layer.renderer()
        for band, set_band in zip(bands, (renderer.setRedBand, renderer.setGreenBand, renderer.setBlueBand)):
            set_band(band)
        stretch = QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum
        layer.setContrastEnhancement(stretch, QgsRasterMinMaxOrigin.Limits.CumulativeCut)
    QgsProject.instance().addMapLayer(layer)
    QTest.qWait(50)
    return layer


def picture(name: str, *, of=None, screen: QRect | None = None) -> None:
    """Saves a picture of a widget or of the screen in $PICTURES, if that is set."""
    folder = os.environ.get("PICTURES")
    if not folder:
        return
    QTest.qWait(100)
    if of is not None:
        of.grab().save(f"{folder}/{name}.png")
    else:
        part = ["-crop", f"{screen.width()}x{screen.height()}+{screen.x()}+{screen.y()}"] if screen else []
        subprocess.run(["import", "-window", "root", *part, f"{folder}/{name}.png"], check=True)


def torch_is_imported() -> bool:
    return "torch" in sys.modules
