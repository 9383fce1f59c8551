"""What is to be seen in the pictures of the documentation; run inside QGIS by screenshots.py."""

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
LEFT, RIGHT = 310, 440
"width of the list of layers and of the panel"
DIALOG = 980, 760
STRETCH = QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum
ON_MAP = 3
"pixels of the screen for one of PAN"
ZOOM, SEEN, GAP = 2, 208, 8
"the images beside each other: the same, pixels of PAN that are shown, and what is between"


def window() -> dict:
    """QGIS as large as the screen, with the layers alone at the left."""
    main = iface.mainWindow()
    main.showMaximized()
    main.findChild(QDockWidget, "Browser").close()
    main.resizeDocks([main.findChild(QDockWidget, "Layers")], [LEFT], Qt.Orientation.Horizontal)
    PROJECT.setTitle("Eureka")
    for name, bands in (("MS", (3, 2, 1)), ("PAN", ())):
        layer = add(SCENE / f"{name.lower()}.tif", name, bands)
        layer.setContrastEnhancement(STRETCH, QgsRasterMinMaxOrigin.Limits.MinMax)  # the roofs are bright
    tidy()
    QTest.qWait(500)
    return {"size": [main.width(), main.height()]}


def tidy() -> None:
    """Layers by their names alone, nothing told that has gone by, and all drawn."""
    for found in PROJECT.layerTreeRoot().findLayers():
        found.setExpanded(False)
    iface.messageBar().clearWidgets()
    PROJECT.setDirty(False)
    iface.mapCanvas().waitWhileRendering()
    QTest.qWait(800)


def look_at(layer, zoom: float) -> None:
    """The middle of the layer, with so many pixels of the screen for one of its own."""
    canvas, pixel = iface.mapCanvas(), layer.rasterUnitsPerPixelX() / zoom
    size = canvas.width() * pixel, canvas.height() * pixel
    canvas.setExtent(QgsRectangle.fromCenterAndSize(layer.extent().center(), *size))
    tidy()


def panel() -> dict:
    main = iface.mainWindow()
    click(main.findChild(QToolButton, "ssdiffButton"))
    dock = plugins["ssdiff"].interface._dock
    main.resizeDocks([dock], [RIGHT], Qt.Orientation.Horizontal)
    QTest.qWait(300)
    look_at(dock.pan.currentLayer(), ON_MAP)
    click(dock.start)
    wait(lambda: dock.preview.runs, 10)
    wait(lambda: not dock.preview.runs)
    wait(lambda: dock.compare.swipe.complete, 20)
    tidy()
    picture("panel")
    return {"says": dock.state.text}


def algorithm() -> dict:
    """The dialog as the panel opens it; then it is run."""
    dock, known = plugins["ssdiff"].interface._dock, set(PROJECT.mapLayers())
    click(dock.run)
    opened = dialog("Pansharpen")
    opened.resize(*DIALOG)
    QTest.qWait(500)
    picture("dialog", of=opened)
    files = {"OUTPUT": str(SCENE / "eureka.tif"), "REPORT": str(SCENE / "report.html")}
    opened.setParameters({**opened.createProcessingParameters(), **files})
    click(opened.runButton())
    wait(lambda: set(PROJECT.mapLayers()) - known)
    wait(lambda: not opened.cancelButton().isEnabled(), 20)
    opened.close()
    return {"made": [PROJECT.mapLayer(id).name() for id in set(PROJECT.mapLayers()) - known]}


def beside() -> dict:
    """PAN, MS and what SSDiff makes of them, as QGIS draws them."""
    names = {"PAN": "PAN", "MS": "MS", "eureka": "SSDiff"}
    side = ZOOM * SEEN
    whole = QImage(len(names) * side + (len(names) - 1) * GAP, side, QImage.Format.Format_ARGB32)
    whole.fill(Qt.GlobalColor.white)
    painter = QPainter(whole)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    for place, (name, shown) in enumerate(names.items()):
        (layer,) = PROJECT.mapLayersByName(name)
        left = place * (side + GAP)
        painter.drawImage(left, 0, drawn(layer, side))
        label(painter, left, shown)
    painter.end()
    whole.save(f"{os.environ['PICTURES']}/beside.png")
    return {}


def drawn(layer, side: int) -> QImage:
    (pan,) = PROJECT.mapLayersByName("PAN")
    across = SEEN * pan.rasterUnitsPerPixelX()
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(pan.crs())
    settings.setExtent(QgsRectangle.fromCenterAndSize(pan.extent().center(), across, across))
    settings.setOutputSize(QSize(side, side))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    return job.renderedImage()


def label(painter: QPainter, left: int, text: str) -> None:
    font = QFont("DejaVu Sans")
    font.setPixelSize(17)
    painter.setFont(font)
    plate = QRectF(left + 10, 10, painter.fontMetrics().horizontalAdvance(text) + 22, 28)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(0, 0, 0, 150))
    painter.drawRoundedRect(plate, 14, 14)
    painter.setPen(QColor(Qt.GlobalColor.white))
    painter.drawText(plate, Qt.AlignmentFlag.AlignCenter, text)


def scene() -> dict:
    return {step.__name__: step() for step in (window, panel, algorithm, beside)}


play(scene)
