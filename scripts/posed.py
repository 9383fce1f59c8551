"""Sets up QGIS for the pictures of the documentation; run inside QGIS by screenshots.py."""

import os
from pathlib import Path

from inside import add, click, dialog, drag, iface, picture, play, wait, workers
from qgis.core import (
    QgsContrastEnhancement,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProject,
    QgsRasterMinMaxOrigin,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QRectF, QSize, Qt, QTimer
from qgis.PyQt.QtGui import QColor, QFont, QImage, QPainter
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QDockWidget, QToolButton
from qgis.utils import plugins

SCENE = Path(os.environ["SCENE"])
PROJECT = QgsProject.instance()
LAYERS_WIDTH, PANEL_WIDTH = 310, 440
"widths of the layer list and of the panel, in screen pixels"
DIALOG_SIZE = 980, 760
"in screen pixels"
STRETCH = QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum
MAP_SCALE = 3
"screen pixels for each PAN pixel in the map"
ADAPTED = {"BASE": str(SCENE / "base.safetensors"), "SENSOR": "gf2", "STEPS": 60}
"options of adapting weights of low quality, which takes seconds"
IMAGE_SCALE, IMAGE_PIXELS, GAP = 2, 208, 8
"images side by side: screen pixels for each PAN pixel, PAN pixels along a side, and the gap in screen pixels"


def dock():
    return plugins["ssdiff"].interface._dock


def first_page() -> dict:
    """Takes a picture of the panel in an empty project, without a runtime; then of a preview of the sample."""
    main = iface.mainWindow()
    main.showMaximized()
    main.findChild(QDockWidget, "Browser").close()
    python = os.environ.pop("SSDIFF_PYTHON")
    click(main.findChild(QToolButton, "ssdiffButton"))
    docks = [main.findChild(QDockWidget, "Layers"), dock()]
    main.resizeDocks(docks, [LAYERS_WIDTH, PANEL_WIDTH], Qt.Orientation.Horizontal)
    QTest.qWait(500)
    picture("first_page")
    click(dock().welcome.sample)
    tidy()
    zoom_to_centre(dock().pan.currentLayer(), MAP_SCALE)
    preview()
    picture("no_runtime")
    seen = {"missing": dock().missing.text, "message": dock().state.text}
    os.environ["SSDIFF_PYTHON"] = python
    PROJECT.clear()
    for _ in range(2):
        plugins["ssdiff"].interface.panel.trigger()
        QTest.qWait(100)
    return seen


def preview() -> None:
    click(dock().start)
    wait(lambda: dock().preview.running, 10)
    wait(lambda: not dock().preview.running)
    wait(lambda: dock().compare.swipe.complete, 20)
    tidy()


def window() -> dict:
    """Adds the sample as layers of a user."""
    main = iface.mainWindow()
    for name, bands in (("MS", (3, 2, 1)), ("PAN", ())):
        layer = add(SCENE / f"{name.lower()}.tif", name, bands)
        layer.setContrastEnhancement(STRETCH, QgsRasterMinMaxOrigin.Limits.MinMax)  # the roofs are bright
    tidy()
    QTest.qWait(500)
    return {"size": [main.width(), main.height()]}


def tidy() -> None:
    """Collapses the layers, removes messages and waits until the map is drawn."""
    for layer in PROJECT.layerTreeRoot().findLayers():
        layer.setExpanded(False)
    iface.messageBar().clearWidgets()
    PROJECT.setTitle("Eureka")
    PROJECT.setDirty(False)
    iface.mapCanvas().waitWhileRendering()
    QTest.qWait(800)


def zoom_to_centre(layer, scale: float) -> None:
    """Shows the centre of the layer. scale: screen pixels for each pixel of the layer."""
    canvas, pixel = iface.mapCanvas(), layer.rasterUnitsPerPixelX() / scale
    size = canvas.width() * pixel, canvas.height() * pixel
    canvas.setExtent(QgsRectangle.fromCenterAndSize(layer.extent().center(), *size))
    tidy()


def panel() -> dict:
    zoom_to_centre(dock().pan.currentLayer(), MAP_SCALE)
    preview()
    picture("panel")
    return {"message": dock().state.text, "details": dock().details.text}


def on_the_map() -> dict:
    """Takes a picture of the swipe on the map."""
    compare = dock().compare
    click(compare.on_map)
    wait(lambda: compare.on_map_swipe.complete, 20)
    canvas = iface.mapCanvas().viewport()
    drag(canvas, (canvas.width() / 2, 200), (canvas.width() / 2 - 60, 200))
    QTest.qWait(300)
    picture("on_the_map")
    click(compare.on_map)
    return {"divider": compare.on_map_swipe.divider}


def waiting() -> dict:
    """Takes a picture of the panel while a run uses the worker process and too little memory is left for another."""
    import ssdiff.ssdiff_qgis.services.runtime as runtime

    click(dock().run)
    opened = dialog("Pansharpen")
    opened.setParameters({**opened.createProcessingParameters(), "WEIGHTS": "general-4", "SAMPLES": 64})
    click(opened.runButton())
    wait(workers)
    QTest.qWait(3000)
    runtime.MEMORY_OF_SECOND = 1 << 60
    click(dock().start)
    wait(lambda: "Waiting" in dock().state.text, what=f"for the panel to wait: {dock().state.text}")
    picture("waiting", of=dock())
    said = dock().state.text
    click(dock().cancel)
    click(opened.cancelButton())
    wait(lambda: not opened.cancelButton().isEnabled(), 60)
    opened.close()
    return {"said": said}


def algorithm() -> dict:
    """Takes a picture of the dialog that the panel opens, then runs it."""
    known = set(PROJECT.mapLayers())
    click(dock().run)
    opened = dialog("Pansharpen")
    opened.resize(*DIALOG_SIZE)
    QTest.qWait(500)
    picture("dialog", of=opened)
    files = {"OUTPUT": str(SCENE / "eureka.tif"), "REPORT": str(SCENE / "report.html")}
    opened.setParameters({**opened.createProcessingParameters(), **files})
    click(opened.runButton())
    wait(lambda: set(PROJECT.mapLayers()) - known)
    wait(lambda: not opened.cancelButton().isEnabled(), 20)
    opened.close()
    return {"layers": [PROJECT.mapLayer(id).name() for id in set(PROJECT.mapLayers()) - known]}


def side_by_side() -> dict:
    """Saves PAN, MS and the result of SSDiff side by side, as QGIS draws them."""
    names = {"PAN": "PAN", "MS": "MS", "eureka": "SSDiff"}
    side = IMAGE_SCALE * IMAGE_PIXELS
    whole = QImage(len(names) * side + (len(names) - 1) * GAP, side, QImage.Format.Format_ARGB32)
    whole.fill(Qt.GlobalColor.white)
    painter = QPainter(whole)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    for index, (name, text) in enumerate(names.items()):
        (layer,) = PROJECT.mapLayersByName(name)
        left = index * (side + GAP)
        painter.drawImage(left, 0, rendered(layer, side))
        draw_label(painter, left, text)
    painter.end()
    whole.save(f"{os.environ['PICTURES']}/beside.png")
    return {}


def rendered(layer, side: int) -> QImage:
    """Returns the centre of the scene in a layer, as an image with this side in pixels."""
    (pan,) = PROJECT.mapLayersByName("PAN")
    width = IMAGE_PIXELS * pan.rasterUnitsPerPixelX()
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(pan.crs())
    settings.setExtent(QgsRectangle.fromCenterAndSize(pan.extent().center(), width, width))
    settings.setOutputSize(QSize(side, side))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    return job.renderedImage()


def draw_label(painter: QPainter, left: int, text: str) -> None:
    font = QFont("DejaVu Sans")
    font.setPixelSize(17)
    painter.setFont(font)
    box = QRectF(left + 10, 10, painter.fontMetrics().horizontalAdvance(text) + 22, 28)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(0, 0, 0, 150))
    painter.drawRoundedRect(box, 14, 14)
    painter.setPen(QColor(Qt.GlobalColor.white))
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)


def weights() -> dict:
    """Adapts weights to the scene and takes a picture of the dialog that manages them."""
    click(dock().adapt)
    opened = dialog("Adapt weights")
    opened.setParameters({**opened.createProcessingParameters(), "ID": "eureka-2025", **ADAPTED})
    click(opened.runButton())
    wait(lambda: not opened.cancelButton().isEnabled(), 600)
    opened.close()

    def take() -> None:
        picture("weights", of=QApplication.activeModalWidget())
        QApplication.activeModalWidget().reject()

    QTimer.singleShot(1000, take)
    click(dock().manage)
    return {"weights": dock().weights.value}


def scene() -> dict:
    steps = first_page, window, panel, on_the_map, algorithm, side_by_side, waiting, weights
    return {step.__name__: step() for step in steps}


play(scene)
