"""Background steps of the panel. Each calls `then` with itself, in the main thread, when it has finished."""

from __future__ import annotations

import time
from collections.abc import Callable

from qgis.core import (
    QgsApplication,
    QgsProcessing,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingUtils,
    QgsProject,
    QgsRasterLayer,
    QgsTask,
)
from qgis.PyQt.QtCore import pyqtSignal

from ...ssdiff_core.common.errors import Cancelled
from ...ssdiff_core.common.notices import Notice, Notify
from ...ssdiff_core.worker.client.engine import Callbacks
from ...ssdiff_core.workflows.estimate import Estimate, estimate_presets
from . import runtime, settings, threads
from .i18n import tr, tr_error, tr_notice

HIDDEN = getattr(QgsTask.Flag, "Hidden", QgsTask.Flag.CanCancel)
"flag of tasks that are not listed; QGIS has it since 3.26"
STATE_INTERVAL = 0.1
"seconds between two states of a search"
_running: set = set()
"running steps, referenced here until they finish because QGIS holds no reference to their Python objects"


class Step(QgsTask):
    """Base class of the steps: subclasses implement `work`, which runs in another thread."""

    stateChanged = pyqtSignal(str)
    "text on what it does or waits for"

    def __init__(self, description: str, then: Callable, flags=QgsTask.Flag.CanCancel):
        super().__init__(description, flags)
        self._then = then
        self.error, self.succeeded = "", False

    def start(self) -> None:
        _running.add(self)
        QgsApplication.taskManager().addTask(self)

    def run(self):
        try:
            with threads.spare_thread():
                self.work()
        except Cancelled:
            return False
        except Exception as error:  # QGIS shows an exception of a task only in its log
            self.error = tr_error(error)
            return False
        return True

    def work(self) -> None:
        raise NotImplementedError

    def show(self, told: Notice) -> None:
        """Shows a notice as the state of the step."""
        self.stateChanged.emit(tr_notice(told))

    def finished(self, succeeded):
        self.succeeded = succeeded
        _running.discard(self)
        self._then(self)


class StartWorker(Step):
    """Starts the worker process, which the next run needs anyway, and finds out whether it has a GPU."""

    def __init__(self, then: Callable):
        super().__init__(tr("Starting SSDiff"), then)
        self.has_gpu = False

    def work(self):
        device = settings.device()
        with runtime.use(self.description(), preview=True) as worker:
            callbacks = Callbacks(self.show, cancelled=self.isCanceled, run=self.description())
            self.has_gpu = uses_gpu(worker.hello(callbacks)["devices"], device)


class EstimatePresets(Step):
    """Estimates the time of pansharpening a whole scene with each preset; a run would tell an error."""

    def __init__(self, pan: str, ms: str, weights: str, then: Callable):
        super().__init__(tr("Estimating the time of pansharpening"), then, QgsTask.Flag.CanCancel | HIDDEN)
        self._files, self._weights = (pan, ms), weights
        self.found: dict[str, Estimate] = {}
        "estimates by preset; empty if the scene cannot be pansharpened"

    def work(self):
        self.found = estimate_presets(*self._files, {"weights": self._weights, "device": settings.device()})


class SearchDeliveries(Step):
    """Searches a place for deliveries, which takes long in large folders and on network drives."""

    def __init__(self, search: Callable[[Notify], object], then: Callable):
        """search: takes the watch of `find_scenes` and returns what it has found."""
        super().__init__(tr("Looking for deliveries"), then)
        self._search, self._shown = search, 0.0
        self.found = None

    def work(self):
        self.found = self._search(self._watch)

    def _watch(self, told: Notice) -> None:
        if self.isCanceled():
            raise Cancelled("cancelled")
        if time.monotonic() - self._shown > STATE_INTERVAL:
            self._shown = time.monotonic()
            self.show(told)
            if "total" in told.values:
                self.setProgress(100 * (told.values["number"] - 1) / told.values["total"])


def uses_gpu(devices: dict[str, dict], device: str) -> bool:
    """Returns whether a run on this device (auto, cpu, cuda, cuda:1, mps) uses a GPU that works."""
    candidates = [name for name in devices if device in ("auto", name, name.split(":")[0])]
    return any(devices[name]["works"] for name in candidates if name != "cpu")


class RunFeedback(QgsProcessingFeedback):
    """Feedback of a preview: emits what it waits for as a signal, and keeps the notices and the first error."""

    stateChanged = pyqtSignal(str)
    is_preview = True

    def __init__(self):
        super().__init__(False)
        self.error, self.notices = "", []

    def show_state(self, text: str) -> None:
        self.stateChanged.emit(text)

    def reportError(self, error, fatalError=False):
        self.error = self.error or error


class AlgorithmRun:
    """Runs an algorithm in a background task, with a temporary layer as its OUTPUT."""

    def __init__(self, id: str, parameters: dict, then: Callable):
        self._then = then
        self.feedback, self.results = RunFeedback(), {}
        self._context = QgsProcessingContext()
        self._context.setProject(QgsProject.instance())
        self._context.setFeedback(self.feedback)
        # Without a reference, Python would delete its half of the algorithm during the run.
        self._algorithm = QgsApplication.processingRegistry().createAlgorithmById(id)
        output = QgsProcessingOutputLayerDefinition(QgsProcessing.TEMPORARY_OUTPUT, QgsProject.instance())
        self._parameters = {**parameters, "OUTPUT": output}

    @property
    def error(self) -> str:
        return self.feedback.error

    @property
    def succeeded(self) -> bool:
        return bool(self.results)

    def start(self) -> None:
        valid, reason = self._algorithm.checkParameterValues(self._parameters, self._context)
        if not valid:
            self.feedback.reportError(reason)
            return self._then(self)
        self._task = QgsProcessingAlgRunnerTask(self._algorithm, self._parameters, self._context, self.feedback)
        if self._task.isCanceled():  # preparing it has failed
            return self._then(self)
        self._task.executed.connect(self._executed)
        _running.add(self)
        QgsApplication.taskManager().addTask(self._task)

    def cancel(self) -> None:
        self.feedback.cancel()

    def _executed(self, succeeded, results):
        self.results = results if succeeded else {}
        _running.discard(self)
        self._then(self)

    def take_layer(self) -> QgsRasterLayer:
        """Returns the output layer, named and styled; the caller owns it."""
        ((source, details),) = self._context.layersToLoadOnCompletion().items()
        output = QgsProcessingUtils.mapLayerFromString(source, self._context)
        layer = self._context.takeResultLayer(output.id())
        details.setOutputLayerName(layer)
        details.postProcessor().postProcessLayer(layer, self._context, self.feedback)
        return layer
