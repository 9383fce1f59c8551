"""Uses the panel and the dialogs as a user would; run inside QGIS by test_window.py."""

import os
import time
from pathlib import Path

import numpy as np
from inside import add, click, dialog, drag, iface, picture, play, torch_is_imported, wait, workers
from processing.core.ProcessingResults import resultsList
from qgis.core import (
    QgsApplication,
    QgsProcessingContext,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelParameter,
    QgsProcessingParameterString,
    QgsProject,
    QgsRectangle,
)
from qgis.gui import QgsGui, QgsProcessingModelerParameterWidget
from qgis.PyQt.QtCore import QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from qgis.PyQt.QtGui import QDragEnterEvent, QDropEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QAction, QApplication, QComboBox, QDockWidget, QTextEdit, QToolButton, QWidget
from qgis.utils import plugins, reloadPlugin, unloadPlugin

FOLDER = os.environ["SCENES"]
PROJECT = QgsProject.instance()


def dock():
    return plugins["ssdiff"].interface._dock


def plugin_parts() -> dict[str, int]:
    """Counts the parts of the plugin in QGIS."""
    QTest.qWait(100)
    window = iface.mainWindow()
    menus = [action.menu() for action in iface.rasterMenu().actions() if action.text() == "SSDiff"]
    return {
        "entries": sum(len(menu.actions()) for menu in menus),
        "buttons": len(window.findChildren(QToolButton, "ssdiffButton")),
        "actions": len(window.findChildren(QAction, "ssdiffPanel")),
        "docks": len(window.findChildren(QDockWidget, "SSDiffDock")),
        "providers": sum(provider.id() == "ssdiff" for provider in QgsApplication.processingRegistry().providers()),
    }


class Pulse:
    """Measures the longest time in which the window has not responded."""

    def __init__(self):
        self.longest, self._last, self._timer = 0.0, time.monotonic(), QTimer(interval=10)
        self._timer.timeout.connect(self._beat)
        self._timer.start()

    def _beat(self):
        now = time.monotonic()
        self.longest, self._last = max(self.longest, now - self._last), now


def show(*box):
    iface.mapCanvas().setExtent(QgsRectangle(*box))
    QTest.qWait(100)


def detail(swipe, divider: float) -> float:
    """Returns the mean difference of neighbouring pixels in one of the images. divider: position of the line."""
    swipe.divider = divider
    image = swipe.grab().toImage()
    image = image.convertToFormat(image.Format.Format_Grayscale8)
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    grey = np.frombuffer(bits, np.uint8).reshape(image.height(), image.bytesPerLine())[60:-20, 20:-20].astype(float)
    return float(np.abs(np.diff(grey)).mean())


def empty_panel() -> dict:
    created_before = dock() is not None
    click(iface.mainWindow().findChild(QToolButton, "ssdiffButton"))
    wait(lambda: dock() and dock().isVisible())
    picture("empty")
    d = dock()
    seen = {"created before": created_before, "message": d.fit.text, "preview": d.start.isEnabled()}
    welcome = d.welcome.isVisible()
    click(d.welcome.sample)
    QTest.qWait(200)
    sample = [d.pan.currentLayer().name(), d.ms.currentLayer().name(), d.welcome.isVisible(), d.start.isEnabled()]
    PROJECT.clear()
    QTest.qWait(100)
    return {**seen, "welcome": [welcome, d.welcome.isVisible()], "sample": sample}


def layers_chosen() -> dict:
    d = dock()
    add(f"{FOLDER}/pan.tif", "town PAN")
    alone = d.fit.text
    add(f"{FOLDER}/elsewhere.tif", "elsewhere MS")
    add(f"{FOLDER}/ms.tif", "town MS", (3, 2, 1))
    QTest.qWait(100)
    selected = [d.pan.currentLayer().name(), d.ms.currentLayer().name()]
    QTest.keyClicks(d.ms, "e")
    QTest.qWait(100)
    apart = d.fit.text, d.start.isEnabled()
    QTest.keyClick(d.ms, Qt.Key.Key_Down)
    QTest.qWait(100)
    show(0, 0, 100, 100)
    outside = d.fit.text
    d.fit.linkActivated.emit("zoom")
    QTest.qWait(100)
    zoomed = d.fit.text
    show(400_000, 4_499_900, 400_060, 4_499_960)
    return {
        "alone": alone,
        "selected": selected,
        "apart": apart,
        "outside": outside,
        "zoomed": zoomed,
        "ready": d.start.isEnabled(),
    }


