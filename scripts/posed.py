"""Sets up QGIS for the pictures of the documentation; run inside QGIS by screenshots.py."""

import os
from pathlib import Path

from inside import add, click, dialog, iface, picture, play, wait
from qgis.core import (
    QgsContrastEnhancement,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProject,
    QgsRasterMinMaxOrigin,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QRectF, QSize, Qt
from qgis.PyQt.QtGui import QColor, QFont, QImage, QPainter
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QDockWidget, QToolButton
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
IMAGE_SCALE, IMAGE_PIXELS, GAP = 2, 208, 8
"images side by side: screen pixels for each PAN pixel, PAN pixels along a side, and the gap in screen pixels"


def window() -> dict:
    """Maximises the window, with only the layer list at the left, and adds the sample."""
    main = iface.mainWindow()
    main.showMaximized()
    main.findChild(QDockWidget, "Browser").close()
    main.resizeDocks([main.findChild(QDockWidget, "Layers")], [LAYERS_WIDTH], Qt.Orientation.Horizontal)
    PROJECT.setTitle("Eureka")
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
    main = iface.mainWindow()
    click(main.findChild(QToolButton, "ssdiffButton"))
    dock = plugins["ssdiff"].interface._dock
    main.resizeDocks([dock], [PANEL_WIDTH], Qt.Orientation.Horizontal)
    QTest.qWait(300)
    zoom_to_centre(dock.pan.currentLayer(), MAP_SCALE)
    click(dock.start)
    wait(lambda: dock.preview.running, 10)
    wait(lambda: not dock.preview.running)
    wait(lambda: dock.compare.swipe.complete, 20)
    tidy()
    picture("panel")
    return {"message": dock.state.text}


def algorithm() -> dict:
    """Takes a picture of the dialog that the panel opens, then runs it."""
    dock, known = plugins["ssdiff"].interface._dock, set(PROJECT.mapLayers())
    click(dock.run)
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


def scene() -> dict:
    return {step.__name__: step() for step in (window, panel, algorithm, side_by_side)}


play(scene)
