"""Background steps of the preview. Each calls `then` with itself, in the main thread, when it has finished."""

from __future__ import annotations

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
from ...ssdiff_core.worker.client.engine import Callbacks
from ...ssdiff_core.workflows.estimate import Estimate, estimate_presets
from . import runtime, settings, threads
from .i18n import tr, tr_error, tr_notice

HIDDEN = getattr(QgsTask.Flag, "Hidden", QgsTask.Flag.CanCancel)
"flag of tasks that are not listed; QGIS has it since 3.26"
_running: set = set()
"running steps, referenced here until they finish because QGIS holds no reference to their Python objects"


class StartWorker(QgsTask):
    """Starts the worker process, which the next run needs anyway, and finds out whether it has a GPU."""

    stateChanged = pyqtSignal(str)
    "text on what it waits for"

    def __init__(self, then: Callable):
        super().__init__(tr("Starting SSDiff"), QgsTask.Flag.CanCancel)
        self._then = then
        self.error, self.succeeded, self.has_gpu = "", False, False

    def start(self) -> None:
        _running.add(self)
        QgsApplication.taskManager().addTask(self)

    def run(self):
        try:
            device = settings.device()
            with threads.spare_thread(), runtime.use(self.description(), preview=True) as worker:
                callbacks = Callbacks(self._notify, cancelled=self.isCanceled, run=self.description())
                devices = worker.hello(callbacks)["devices"]
        except Cancelled:
            return False
        except Exception as error:  # QGIS shows an exception of a task only in its log
            self.error = tr_error(error)
            return False
        self.has_gpu = uses_gpu(devices, device)
        return True

    def _notify(self, notice):
        self.stateChanged.emit(tr_notice(notice))

    def finished(self, succeeded):
        self.succeeded = succeeded
        _running.discard(self)
        self._then(self)


class EstimatePresets(QgsTask):
    """Estimates the time of pansharpening a whole scene with each preset."""

    def __init__(self, pan: str, ms: str, weights: str, then: Callable):
        super().__init__(tr("Estimating the time of pansharpening"), QgsTask.Flag.CanCancel | HIDDEN)
        self._files, self._weights, self._then = (pan, ms), weights, then
        self.found: dict[str, Estimate] = {}
        "estimates by preset; empty if the scene cannot be pansharpened"

    def start(self) -> None:
        _running.add(self)
        QgsApplication.taskManager().addTask(self)

    def run(self):
        try:
            self.found = estimate_presets(*self._files, {"weights": self._weights, "device": settings.device()})
        except Exception:  # a run would tell the error
            return False
        return True

    def finished(self, succeeded):
        _running.discard(self)
        self._then(self)


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