def previewed() -> dict:
    d, pulse, began = dock(), Pulse(), time.monotonic()
    click(d.start)
    wait(lambda: d.progress.value() > 0)
    during = {"workers": len(workers()), "framed": d._frame.numberOfVertices() > 3, "choices": d.pan.isEnabled()}
    picture("running")
    wait(lambda: not d.preview.running)
    took, swipe = time.monotonic() - began, d.compare.swipe
    wait(lambda: swipe.complete)
    details = {}
    for index in range(d.compare.left.count()):
        d.compare.left.setCurrentIndex(index)
        wait(lambda: swipe._images[0][0] == d.compare.left.currentText())
        details[d.compare.left.currentText()] = detail(swipe, 1.0)
    details["SSDiff"] = detail(swipe, 0.0)
    d.compare.left.setCurrentIndex(0)
    QTest.qWait(300)
    half, height = swipe.width() / 2, swipe.height() / 2
    swipe.divider = 0.5
    drag(swipe, (half, height), (half - 30, height), (half / 2, height))
    picture("preview")
    top = PROJECT.layerTreeRoot().layerOrder()[0]
    return {
        **during,
        "message": d.state.text,
        "unresponsive": pulse.longest / took,
        "details": details,
        "divider": swipe.divider,
        "top": top.name(),
        "temporary": top.isTemporary(),
        "framed after": d._frame.numberOfVertices() > 3,
        "still selected": [d.pan.currentLayer().name(), d.ms.currentLayer().name()],
    }


def swiped_on_the_map() -> dict:
    """Compares on the map, then selects the tool to pan."""
    compare = dock().compare
    click(compare.on_map)
    wait(lambda: compare.on_map_swipe.complete)
    canvas = iface.mapCanvas().viewport()
    drag(canvas, (canvas.width() / 2, 50), (canvas.width() / 2 - 10, 50), (canvas.width() / 4, 50))
    divider = compare.on_map_swipe.divider
    picture("swiped")
    iface.actionPan().trigger()
    return {"divider": divider, "off": [compare.on_map.isChecked(), compare.on_map_swipe.complete]}


def preview_removed() -> dict:
    d = dock()
    excepted = [[layer.name() for layer in box.exceptedLayerList()] for box in (d.pan, d.ms)]
    (preview,) = (layer for layer in PROJECT.mapLayers().values() if layer.name() in excepted[0])
    PROJECT.removeMapLayer(preview.id())
    return {"before": excepted, "after": [box.exceptedLayerList() for box in (d.pan, d.ms)]}


def whole_layer() -> dict:
    d = dock()
    wait(lambda: d.estimate.text)
    presets = [d.presets.itemText(index) for index in range(d.presets.count())]
    estimates = [d.estimate.text]
    d.presets.select("fast")
    estimates.append(d.estimate.text)
    click(d.run)
    opened = dialog("Pansharpen")
    picture("dialog")
    preset = opened.createProcessingParameters()["PRESET"]
    given = {name: opened.createProcessingParameters()[name] for name in ("PANCHROMATIC", "SPECTRAL", "WEIGHTS")}
    known = set(PROJECT.mapLayers())
    click(opened.runButton())
    wait(lambda: set(PROJECT.mapLayers()) - known)
    (added,) = set(PROJECT.mapLayers()) - known
    wait(lambda: opened.cancelButton().isEnabled() is False)
    opened.close()
    QTest.qWait(100)
    layer = PROJECT.mapLayer(added)
    click(d.assess)
    assessing = dialog("Assess")
    assessed = assessing.createProcessingParameters()["INPUT"]
    click(assessing.runButton())
    wait(resultsList.getResults)
    results = [(result.name, result.filename) for result in resultsList.getResults()]
    wait(lambda: assessing.cancelButton().isEnabled() is False)
    picture("assessed")
    assessing.close()
    return {
        "given": [PROJECT.mapLayer(given["PANCHROMATIC"]).name(), PROJECT.mapLayer(given["SPECTRAL"]).name()],
        "weights": given["WEIGHTS"],
        "preset": preset,
        "presets": presets,
        "estimates": estimates,
        "name": layer.name(),
        "size": [layer.width(), layer.height()],
        "bands": [layer.renderer().redBand(), layer.renderer().greenBand(), layer.renderer().blueBand()],
        "assessed": PROJECT.mapLayer(assessed).name(),
        "viewer": [(name, Path(file).read_text(encoding="utf-8")) for name, file in results],
        "history": history(),
    }


