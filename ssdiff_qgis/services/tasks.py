"""Work that QGIS does meanwhile. A step calls `then` with itself, in the main thread, when it has ended."""

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

from ...ssdiff_core.common.errors import Cancelled, SSDiffError
from ...ssdiff_core.worker.client.engine import Asker
from . import runtime, settings
from .i18n import tr

_at_work: set = set()
"steps that have begun: QGIS holds no reference to what Python must keep for them until they end, cancelled or not"


class Start(QgsTask):
    """Starts what computes, which whoever fuses next would wait for anyway, and learns whether it has a GPU."""

    def __init__(self, then: Callable):
        super().__init__(tr("Starting SSDiff"), QgsTask.Flag.CanCancel)
        self._then = then
        self.error, self.fine, self.fast = "", False, False

    def start(self) -> None:
        _at_work.add(self)
        QgsApplication.taskManager().addTask(self)

    def run(self):
        try:
            wish = settings.device()
            devices = runtime.worker().hello(Asker(cancelled=self.isCanceled))["devices"]
        except Cancelled:
            return False
        except (SSDiffError, OSError) as error:
            self.error = str(error)
            return False
        self.fast = has_gpu(devices, wish)
        return True

    def finished(self, fine):
        self.fine = fine
        _at_work.discard(self)
        self._then(self)


def has_gpu(devices: dict[str, dict], wish: str) -> bool:
    """Whether what is wished for is a GPU that works, or comes down to one."""
    asked = [name for name in devices if wish in ("auto", name, name.split(":")[0])]
    return any(devices[name]["works"] for name in asked if name != "cpu")


class Feedback(QgsProcessingFeedback):
    """Hands on what is said, and keeps what went wrong."""

    said = pyqtSignal(str)

    def __init__(self):
        super().__init__(False)
        self.error = ""

    def setProgressText(self, text):
        self.said.emit(text)

    def reportError(self, error, fatalError=False):
        self.error = self.error or error


class Run:
    """An algorithm with these parameters, whose OUTPUT is a temporary layer."""

    def __init__(self, id: str, parameters: dict, then: Callable):
        self._then = then
        self.feedback, self.results = Feedback(), {}
        self._context = QgsProcessingContext()
        self._context.setProject(QgsProject.instance())
        self._context.setFeedback(self.feedback)
        # Who holds no reference to the algorithm loses the Python half of it in the middle of its work.
        self._algorithm = QgsApplication.processingRegistry().createAlgorithmById(id)
        output = QgsProcessingOutputLayerDefinition(QgsProcessing.TEMPORARY_OUTPUT, QgsProject.instance())
        self._parameters = {**parameters, "OUTPUT": output}

    @property
    def error(self) -> str:
        return self.feedback.error

    @property
    def fine(self) -> bool:
        return bool(self.results)

    def start(self) -> None:
        fits, why = self._algorithm.checkParameterValues(self._parameters, self._context)
        if not fits:
            self.feedback.reportError(why)
            return self._then(self)
        self._task = QgsProcessingAlgRunnerTask(self._algorithm, self._parameters, self._context, self.feedback)
        if self._task.isCanceled():  # it could not even be prepared
            return self._then(self)
        self._task.executed.connect(self._executed)
        _at_work.add(self)
        QgsApplication.taskManager().addTask(self._task)

    def cancel(self) -> None:
        self.feedback.cancel()

    def _executed(self, fine, results):
        self.results = results if fine else {}
        _at_work.discard(self)
        self._then(self)

    def take_layer(self) -> QgsRasterLayer:
        """What it has made, named and styled; it belongs to the caller."""
        ((source, details),) = self._context.layersToLoadOnCompletion().items()
        found = QgsProcessingUtils.mapLayerFromString(source, self._context)
        layer = self._context.takeResultLayer(found.id())
        details.setOutputLayerName(layer)
        details.postProcessor().postProcessLayer(layer, self._context, self.feedback)
        return layer