def weights_offered() -> dict:
    """Selects weights in the dialog, in the batch dialog and in the modeler."""
    plugins["ssdiff"].interface.pansharpen.trigger()
    opened = dialog("Pansharpen")
    boxes = opened.findChildren(QComboBox)
    (box,) = (each for each in boxes if each.isEditable() and each.currentText() == "auto")
    listed = [box.itemText(index) for index in range(box.count())]
    described = [box.itemData(index, Qt.ItemDataRole.DisplayRole) for index in range(box.count())]
    picture("weights")

    def given():
        return opened.createProcessingParameters()["WEIGHTS"]

    values = [given()]
    QTest.keyClick(box, Qt.Key.Key_Down)
    values.append(given())
    box.lineEdit().selectAll()
    QTest.keyClicks(box.lineEdit(), '"C:\\my weights\\own.safetensors"')
    values.append(given())
    opened.setParameters({**opened.createProcessingParameters(), "WEIGHTS": "my-town"})
    values.append(given())
    opened.close()
    return {"listed": listed, "described": described, "values": values, "batch": in_batch(), "model": in_model()}


def in_batch() -> str:
    from processing.gui.BatchAlgorithmDialog import BatchAlgorithmDialog

    batch = BatchAlgorithmDialog(QgsApplication.processingRegistry().createAlgorithmById("ssdiff:pansharpen"))
    panel = batch.mainWidget()
    wrapper = panel.wrappers[0][panel.parameter_to_column["WEIGHTS"]]
    wrapper.setParameterValue("my-town", QgsProcessingContext())
    return wrapper.parameterValue()


def in_model() -> str:
    """Returns the input of a model that the weights are taken from."""
    from processing.modeler.ModelerParametersDialog import ModelerParametersDialog

    model = QgsProcessingModelAlgorithm()
    which = QgsProcessingParameterString("which", "which", "auto")
    model.addModelParameter(which, QgsProcessingModelParameter("which"))
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("ssdiff:pansharpen")
    step = ModelerParametersDialog(algorithm, model)
    parts = step.findChildren(QgsProcessingModelerParameterWidget)
    (weights,) = (part for part in parts if part.parameterDefinition().name() == "WEIGHTS")
    weights.setWidgetValue(QgsProcessingModelChildParameterSource.fromModelParameter("which"))
    return step.createAlgorithm().parameterSources()["WEIGHTS"][0].parameterName()


def history() -> int:
    """Returns the number of pansharpening runs in Processing's history."""
    if hasattr(QgsGui, "historyProviderRegistry"):
        entries = [entry.entry for entry in QgsGui.historyProviderRegistry().queryEntries()]
    else:
        from processing.core.ProcessingLog import ProcessingLog

        entries = [entry.text for entry in ProcessingLog.getLogEntries()]
    return sum("ssdiff:pansharpen" in str(entry) for entry in entries)


def adapted() -> dict:
    d = dock()
    for name in ("pan", "ms"):
        getattr(d, name).setLayer(add(f"{FOLDER}/whole/{name}.tif", f"whole {name}"))
    d.weights.select(f"{FOLDER}/base.safetensors")
    click(d.adapt)
    opened = dialog("Adapt weights")
    given = opened.createProcessingParameters()
    opened.setParameters({**given, "STEPS": 16, "SENSOR": "gf2", "ID": "my-town"})
    picture("adapting")
    click(opened.runButton())
    wait(lambda: d.weights.value == "my-town")
    opened.close()
    listed = d.weights.choice.currentData(Qt.ItemDataRole.DisplayRole)
    seen = {
        "given": [PROJECT.mapLayer(given[name]).name() for name in ("PANCHROMATIC", "SPECTRAL")],
        "base": given["BASE"],
        "listed": listed,
    }
    (town,) = PROJECT.mapLayersByName("town MS")
    d.ms.setLayer(town)
    changed = d.weights.value, d.state.text, d.compare.swipe.complete
    PROJECT.removeMapLayers([PROJECT.mapLayersByName(name)[0].id() for name in ("whole pan", "town MS")])
    QTest.qWait(100)
    return {**seen, "changed": changed, "left": [d.pan.currentLayer().name(), d.ms.currentLayer().name()]}


def batch() -> dict:
    """Pansharpens one row of a batch process and loads the result."""
    from processing.gui.BatchAlgorithmDialog import BatchAlgorithmDialog

    opened = BatchAlgorithmDialog(QgsApplication.processingRegistry().createAlgorithmById("ssdiff:pansharpen"))
    panel = opened.mainWidget()
    inputs = {"SPECTRAL": f"{FOLDER}/ms.tif", "PANCHROMATIC": f"{FOLDER}/pan.tif"}
    wrappers = {name: panel.wrappers[0][panel.parameter_to_column[name]] for name in inputs}
    preselected = [PROJECT.mapLayer(wrapper.parameterValue()).name() for wrapper in wrappers.values()]
    for name, wrapper in wrappers.items():
        wrapper.setParameterValue(inputs[name], QgsProcessingContext())
    panel.tblParameters.cellWidget(1, panel.parameter_to_column["OUTPUT"]).setValue(f"{FOLDER}/batch.tif")
    panel.checkLoadLayersOnCompletion.setChecked(True)
    known, pulse, began = set(PROJECT.mapLayers()), Pulse(), time.monotonic()
    opened.show()
    click(opened.runButton())
    wait(lambda: set(PROJECT.mapLayers()) - known)
    wait(lambda: opened.cancelButton().isEnabled() is False)
    took = time.monotonic() - began
    logs = [text.toPlainText() for text in opened.findChildren(QTextEdit)]
    opened.close()
    opened.deleteLater()
    added = [PROJECT.mapLayer(id).name() for id in set(PROJECT.mapLayers()) - known]
    return {"preselected": preselected, "added": added, "log": "\n".join(logs), "unresponsive": pulse.longest / took}


def drop(widget, path: str) -> bool:
    """Drags a file or folder onto a widget and drops it, if the widget accepts it; returns whether it does."""
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(path)])
    how = Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    entering = QDragEnterEvent(QPoint(5, 5), *how)
    entering.ignore()
    QApplication.sendEvent(widget, entering)
    if entering.isAccepted():
        QApplication.sendEvent(widget, QDropEvent(QPointF(5, 5), *how))
    return entering.isAccepted()


def delivery_dropped() -> dict:
    d, before = dock(), set(PROJECT.mapLayers())
    assert drop(d, f"{FOLDER}/delivery")
    searching = dict.fromkeys(item.text() for item in iface.messageBar().items())
    wait(lambda: set(PROJECT.mapLayers()) - before)
    seen = {"searching": list(searching), "message": d.state.text}
    seen["searching after"] = [item.text() for item in iface.messageBar().items()]
    seen["selected"] = [d.pan.currentLayer().name(), d.ms.currentLayer().name(), d.ms.currentLayer().bandCount()]
    picture("delivery")
    click(d.run)
    opened = dialog("Pansharpen")
    boxes = {type(widget).__name__: widget for widget in opened.findChildren(QWidget)}
    sensor = boxes["SensorBox"]
    sensor.setCurrentIndex(sensor.findText("QuickBird"))
    drop(boxes["DeliveryBox"], f"{FOLDER}/delivery")
    picture("delivery_dialog")
    given = opened.createProcessingParameters()
    opened.close()
    PROJECT.removeMapLayers(list(set(PROJECT.mapLayers()) - before))
    return {**seen, "sensor": given["SENSOR"], "delivery": given["DELIVERY"]}


def no_runtime() -> dict:
    """Opens the panel again without a configured Python interpreter."""
    d, panel = dock(), plugins["ssdiff"].interface.panel
    python = os.environ.pop("SSDIFF_PYTHON")
    before = d.install.isVisible()
    for _ in range(2):
        panel.trigger()
        QTest.qWait(100)
    picture("missing")
    seen = {
        "before": before,
        "message": d.missing.text,
        "button": d.install.isVisible(),
        "preview": d.start.isEnabled(),
    }
    if d.install.isVisible():
        click(d.install)
        dialog("Install runtime").close()
        click(d.start)
        wait(lambda: d.preview.running)
        wait(lambda: not d.preview.running)
        seen["previewed"] = d.state.text
        seen["compared with"] = [d.compare.left.itemText(index) for index in range(d.compare.left.count())]
        click(d.run)
        opened = dialog("Pansharpen")
        seen["dialog"] = opened.createProcessingParameters()["METHOD"]
        opened.close()
    os.environ["SSDIFF_PYTHON"] = python
    for _ in range(2):
        panel.trigger()
        QTest.qWait(100)
    return {**seen, "after": d.missing.text, "preview again": d.start.isEnabled()}


def cancelled() -> dict:
    d = dock()
    for name in ("pan", "ms"):
        layer = add(f"{FOLDER}/large_{name}.tif", f"large {name}")
        getattr(d, name).setLayer(layer)
    d.weights.select("general-4")  # those on patches would be done too soon
    show(400_000, 4_499_600, 400_400, 4_500_000)
    limited = d.fit.text
    click(d.start)
    wait(lambda: d.progress.value() > 5)
    running = workers()
    click(d.cancel)
    message = d.state.text
    wait(lambda: not workers(), what="for the process to end")
    click(d.run)
    opened = dialog("Pansharpen")
    opened.setParameters({**opened.createProcessingParameters(), "ALIGN": "none"})  # the shift takes QGIS seconds
    click(opened.runButton())
    wait(workers)
    QTest.qWait(1000)
    click(opened.cancelButton())
    wait(lambda: not workers(), what="for the process to end")
    opened.close()
    return {"limited": limited, "workers": len(running), "message": message, "preview": d.start.isEnabled()}


def reloaded() -> dict:
    before = plugin_parts()
    assert reloadPlugin("ssdiff")
    after = plugin_parts()
    plugins["ssdiff"].interface.panel.trigger()
    QTest.qWait(200)
    again = plugin_parts(), dock().fit.text
    click(dock().start)
    QTest.qWait(200)
    unloadPlugin("ssdiff")
    return {"before": before, "after": after, "again": again, "unloaded": plugin_parts(), "torch": torch_is_imported()}


def scene() -> dict:
    iface.mainWindow().resize(1400, 900)
    python_errors = []
    QgsApplication.messageLog().messageReceived.connect(
        lambda text, tag, level: python_errors.append(text) if "Python" in tag else None
    )
    steps = (
        empty_panel,
        layers_chosen,
        previewed,
        swiped_on_the_map,
        whole_layer,
        preview_removed,
        adapted,
        weights_offered,
        delivery_dropped,
        batch,
        no_runtime,
        cancelled,
        reloaded,
    )
    results = {}
    for step in steps:
        began = time.monotonic()
        results[step.__name__] = step()
        results[step.__name__]["seconds"] = round(time.monotonic() - began, 1)
    return {**results, "python errors": python_errors}


play(scene)
